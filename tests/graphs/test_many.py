"""Sixteen conversations at once in one process come out as each does alone."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from langchain_core.messages import AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from safetensors.torch import load
from torch import Tensor

from vitron_agent.build import build_agent
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.graphs import Agent, user_turn
from vitron_agent.media import MediaStore, Region
from vitron_agent.profiles import TINY
from vitron_agent.shapes.scene import COLOURS as SHADES
from vitron_agent.shapes.scene import Obj, Scene
from vitron_agent.testing import ScriptedPlanner, call, paint

MANY, FEW = 16, 4
COLOURS = ("red", "blue", "green", "yellow")
SHAPES = ("circle", "square", "star", "triangle")
weights = pytest.mark.skipif(
    any(TINY.missing(part) for part in TINY.parts if part.name != "mappers"), reason="the tiny weights are not there"
)


def config(number: int) -> Any:
    return {"configurable": {"thread_id": f"talk {number}", "seed": number}}


def scene(number: int) -> Scene:
    colour, shape = COLOURS[number % 4], SHAPES[number // 4]
    return Scene("gray", (Obj(shape, colour, "large", 0.3 + 0.02 * number, 0.5, 0.17, SHADES[colour]),))


def requests(number: int, store: MediaStore) -> list[HumanMessage]:
    """What user `number` says: no two say the same, or speak of the same picture."""
    picture = store.put_image(picture_of(scene(number)))
    colour, shape = COLOURS[number % 4], SHAPES[number // 4]
    return [
        [user_turn(f"draw a {colour} {shape} on a gray background")],
        [user_turn("what is in the picture?", [picture]), user_turn(f"segment the {colour} {shape}")],
        [user_turn(f"make the {shape} {COLOURS[(number + 1) % 4]}", [picture])],
        [user_turn("cut out what I marked", [picture], Region.from_box(0.2, 0.2, 0.7, 0.7))],
    ][(number + number // 4) % 4]


def told(messages: Sequence[AnyMessage]) -> list[Any]:
    """What a conversation says and made, without what differs from run to run: ids, seconds, and signals."""
    kept: list[Any] = []
    for message in messages:
        calls = [(c["name"], c["args"]) for c in getattr(message, "tool_calls", [])]
        made = dict(message.artifact or {}) if isinstance(message, ToolMessage) else {}
        made = {key: value for key, value in made.items() if key not in ("seconds", "signals")}
        kept.append((message.type, message.content, calls, made))
    return kept


def stands(agent: Agent, number: int) -> tuple[Any, Any]:
    """How a conversation stands; handles are digests, so equal ones are equal pixels."""
    values = agent.get_state(config(number)).values
    return told(values["messages"]), values["media"]


def drawn(agent: Agent, number: int, store: MediaStore) -> tuple[str, list[Tensor]]:
    """The same with the pictures that were made, int32 (3, H, W) each, apart from what was said of them."""
    messages, media = stands(agent, number)
    uris = [made["uri"] for *_, made in messages if made.get("kind") == "image"]
    text = json.dumps((messages, media), default=str)
    for index, uri in enumerate(uris):
        text = text.replace(uri, f"picture {index}")
    return text, [store.get_image(uri).int() for uri in uris]


def signals(agent: Agent, number: int, store: MediaStore) -> list[dict[str, Tensor]]:
    """The embeddings behind each of a conversation's calls."""
    messages = agent.get_state(config(number)).values["messages"]
    handles = [m.artifact["signals"] for m in messages if isinstance(m, ToolMessage) and m.artifact]
    return [load(store.get_bytes(handle)) for handle in handles]


