"""A warm process for test_crash.py: forks a child for each turn and kills it. No thread runs before a fork.

Reads lines `folder seconds`; answers `killed`, or `ended` where the child was done before.
"""

import os
import signal
import sys
import time
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


def run_turn(folder: Path) -> Any:
    """Start the turn, or go on with it; return the messages."""
    config: Any = {"configurable": {"thread_id": "t"}}
    with open_conversations(folder / "talk.sqlite") as saver:
        agent = agent_in(folder, saver)
        begun = bool(agent.get_state(config).values)
        inputs = None if begun else {"messages": [user_turn("do it all")]}
        return agent.invoke(inputs, config)["messages"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        folder, seconds = line.split()
        if (child := os.fork()) == 0:
            run_turn(Path(folder))
            os._exit(0)
        end, is_done = time.monotonic() + float(seconds), False
        while time.monotonic() < end and not is_done:
            is_done = os.waitpid(child, os.WNOHANG)[0] == child
            time.sleep(0 if is_done else 0.001)
        if not is_done:
            os.kill(child, signal.SIGKILL)
            is_done = not os.WIFSIGNALED(os.waitpid(child, 0)[1])
        print("ended" if is_done else "killed", flush=True)
