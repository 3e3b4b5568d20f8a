"""What the graph costs beside the models: bytes and seconds per superstep, and growth over two hundred turns.

Scripted planner and echo specialists; SQLite, written as LangGraph does by default (`durability="async"`).
"""

import base64
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from rich.console import Console

from vitron_agent.build import build_agent, vitron_tools
from vitron_agent.evaluation.metrics import median
from vitron_agent.graphs import open_conversations, user_turn
from vitron_agent.graphs.agent import Agent
from vitron_agent.media import MediaStore, encode_png
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call, paint

PICTURES, SIDE = 8, 512
SMALLER, OVERHEAD = 100, 0.005  # at least this many times; at most these seconds
WARM, ROUNDS = 4, 20
TURNS, PER_TURN, MEMORY = 200, 32 * 2**10, 32 * 2**20  # at most these bytes: in the database, and of memory in the end
SEGMENT = call("segment_image", command="the red circle")
DRAW = call("generate_image", command="a red circle")
Opened = Callable[[str], AbstractContextManager[SqliteSaver]]
CONFIG: Any = {"configurable": {"thread_id": "talk"}}


class Forgetful(EchoSpecialist):
    """Keeps no requests, so that what grows is the graph."""

    def run(self, *arguments: Any) -> Any:
        self.requests.clear()
        return super().run(*arguments)


class Brief(ScriptedPlanner):
    """Keeps nothing of what it has seen."""

    def _stream(self, *arguments: Any, **more: Any) -> Iterator[Any]:
        self.seen.clear()
        return super()._stream(*arguments, **more)


def planner(wish: dict[str, Any] = SEGMENT) -> ScriptedPlanner:
    """Segments (or whatever is wished), then says so."""
    return Brief(replies=[lambda messages: "Here." if messages[-1].type == "tool" else [wish]])


@contextmanager
def database(
    path: Path, opened: Opened = open_conversations
) -> Iterator[tuple[SqliteSaver, Callable[[], int], Callable[[], int]]]:
    """Open a database: its saver, and functions that tell its bytes and its supersteps."""
    with opened(str(path)) as saver:

        def size() -> int:
            saver.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return path.stat().st_size

        def steps() -> int:
            return int(saver.conn.execute("SELECT count(*) FROM checkpoints").fetchone()[0])

        yield saver, size, steps


def agent_over(saver: SqliteSaver, store: MediaStore, wish: dict[str, Any] = SEGMENT) -> Agent:
    specialists = dict.fromkeys(("gligen", "gligen_inpaint", "seem"), Forgetful)
    return build_agent(store=store, checkpointer=saver, planner=planner(wish), specialists=specialists)


def pictures() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, 256, (3, SIDE, SIDE), generator=generator, dtype=torch.uint8) for _ in range(PICTURES)]


def with_base64(saver: SqliteSaver) -> Any:
    """The loop as tutorials have it: messages with pictures in them, as many supersteps to a turn."""
    script = planner()
    graph = StateGraph(MessagesState)
    for name in ("ingest", "repair", "observe"):
        graph.add_node(name, lambda state: {})
    graph.add_node("plan", lambda state: {"messages": [script.invoke(state["messages"])]})
    graph.add_node("tool", lambda state: {"messages": [answer(state["messages"][-1].tool_calls[0]["id"])]})
    for first, second in (("ingest", "repair"), ("repair", "plan"), ("tool", "observe"), ("observe", "plan")):
        graph.add_edge(first, second)
    graph.add_edge(START, "ingest")
    graph.add_conditional_edges("plan", lambda state: "tool" if state["messages"][-1].tool_calls else END)
    return graph.compile(checkpointer=saver)


def answer(call_id: str) -> Any:
    return {"role": "tool", "content": "Result: the red circle.", "tool_call_id": call_id}


