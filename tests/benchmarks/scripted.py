"""What the benchmarks of the graph share: a scripted planner and echo specialists that keep nothing, and a database."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from vitron_agent.build import build_agent
from vitron_agent.graphs import open_conversations
from vitron_agent.graphs.agent import Agent
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call

SEGMENT = call("segment_image", command="the red circle")
DRAW = call("generate_image", command="a red circle")
CONFIG: Any = {"configurable": {"thread_id": "talk"}}
NAMES = ("gligen", "gligen_inpaint", "seem")
Opened = Callable[[str], AbstractContextManager[SqliteSaver]]


class Forgetful(EchoSpecialist):
    """Keeps no requests, so that what grows is the graph."""

    def run(self, *arguments: Any) -> Any:
        self.requests.clear()
        return super().run(*arguments)


class Brief(ScriptedPlanner):
    """Keeps nothing of what it has seen but the last."""

    def _stream(self, *arguments: Any, **more: Any) -> Iterator[Any]:
        self.seen.clear()
        return super()._stream(*arguments, **more)


def planner(wish: dict[str, Any] = SEGMENT) -> ScriptedPlanner:
    """Segment (or whatever is wished), then say so."""
    return Brief(replies=[lambda messages: "Here." if messages[-1].type == "tool" else [wish]])


def agent_over(saver: SqliteSaver, store: MediaStore, wish: dict[str, Any] = SEGMENT) -> Agent:
    specialists = dict.fromkeys(NAMES, Forgetful)
    return build_agent(store=store, checkpointer=saver, planner=planner(wish), specialists=specialists)


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
