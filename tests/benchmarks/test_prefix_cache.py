"""The eighth turn of a conversation about eight pictures: with what was read before, and reading all anew.

Once with the planner alone and pictures of its own size: its own words, calls and what tools say of them stand between
the pictures; every second one was drawn. And once as an application has it, with photographs in a store.
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from rich.console import Console

from tests.benchmarks.test_checkpoints import photo
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.evaluation.metrics import median
from vitron_agent.invocation import Module
from vitron_agent.media import MediaStore
from vitron_agent.planner import AssistantTurn, UserTurn, VitronPlanner
from vitron_agent.planner.chat import ChatVitron
from vitron_agent.planner.processor import Turn
from vitron_agent.profiles import TINY
from vitron_agent.shapes.scene import sample_scene
from vitron_agent.tools.results import MADE

ROUNDS, FASTER = 15, 5.0  # at least this many times, the pictures encoded anew
LARGE = 2048  # side of photographs from which on the whole turn, six written ids included, is so much faster, too
SIDES = (1024, LARGE)
SCENES = [sample_scene(random.Random(f"picture {i}"), 2) for i in range(8)]
MODES = {"prefix cache": (2**27, True), "pictures kept": (0, True), "nothing kept": (0, False)}


def turns() -> Iterator[list[Turn]]:
    """What each turn begins with: a picture and a question, or a wish, a result with its picture, an answer."""
    for number, scene in enumerate(SCENES):
        first, second = (f"{o.colour} {o.shape}" for o in scene.objects)
        if number % 2:
            yield [UserTurn("what is in this picture, and where?", (picture_of(scene),))]
        else:
            yield [
                UserTurn(f"draw a {first} and a {second} on a {scene.background} background"),
                UserTurn(MADE, (picture_of(scene),)),
            ]


def test_the_eighth_turn_reads_only_what_is_new() -> None:
    assert TINY.folder is not None
    loaded = VitronPlanner.from_pretrained(TINY.folder / "planner")
    said: list[Turn] = []
    before: list[Turn] = []
    for beginnings in turns():
        for turn in beginnings:
            before, said = said[:-1], [*said, turn]
            output = loaded.reply(said, Module)
            said.append(AssistantTurn(output.text, output.invocations))
    now = said[:-1]
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in MODES}
    for _ in range(ROUNDS):
        for name, (prefix_bytes, has_seen) in MODES.items():
            planner = VitronPlanner(loaded.model, loaded.vocabulary, prefix_bytes)
            if has_seen:
                planner.reply(before, Module)
            start = time.perf_counter()
            pieces = planner.stream(now, Module)
            next(pieces, None)
            first = time.perf_counter() - start
            list(pieces)
            seconds[name].append((first, time.perf_counter() - start))
    words = {name: median([first for first, _ in both]) for name, both in seconds.items()}
    wholes = {name: median([whole for _, whole in both]) for name, both in seconds.items()}
    console = Console(width=110)
    console.print(f"\nturn 8, {output.prompt_tokens} tokens, {output.new_tokens} written:")
    for name in MODES:
        console.print(
            f"{name}: first word {words[name] * 1e3:.1f} ms ({words[name] / words['prefix cache']:.1f}x), "
            f"whole turn {wholes[name] * 1e3:.1f} ms ({wholes[name] / wholes['prefix cache']:.1f}x)"
        )
    assert words["nothing kept"] / words["prefix cache"] >= FASTER


@pytest.mark.parametrize("side", SIDES)
def test_the_eighth_turn_about_photographs_reads_only_what_is_new(tmp_path: Path, side: int) -> None:
    assert TINY.folder is not None
    store = MediaStore(tmp_path)
    chat = ChatVitron(planner=VitronPlanner.from_pretrained(TINY.folder / "planner"), store=store)
    said: list[HumanMessage | AIMessage] = []
    for number in range(8):
        handle = store.put_picture(photo(number, side)).uri
        image = {"type": "image", "file_id": handle}
        said.append(HumanMessage([image, {"type": "text", "text": "which colour is the background?"}]))
        said.append(AIMessage(chat.invoke(said).text))
    now, before = said[:-1], said[:-3]
    seconds: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for _ in range(ROUNDS // 2):
        for is_known, taken in seconds.items():
            chat.forget()
            if is_known:
                chat.invoke(before)
            start = time.perf_counter()
            pieces = chat.stream(now)
            next(pieces)
            first = time.perf_counter() - start
            list(pieces)
            taken.append((first, time.perf_counter() - start))
    known, anew = ([median(list(times)) for times in zip(*seconds[way], strict=True)] for way in (True, False))
    Console(width=110).print(
        f"\neight photographs of {side} x {side}, turn 8, known / read anew: "
        f"first word {known[0] * 1e3:.0f} / {anew[0] * 1e3:.0f} ms ({anew[0] / known[0]:.1f}x), "
        f"whole turn {known[1] * 1e3:.0f} / {anew[1] * 1e3:.0f} ms ({anew[1] / known[1]:.1f}x)"
    )
    assert anew[0] / known[0] >= FASTER
    assert side < LARGE or anew[1] / known[1] >= FASTER
