"""Ctrl-C in the middle of a turn: the work stops at its next step, then `KeyboardInterrupt` is raised as ever.

LangGraph and its tool nodes wait for their worker threads on the way out, so without this a notebook would hang until
the specialist is done. This file knows signals and turns, not graphs.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TypeVar

from vitron_agent.graphs.turns import Turn

Part = TypeVar("Part")


def interruptible(parts: Iterator[Part], turn: Turn) -> Iterator[Part]:
    """Yield the parts of a turn; Ctrl-C while the next one is made tells the turn's workers to stop.

    Between two parts, while the caller has control, Ctrl-C is none of ours.
    """
    while True:
        try:
            with _stopped_by_interrupt(turn):
                part = next(parts)
        except StopIteration:
            return
        yield part


@contextlib.contextmanager
def _stopped_by_interrupt(turn: Turn) -> Iterator[None]:
    """Put the turn's end before whatever Ctrl-C does now; Python lets only the main thread change that."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        turn.abandon()
        before(number, frame)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is stop:  # else `before` chose another, as the command line's does
            signal.signal(signal.SIGINT, before)
