"""Two processes that talk at once: `address folder thread turns`, for test_postgres.py and test_conversations.py.

The address is PostgreSQL's, or a file `*.sqlite`. A thread `each` stands for one of its own for each of them.

Both are forked from this one, after the imports and before any connection, so that they begin at the same moment.
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch

from vitron_agent.graphs import make_agent, open_conversations, user_turn
from vitron_agent.media import MediaStore
from vitron_agent.testing import ScriptedPlanner


def opened(address: str) -> Any:
    """Open the conversations at an address."""
    if address.endswith(".sqlite"):
        return open_conversations(address)
    from langgraph.checkpoint.postgres import PostgresSaver

    return PostgresSaver.from_conn_string(address)


def talk(address: str, folder: Path, thread: str, name: str, turns: int) -> None:
    """Say `turns` things on the thread."""
    config: Any = {"configurable": {"thread_id": name if thread == "each" else thread}}
    planner = ScriptedPlanner(replies=[lambda messages: f"You said {messages[-1].text}."])
    with opened(address) as saver:
        agent = make_agent(planner, [], MediaStore(folder), saver)
        for turn in range(turns):
            agent.invoke({"messages": [user_turn(f"{name}{turn}")]}, config)


if __name__ == "__main__":
    torch.set_num_threads(1)
    address, folder, thread, turns = sys.argv[1:]
    children = []
    for name in "ab":
        if (child := os.fork()) == 0:
            talk(address, Path(folder), thread, name, int(turns))
            os._exit(0)
        children.append(child)
    sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
