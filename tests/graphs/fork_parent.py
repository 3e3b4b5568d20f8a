"""A process for test_fork.py: builds and uses agents, forks, and prints as JSON what parent and child saw."""

import json
import multiprocessing
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from langgraph.checkpoint.base import BaseCheckpointSaver

from vitron_agent.errors import VitronError
from vitron_agent.graphs import make_agent, open_conversations, user_turn
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call
from vitron_agent.tools import Residents, Toolbox, make_tools

CONFIG: Any = {"configurable": {"thread_id": "t"}}
FORK = multiprocessing.get_context("fork")


def agent_over(folder: Path, saver: BaseCheckpointSaver[Any] | None, echo: Any = EchoSpecialist) -> Any:
    store = MediaStore(folder / "media")
    tools = make_tools(Toolbox(store, Residents({name: echo for name in ("gligen", "gligen_inpaint", "seem")})))
    draw = call("generate_image", command="a red circle")
    script = ScriptedPlanner(replies=[lambda messages: "Here." if messages[-1].type == "tool" else [draw]])
    return make_agent(script, tools, store, saver)


def turn(agent: Any, text: str) -> list[str]:
    state = agent.invoke({"messages": [user_turn(text)]}, CONFIG)
    return [m.text for m in state["messages"] if m.type == "human"]


def tried(act: Callable[[], Any]) -> Any:
    """What an action returns, or the error of ours that it raises."""
    try:
        return act()
    except VitronError as error:
        return f"{type(error).__name__}: {error}"


def in_a_fork(act: Callable[[], Any]) -> Any:
    """Return what a forked child sees, or that it hangs."""
    mine, theirs = FORK.Pipe()
    child = FORK.Process(target=lambda: theirs.send(act()))
    child.start()
    seen = mine.recv() if mine.poll(30) else "hangs"
    child.join(30)
    return [seen, child.exitcode]


def shared(folder: Path) -> dict[str, Any]:
    """A child tries the parent's agent, a new one over the parent's connection, and one of its own."""
    with open_conversations(folder / "talk.sqlite") as saver:
        agent = agent_over(folder, saver)
        turn(agent, "parent")

        def child() -> list[Any]:
            seen = [
                tried(lambda: turn(agent, "child")),
                tried(lambda: agent.get_state(CONFIG)),
                tried(lambda: list(agent.get_state_history(CONFIG))),
                tried(lambda: agent.update_state(CONFIG, {"rounds": 1})),
                tried(lambda: turn(agent_over(folder, saver), "child")),
                tried(lambda: turn(agent_over(folder, None), "alone")),
            ]
            with open_conversations(folder / "talk.sqlite") as own:
                return [*seen, tried(lambda: turn(agent_over(folder, own), "child of its own"))]

        seen = in_a_fork(child)
        return {"child": seen, "parent": turn(agent, "parent again"), "whole": integrity(saver)}


def at_work(folder: Path) -> dict[str, Any]:
    """A child is forked while another thread of the parent runs a turn, with locks held."""
    begun, end = threading.Event(), threading.Event()

    class Slow(EchoSpecialist):
        def run(self, request: Any, progress: Any = None) -> Any:
            begun.set()
            end.wait(60)
            return super().run(request)

    with open_conversations(folder / "talk.sqlite") as saver:
        agent, seen = agent_over(folder, saver, Slow), []
        thread = threading.Thread(target=lambda: seen.append(turn(agent, "parent")))
        thread.start()
        begun.wait(60)
        child = in_a_fork(lambda: [tried(lambda: turn(agent, "child"))])
        end.set()
        thread.join(60)
        return {"child": child, "parent": [*seen[0], *turn(agent, "parent again")[1:]], "whole": integrity(saver)}


def alone(folder: Path) -> dict[str, Any]:
    """A child tries an agent that keeps no conversations."""
    agent = agent_over(folder, None)
    turn(agent, "parent")
    return {"child": in_a_fork(lambda: [tried(lambda: turn(agent, "child"))]), "parent": turn(agent, "parent again")}


def integrity(saver: Any) -> str:
    return str(saver.conn.execute("pragma integrity_check").fetchone()[0])


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({"shared": shared, "at_work": at_work, "alone": alone}[sys.argv[1]](Path(sys.argv[2]))))
