"""What the graph costs beside the models: seconds per superstep, and growth over two hundred turns.

Scripted planner and echo specialists; SQLite, written as LangGraph does by default (`durability="async"`).
"""

import ctypes
import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from rich.console import Console

from tests.benchmarks.scripted import CONFIG, DRAW, NAMES, SEGMENT, Forgetful, Opened, agent_over, database, planner
from vitron_agent.build import vitron_tools
from vitron_agent.evaluation.metrics import median
from vitron_agent.graphs import open_conversations, user_turn
from vitron_agent.media import MediaStore
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.testing import paint

OVERHEAD = 0.005  # seconds of a superstep, at most
WARM, ROUNDS = 4, 20
TURNS, PER_TURN = 200, 32 * 2**10  # at most these bytes of a turn in the database
SIDE, IN_USE, BLOCKS = 512, 96 * 2**10, 1000  # pictures, of 768 KiB each; at most so much more memory after each turn


def overhead(folder: Path, wish: dict[str, Any], opened: Opened) -> tuple[float, str]:
    """Seconds that a superstep costs beside the bare planner and specialist, and a line about it."""
    store, apart, script, specialist = (
        MediaStore(folder / "media"), MediaStore(folder / "apart"), planner(wish), Forgetful()
    )  # fmt: skip
    tools = vitron_tools(store=apart, specialists=dict.fromkeys(NAMES, Forgetful))
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


class Mallinfo(ctypes.Structure):
    """What glibc says about its memory."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def live() -> tuple[int, int]:
    """Return the bytes in use of what C allocates (pixels, SQLite), and how many blocks Python's objects take.

    The process's memory would be both and what the allocators hold free, which comes and goes by tens of megabytes.
    """
    gc.collect()
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = Mallinfo
    found = ask()
    return found.uordblks + found.hblkhd, sys.getallocatedblocks()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="memory is told by glibc from 2.33")
def test_two_hundred_turns_grow_by_handles_alone(tmp_path: Path) -> None:
    store, sizes, memory, files = MediaStore(tmp_path / "media"), [0], [], []
    with database(tmp_path / "talk.sqlite") as (saver, size, _):
        agent = agent_over(saver, store)
        for turn in range(1, TURNS + 1):
            picture = store.put_image(paint(f"picture {turn}", height=SIDE, width=SIDE))
            agent.invoke({"messages": [user_turn("cut it out", [picture])]}, CONFIG)
            if turn % (TURNS // 4) == 0:
                sizes.append(size())
                memory.append(live())
                files.append(len(os.listdir("/proc/self/fd")))
    Console().print(
        f"\n{TURNS} turns with a picture each, by quarters: database {[f'{n / 2**20:.2f}' for n in sizes[1:]]} MiB, "
        f"in use {[f'{n / 2**20:.1f}' for n, _ in memory]} MiB and {[f'{n:,}' for _, n in memory]} blocks, open files "
        f"{files}"
    )
    assert sizes[-1] < TURNS * PER_TURN
    assert sizes[-1] - sizes[-2] < 2 * sizes[1]  # by the turn, not by its square; one quarter may hold two snapshots
    bytes_grown, blocks_grown = (last - middle for middle, last in zip(memory[1], memory[-1], strict=True))
    assert bytes_grown < TURNS // 2 * IN_USE  # in the second half: the first fills caches
    assert blocks_grown < TURNS // 2 * BLOCKS
    assert files[-1] <= files[0]
