"""What the graph costs beside the models: seconds per superstep, and growth over two hundred turns.

Scripted planner and echo specialists; SQLite, written as LangGraph does by default (`durability="async"`).
"""

import os
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
MEMORY = 32 * 2**20  # at most so many bytes more in the end


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
