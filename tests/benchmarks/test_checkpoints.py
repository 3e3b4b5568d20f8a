"""What a checkpoint costs: bytes, and seconds to write it, with handles and with pictures as base64 in the messages.

Both conversations are told the same, turn by turn in turn, with photographs as people send them. What is timed is the
writing alone, serialisation and SQLite, of databases opened alike; `durability="sync"`, so that nothing else computes
meanwhile. A whole turn is printed beside it: ours also decodes each photograph, keeps its file as it came, and keeps
its mask as PNG, once.
"""

import base64
import io
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from PIL import Image
from rich.console import Console

from tests.benchmarks.scripted import CONFIG, agent_over, database, planner
from tests.benchmarks.timing import seconds_of
from vitron_agent.evaluation.metrics import median
from vitron_agent.media import MediaStore

PHOTOS = 8
SMALLER = 100  # at least so many times
QUICKER = {1024: 25, 2048: 100}  # likewise, by the photographs' side: 0.4 MB and 1.6 MB each; a phone's have 3 MB


class Timed(SqliteSaver):
    """Notes the seconds of each write: of a superstep's state, and of what its tasks have done."""

    @classmethod
    def over(cls, saver: SqliteSaver) -> "Timed":
        timed = cls(saver.conn, serde=saver.serde)
        timed.states, timed.writes = [], []  # lists, for a graph compiled in strict mode holds a copy
        return timed

    def put(self, *arguments: Any) -> Any:
        return noted(self.states, super().put, *arguments)

    def put_writes(self, *arguments: Any) -> Any:
        return noted(self.writes, super().put_writes, *arguments)

    def each(self) -> float:
        """Return the seconds of writing a superstep, over those since it was last asked."""
        taken = sum([*self.states, *self.writes]) / len(self.states)
        self.states.clear()
        self.writes.clear()
        return taken


def noted(seconds: list[float], write: Any, *arguments: Any) -> Any:
    start = time.perf_counter()
    done = write(*arguments)
    seconds.append(time.perf_counter() - start)
    return done


def photo(seed: int, side: int) -> bytes:
    """Return a JPEG, smooth with grain, as cameras make them."""
    generator = torch.Generator().manual_seed(seed)
    smooth = torch.rand(1, 3, 24, 24, generator=generator)
    smooth = torch.nn.functional.interpolate(smooth, size=(side, side), mode="bicubic")[0]
    grain = 0.05 * torch.randn(3, side, side, generator=generator)
    pixels = ((smooth + grain).clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


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


def message(data: bytes) -> Any:
    image = {"type": "image", "base64": base64.b64encode(data).decode(), "mime_type": "image/jpeg"}
    return {"messages": [HumanMessage([image, {"type": "text", "text": "cut it out"}])]}


@pytest.mark.parametrize("side", QUICKER)
def test_handles_are_small_and_quickly_written(tmp_path: Path, compare: Any, side: int) -> None:
    with (
        database(tmp_path / "ours.sqlite") as (ours, our_size, our_steps),
        database(tmp_path / "theirs.sqlite") as (theirs, their_size, their_steps),
    ):
        savers = Timed.over(ours), Timed.over(theirs)
        graphs = agent_over(savers[0], MediaStore(tmp_path / "media")), with_base64(savers[1])
        turns, writes = [], []
        for number in range(PHOTOS):
            said = message(photo(number, side))
            turns.append([seconds_of(partial(g.invoke, said, CONFIG, durability="sync")) for g in graphs])
            writes.append([saver.each() for saver in savers])
        assert our_steps() == their_steps()
        smaller = compare(
            f"checkpoint, handles / base64, {side} x {side}",
            "KiB",
            *(size() / our_steps() / 1024 for size in (our_size, their_size)),
        )
    quicker = compare(
        f"writing it, {side} x {side}", "ms", *(median(list(way)) * 1e3 for way in zip(*writes, strict=True))
    )
    taken = " / ".join(f"{median(list(way)) * 1e3:.0f}" for way in zip(*turns, strict=True))
    Console().print(f"\n{PHOTOS} photographs of {side} x {side}, a turn each: whole turns {taken} ms (median)")
    assert smaller >= SMALLER
    assert quicker >= QUICKER[side]