@weights
def test_the_tiny_profile_in_threads(tmp_path: Path) -> None:
    stores = [MediaStore(tmp_path / name) for name in ("alone", "together")]  # no receipts from one to the other
    alone, together = (build_agent("tiny", InMemorySaver(), store=store) for store in stores)
    start = Barrier(MANY, timeout=60)

    def talk(number: int) -> None:
        start.wait()
        for message in requests(number, stores[1]):
            together.invoke({"messages": [message]}, config(number))

    for number in range(MANY):
        for message in requests(number, stores[0]):
            alone.invoke({"messages": [message]}, config(number))
    with ThreadPoolExecutor(MANY) as threads:
        list(threads.map(talk, range(MANY)))
    wanted = [stands(alone, number) for number in range(MANY)]
    # equal but for rounding: how much is read anew depends on what others have said, and signals reach the specialists
    for number in range(MANY):
        torch.testing.assert_close(*(signals(a, number, s) for a, s in zip((alone, together), stores, strict=True)))
        (said, pictures), (wished, same) = (
            drawn(a, number, s) for a, s in zip((together, alone), stores[::-1], strict=True)
        )
        assert said == wished
        torch.testing.assert_close(pictures, same, rtol=0, atol=1)
    made = [made for messages, _ in wanted for _, _, _, made in messages if made]
    assert {"image", "mask"} == {one["kind"] for one in made}
    assert len({one["mask_uri"] for one in made if one["kind"] == "mask"}) >= MANY / 4  # they do differ


@weights
def test_the_tiny_specialists_in_threads_are_exact(tmp_path: Path) -> None:
    """Users who share loaded specialists get, bit for bit, what each gets alone: there are no signals to differ."""

    def reply(messages: Sequence[AnyMessage]) -> Any:
        colour, shape = messages[0].text.split()
        draw = call("generate_image", command=f"a {colour} {shape} on a gray background")
        cut = call("segment_image", command=f"the {colour} {shape}")
        edit = call("edit_image", command=f"replace the {colour} {shape} with a white {shape}")
        done = sum(isinstance(message, ToolMessage) for message in messages)
        return [[draw], [cut], [edit], "Done."][done]

    def talk(agent: Agent, number: int) -> Any:
        said = f"{COLOURS[number % 4]} {SHAPES[number % 4]}"
        agent.invoke({"messages": [user_turn(said)]}, config(number))
        return stands(agent, number)

    alone, together = (
        build_agent(
            "tiny", InMemorySaver(), store=MediaStore(tmp_path / name), planner=ScriptedPlanner(replies=[reply])
        )
        for name in ("alone", "together")  # no receipts from one to the other
    )
    start = Barrier(FEW, timeout=60)

    def at_once(number: int) -> Any:
        start.wait()
        return talk(together, number)

    with ThreadPoolExecutor(FEW) as threads:
        found = list(threads.map(at_once, range(FEW)))
    assert found == [talk(alone, number) for number in range(FEW)]
    made = [one for messages, _ in found for _, _, _, one in messages if one]
    assert len({one["uri"] for one in made if one["kind"] == "image"}) > FEW  # each drew, and some edits found theirs
    assert {one["kind"] for one in made} == {"image", "mask"}


async def test_the_graph_in_tasks(build, store: MediaStore) -> None:
    def reply(messages: Sequence[AnyMessage]) -> Any:
        """Draw what was asked for; then edit it; then say how many messages there were."""
        name = messages[0].text
        done = sum(isinstance(message, ToolMessage) for message in messages)
        draw, edit = call("generate_image", command=name), call("edit_image", command=f"replace {name} with a star")
        return [[draw], [edit], f"{name}: {len(messages)}"][min(done, 2)]

    alone, together = (build(reply, saver=InMemorySaver())[0] for _ in range(2))

    async def talk(agent: Agent, number: int) -> None:
        for text in (f"thing {number}", "and again"):
            await agent.ainvoke({"messages": [user_turn(text)]}, config(number))

    await asyncio.gather(*(talk(together, number) for number in range(MANY)))
    for number in range(MANY):
        await talk(alone, number)
    wanted = [stands(alone, number) for number in range(MANY)]
    assert [stands(together, number) for number in range(MANY)] == wanted
    for number, (_, media) in enumerate(wanted):
        assert torch.equal(store.get_image(media[0]["uri"]), paint(f"thing {number}", seed=number))
    assert wanted[3][0][-1][1] == "thing 3: 7"