def test_handles_are_small(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    measured: dict[str, tuple[float, float]] = {}
    for name, build in (("handles", lambda saver: agent_over(saver, store)), ("base64", with_base64)):
        with database(tmp_path / f"{name}.sqlite") as (saver, size, steps):
            graph = build(saver)
            start = time.perf_counter()
            for pixels in pictures():
                image = {
                    "type": "image",
                    "base64": base64.b64encode(encode_png(pixels)).decode(),
                    "mime_type": "image/png",
                }
                graph.invoke({"messages": [HumanMessage([image, {"type": "text", "text": "cut it out"}])]}, CONFIG)
            measured[name] = size() / steps(), (time.perf_counter() - start) / steps()
    (small, quick), (large, slow) = measured["handles"], measured["base64"]
    Console().print(
        f"\n{PICTURES} pictures of {SIDE}x{SIDE}: {small:,.0f} bytes and {quick * 1e3:.1f} ms a superstep with "
        f"handles, {large:,.0f} bytes and {slow * 1e3:.1f} ms with base64 ({large / small:.0f}x, {slow / quick:.1f}x)"
    )
    assert large / small >= SMALLER
    assert quick < slow


def overhead(folder: Path, wish: dict[str, Any], opened: Opened) -> tuple[float, str]:
    """Seconds that a superstep costs beside the bare planner and specialist, and a line about it."""
    store, apart, script, specialist = (
        MediaStore(folder / "media"), MediaStore(folder / "apart"), planner(wish), Forgetful()
    )  # fmt: skip
    tools = vitron_tools(store=apart, specialists=dict.fromkeys(("gligen", "gligen_inpaint", "seem"), Forgetful))
    tool, segments = next(t for t in tools if t.name == wish["name"]), wish is SEGMENT
    times: list[tuple[float, ...]] = []
    folder.mkdir()
    with database(folder / "talk.sqlite", opened) as (saver, _, steps):
        agent = agent_over(saver, store, wish)
        for number in range(WARM + ROUNDS):
            image, words = paint(f"picture {number}", height=64 + number), f"{wish['args']['command']} {number}"
            message, uri = user_turn("go on", [store.put_image(image)]), apart.put_image(image).uri
            config: Any = {"configurable": {"thread_id": str(number), "seed": number}}
            marks = [time.perf_counter()]
            said = agent.invoke({"messages": [message]}, config)["messages"]
            marks.append(time.perf_counter())
            script.invoke(said[:1])
            script.invoke(said[:3])
            marks.append(time.perf_counter())
            specialist.run(SpecialistRequest(words, image=image if segments else None))
            marks.append(time.perf_counter())
            tool.invoke({"command": words} | ({"picture": uri} if segments else {}))
            marks.append(time.perf_counter())
            times.append(tuple(end - start for start, end in zip(marks, marks[1:], strict=False)))
        each = steps() // len(times)
    turn, planned, bare, used = (median(list(seconds)) * 1e3 for seconds in zip(*times[WARM:], strict=True))
    cost = (turn - planned - bare) / each
    return cost / 1e3, (
        f"{wish['name']}, {each} supersteps: turn {turn:.1f} ms; planner {planned:.1f}, bare specialist {bare:.1f}, "
        f"tool with what it stores {used:.1f}; a superstep {cost:.2f} ms, without the tool's storing "
        f"{(turn - planned - used) / each:.2f}"
    )


@pytest.mark.parametrize("wish", [SEGMENT, DRAW], ids=["segment", "draw"])
def test_a_superstep_costs_little_beside_planner_and_specialist(tmp_path: Path, wish: dict[str, Any]) -> None:
    ours, said = overhead(tmp_path / "ours", wish, open_conversations)
    _, plain = overhead(tmp_path / "plain", wish, SqliteSaver.from_conn_string)
    console = Console(width=140)
    console.print(f"\n{said}\nthe same over SqliteSaver as it comes: {plain}")
    assert ours < OVERHEAD


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
def test_two_hundred_turns_grow_by_handles_alone(tmp_path: Path) -> None:
    store, sizes, memory, files = MediaStore(tmp_path / "media"), [0], [], []
    with database(tmp_path / "talk.sqlite") as (saver, size, _):
        agent = agent_over(saver, store)
        for turn in range(1, TURNS + 1):
            picture = store.put_image(paint(f"picture {turn}", height=256, width=256))
            agent.invoke({"messages": [user_turn("cut it out", [picture])]}, CONFIG)
            if turn % (TURNS // 4) == 0:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                sizes.append(size())
                memory.append(pages * os.sysconf("SC_PAGE_SIZE"))
                files.append(len(os.listdir("/proc/self/fd")))
    Console().print(
        f"\n{TURNS} turns with a picture each, by quarters: database {[f'{n / 2**20:.2f}' for n in sizes[1:]]} MiB, "
        f"memory {[f'{n / 2**20:.0f}' for n in memory]} MiB, open files {files}"
    )
    assert sizes[-1] < TURNS * PER_TURN
    assert sizes[-1] - sizes[-2] < 2 * sizes[1]  # by the turn, not by its square; one quarter may hold two snapshots
    assert memory[-1] - memory[0] < MEMORY
    assert files[-1] <= files[0]
