"""One turn at a time on one thread: two at once would each start from the same state, and one would be lost.

Turns on one thread run in the order in which they came; those on different threads do not know of each other. Within a
process a queue per thread sees to that; between processes that share a media folder, a lock file in it. This file
knows thread ids and locks, not graphs.
"""

import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from vitron_agent.errors import BusyError, InputError, StorageError
from vitron_agent.tools.stopping import STOP

try:
    import fcntl
except ImportError:  # Windows: no lock file; one process at a time is the user's care
    fcntl = None  # type: ignore[assignment]

PATIENCE = 300.0  # seconds to wait for one's turn


class Turn:
    """One run of a graph on one thread, from waiting to leaving."""

    def __init__(self, turns: "Turns", thread: str | None, stop: threading.Event | None, patience: float) -> None:
        """Take note; `Turns.enter` is what puts it into the queue.

        Args:
            turns: Where it queues.
            thread: The thread, or None to run at once.
            stop: An event of the caller's that stops it; None to make one.
            patience: Seconds to wait at most.
        """
        self._turns, self._thread, self._mine = turns, thread, stop is None
        self._deadline = time.monotonic() + patience
        self._file: IO[str] | None = None
        self.stop = stop or threading.Event()

    def ready(self) -> bool:
        """Whether it may run now. Ask again in a moment if not.

        Raises:
            BusyError: It has waited long enough.
            StorageError: The lock file cannot be written.
        """
        if self._thread is None:
            return True
        if self._turns.first(self._thread) is self and self._lock(self._thread):
            return True
        if time.monotonic() > self._deadline:
            busy = f"thread {self._thread[:60]!r} is still at work on another turn"
            raise BusyError(f"{busy}: wait, stop that turn, or close its stream")
        return False

    def __enter__(self) -> Self:
        """Begin to wait."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave, whatever happened."""
        self.leave()

    def abandon(self) -> None:
        """Tell whatever still works for this turn to stop; an event of the caller's is left alone."""
        if self._mine:
            self.stop.set()

    def leave(self) -> None:
        """Let the next one run."""
        self.abandon()
        if self._file is not None:
            Path(self._file.name).unlink(missing_ok=True)
            self._file.close()
            self._file = None
        if self._thread is not None:
            self._turns.remove(self._thread, self)

    def _lock(self, thread: str) -> bool:
        """Take the lock between processes; True where there is none to take."""
        folder = self._turns.folder
        if folder is None or fcntl is None:
            return True
        path = folder / f"{hashlib.sha256(thread.encode()).hexdigest()[:32]}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a")
        except OSError as error:
            raise StorageError(
                f"{folder} cannot be written ({error.strerror}): free or move the media folder"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            current = os.path.samestat(path.stat(), os.fstat(file.fileno()))
        except OSError:  # another has it
            current = False
        if current:
            self._file = file
        else:  # or its last holder has just removed it
            file.close()
        return current


class Turns:
    """The turns that run and wait, by thread."""

    def __init__(self, folder: Path | None = None, patience: float = PATIENCE) -> None:
        """Start with none.

        Args:
            folder: For lock files; None where no other process can reach the same conversations.
            patience: Seconds that a turn waits at most.
        """
        self.folder = folder
        self.patience = patience
        self._process = os.getpid()
        self._guard = threading.Lock()
        self._queues: dict[str, deque[Turn]] = {}

    def enter(self, thread: str | None, config: Mapping[str, Any]) -> Turn:
        """Queue a turn; it leaves when its `with` block ends.

        Args:
            thread: The thread, or None for a run that keeps nothing.
            config: Its `configurable` may hold an event of the caller's under `STOP`.
        """
        given = config.get("configurable", {}).get(STOP)
        turn = Turn(self, thread, given if isinstance(given, threading.Event) else None, self.patience)
        if thread is not None:
            with self._guard:
                self._queues.setdefault(thread, deque()).append(turn)
        return turn

    def check_process(self) -> None:
        """Make sure that this is the process that made them.

        Connections of databases must not be carried over a fork, and neither can locks that another thread holds, or
        the threads that torch computes with.

        Raises:
            InputError: It is a fork.
        """
        if os.getpid() != self._process:
            raise InputError(
                f"process {os.getpid()} is a fork of {self._process}, which built this agent: build the agent (and its "
                "checkpointer) in the new process, or start that with multiprocessing's 'spawn'"
            )

    def first(self, thread: str) -> Turn | None:
        """Return the turn that runs on a thread, or is the next to."""
        with self._guard:
            queue = self._queues.get(thread)
            return queue[0] if queue else None

    def remove(self, thread: str, turn: Turn) -> None:
        """Take a turn out of its queue."""
        with self._guard:
            queue = self._queues.get(thread, deque())
            if turn in queue:
                queue.remove(turn)
            if not queue:
                self._queues.pop(thread, None)
