"""Specialists stay loaded: built once, on first use, and run one call at a time.

Where one runs out of memory, the others that are not at work leave it; each is built again when it is next asked for.
This file knows builders, not models: which specialist is made from what stands in `vitron_agent/build.py`.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from vitron_agent.specialists.base import Progress, Specialist, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.tools.memory import Attempt, attempts
from vitron_agent.tools.stopping import Check, held, never_stop


class Residents:
    """Specialists by name, each with its own lock, so that no two calls load or run it at once."""

    def __init__(self, builders: Mapping[str, Callable[[], Specialist]]) -> None:
        """Keep the builders; nothing is built yet."""
        self._builders = dict(builders)
        self._locks = {name: threading.Lock() for name in builders}
        self._loaded: dict[str, Specialist] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `run` knows."""
        return tuple(self._builders)

    def revision(self, name: str, check: Check = never_stop) -> str:
        """Return which weights a specialist has, loading it first if need be. Raises as `run` does."""
        loaded = self._loaded.get(name)  # without its lock: a call at work must not hold up one that only asks
        if loaded is None:
            with held(self._locks[name], check):
                for attempt in self._attempts(name):
                    with attempt:
                        loaded = self._load(name)
        assert loaded is not None  # else the attempts have raised
        return loaded.revision

    def run(
        self,
        name: str,
        request: SpecialistRequest,
        progress: Progress = ignore_progress,
        check: Check = never_stop,
    ) -> SpecialistResult:
        """Run one request, loading the specialist first if need be; where memory does not suffice, once more.

        Raises:
            KeyError: No specialist has this name (a mistake of the caller's).
            CheckpointError: Its weights are missing or broken; the next call tries again.
            RetryableError: Whatever the specialist says about the request.
            MemoryExhausted: It ran out of memory twice, the second time without the other specialists in it.
            Cancelled: The progress callback asked to stop, or `check` did while another call was at work.
        """
        with held(self._locks[name], check):
            for attempt in self._attempts(name):
                with attempt:
                    result = self._load(name).run(request, progress)
        return result

    def _load(self, name: str) -> Specialist:
        if name not in self._loaded:
            self._loaded[name] = self._builders[name]()
        return self._loaded[name]

    def _attempts(self, name: str) -> Iterator[Attempt]:
        return attempts(name, partial(self._unload_others, name))

    def _unload_others(self, name: str) -> None:
        """Let go of every specialist that is not at work."""
        for other, lock in self._locks.items():
            if other != name and lock.acquire(blocking=False):
                self._loaded.pop(other, None)
                lock.release()
