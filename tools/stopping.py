"""Stopping what runs: a `threading.Event` under `config["configurable"]["stop"]`, looked at in every step.

Whoever sets the event, from whatever thread, stops the call within one step of its specialist. Our own agent hands its
event down by itself (`Agent.stop`); in another graph, or from plain Python, the caller puts one into the config.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vitron_agent.errors import Cancelled

STOP = "stop"  # its name in `config["configurable"]`
PATIENCE = 0.05  # seconds between two looks at the event while waiting for a lock

Check = Callable[[], None]
"""Raises `Cancelled` when the work shall stop."""


def never_stop() -> None:
    """Let the work go on: the check of who cannot be stopped."""


def check_for(config: Mapping[str, Any], *more: threading.Event) -> Check:
    """Return a check of the config's event and of further ones.

    Args:
        config: A runnable's config.
        *more: Events that stop the work too.
    """
    given = config.get("configurable", {}).get(STOP)
    events = [*more, given] if isinstance(given, threading.Event) else list(more)

    def check() -> None:
        if any(event.is_set() for event in events):
            raise Cancelled("the turn was stopped: ask again when you like")

    return check


@contextmanager
def held(lock: threading.Lock, check: Check) -> Iterator[None]:
    """Hold a lock; who waits for it can be stopped.

    Raises:
        Cancelled: `check` said so before the lock was free.
    """
    while not lock.acquire(timeout=PATIENCE):
        check()
    try:
        yield
    finally:
        lock.release()
