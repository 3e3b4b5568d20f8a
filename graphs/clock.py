"""A clock that was set back loses no turn.

LangGraph names checkpoints by the time of day, and takes the greatest name of a thread for where its conversation
stands. Within a process its names only grow. But after a clock was set right, or on another machine whose clock is
behind, a turn's checkpoints would sort before those of the last turn: it would run, answer, and be forgotten.

Nothing else in the library goes by the time of day: what lasts or waits is measured by clocks that cannot be set.
"""

import threading
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.base import id as names
from langgraph.checkpoint.memory import InMemorySaver

_guard = threading.Lock()


def outlasting(checkpointer: Any) -> BaseCheckpointSaver[Any] | None:
    """Return a checkpointer whose checkpoints may come from elsewhere, or None where all are of this process."""
    is_foreign = isinstance(checkpointer, BaseCheckpointSaver) and not isinstance(checkpointer, InMemorySaver)
    return checkpointer if is_foreign else None


def newest(config: RunnableConfig) -> RunnableConfig:
    """Return the config of a thread's newest checkpoint, whichever one a run begins at."""
    chosen = config.get("configurable", {})
    return {"configurable": {"thread_id": chosen["thread_id"], "checkpoint_ns": chosen.get("checkpoint_ns", "")}}


def go_on_after(stored: CheckpointTuple | None) -> None:
    """Let every checkpoint that this process names from now on sort behind a stored one."""
    try:
        stamp = UUID(stored.checkpoint["id"]) if stored else None
    except ValueError:  # another application's name
        return
    if stamp is not None and stamp.version == 6:
        with _guard:
            last = max(_ticks(stamp), names._last_v6_timestamp or 0)
            names._last_v6_timestamp = last  # type: ignore[assignment]  # it starts as None, without an annotation


def _ticks(stamp: UUID) -> int:
    """Return a version 6 id's time, in its units of 100 ns: the standard library of Python 3.11 does not know them."""
    return (stamp.int >> 80) << 12 | (stamp.int >> 64) & 0xFFF
