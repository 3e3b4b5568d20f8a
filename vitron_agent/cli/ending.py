"""Ending when asked to: by Ctrl-C (SIGINT), or by whatever supervises the process (SIGTERM).

A turn that runs is stopped at its next step and stored whole, then the program goes on to its end; a second signal does
not wait for that. This file knows signals, not conversations, and prints nothing.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """SIGTERM came. Like `KeyboardInterrupt`, no handler of errors may take it for one: the program ends."""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Raise `Terminated` where SIGTERM would kill: locks, temporary folders and half-written files are put away.

    A handler that is there already stays, and Python lets only the main thread change one.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def drained(stop: Callable[[], object]) -> Iterator[None]:
    """Let the first signal only stop the work of the block; what the signal means comes when the block is done.

    Args:
        stop: Makes the work end soon, in good order.

    Raises:
        Terminated: The signal was SIGTERM. (What Ctrl-C means is the work's to say.)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    came: list[int] = []

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: FrameType | None) -> None:
        came.append(number)
        restore()
        stop()

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        restore()
        if signal.SIGTERM in came:
            raise Terminated


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
