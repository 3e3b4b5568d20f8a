"""A warm process for test_crash.py: forks a child for each turn and kills it. No thread runs before a fork.

Reads lines `folder seconds`; answers `killed`, or `ended` where the child was done before. With a third word, `commit`
or a name in `POINTS`, the child kills itself when it comes there for the third time.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from langgraph.checkpoint.sqlite import SqliteSaver

from vitron_agent.graphs import make_agent, open_conversations, user_turn
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call
from vitron_agent.tools import Residents, Toolbox, make_tools

CHAIN = [
    call("generate_image", command="a red circle"),
    call("segment_image", command="the red circle"),
    call("edit_image", command="replace the red circle with a blue circle"),
    call("segment_image", command="the blue circle"),
    call("edit_image", command="remove the blue circle"),
]


class Logged(EchoSpecialist):
    """Writes down each computation, on disk before it goes on."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = log

    def run(self, request: Any, progress: Any = None) -> Any:
        with self._log.open("a") as file:
            file.write(f"{request.command}\n")
            file.flush()
            os.fsync(file.fileno())
        time.sleep(0.005)
        return super().run(request)


def agent_in(folder: Path, saver: SqliteSaver) -> Any:
    store, echo = MediaStore(folder / "media"), Logged(folder / "log")
    residents = Residents({name: lambda: echo for name in ("gligen", "gligen_inpaint", "seem")})

    def next_step(messages: list[Any]) -> Any:
        done = sum(m.type == "tool" for m in messages)
        return [CHAIN[done] | {}] if done < len(CHAIN) else "Done."

    return make_agent(ScriptedPlanner(replies=[next_step]), make_tools(Toolbox(store, residents)), store, saver)


POINTS: dict[str, tuple[Any, str]] = {
    "planner": (ScriptedPlanner, "_stream"),  # asked, and nothing answered
    "tool": (EchoSpecialist, "_result"),  # in the middle of the work
    "file": (os, "replace"),  # a file is written, and has no name yet
    "receipt": (MediaStore, "link"),  # pictures are stored, and nobody knows which work made them
    "checkpoint": (SqliteSaver, "put"),  # a step is done, and not stored
}


def dying(function: Callable[..., Any], counts: Callable[..., bool] = lambda *_, **__: True) -> Callable[..., Any]:
    """Make the third of the calls that count this process's end."""
    left = [3]

    def call_or_die(*arguments: Any, **more: Any) -> Any:
        left[0] -= counts(*arguments, **more)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **more)

    return call_or_die


def arm(point: str) -> Any:
    """Let this process end at a point; what is returned is for the database connection."""
    if point == "commit":  # all of a step is written, and not yet valid
        return dying(lambda statement: None, lambda statement: statement == "COMMIT")
    owner, name = POINTS[point]
    setattr(owner, name, dying(getattr(owner, name)))
    return None


def run_turn(folder: Path, point: str = "") -> Any:
    """Start the turn, or go on with it; return the messages."""
    config: Any = {"configurable": {"thread_id": "t"}}
    with open_conversations(folder / "talk.sqlite") as saver:
        saver.conn.set_trace_callback(arm(point) if point else None)
        agent = agent_in(folder, saver)
        begun = bool(agent.get_state(config).values)
        inputs = None if begun else {"messages": [user_turn("do it all")]}
        return agent.invoke(inputs, config)["messages"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        folder, seconds, *point = line.split()
        if (child := os.fork()) == 0:
            run_turn(Path(folder), *point)
            os._exit(0)
        end, ended, status = time.monotonic() + float(seconds), 0, 0
        while time.monotonic() < end and not ended:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0 if ended else 0.001)
        if not ended:
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
        print("killed" if os.WIFSIGNALED(status) else "ended", flush=True)
