"""Specialists stay loaded: built once, on first use, and run one call at a time.

Where a budget is given, those used longest ago leave before another is loaded, and work that does not fit beside other
work waits for it. Where one runs out of memory all the same, the others that are not at work leave it. Who has left an
accelerator waits on the shelf (`shelf.py`), as far as that has room, and comes back from there; else it is built again
when it is next asked for. This file knows builders, not models: which specialist is made from what stands in
`vitron_agent/registry.py`.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from vitron_agent.errors import MemoryExhausted
from vitron_agent.specialists.base import (
    Progress,
    Specialist,
    SpecialistRequest,
    SpecialistResult,
    Supplied,
    ignore_progress,
)
from vitron_agent.tools.budget import Budget
from vitron_agent.tools.memory import Attempt, attempts, give_back
from vitron_agent.tools.shelf import Shelf
from vitron_agent.tools.stopping import Check, held, never_stop

POLL = 0.05  # seconds between two looks at whether a call that waits for room shall stop


class Residents:
    """Specialists by name, each with its own lock, so that no two calls load or run it at once."""

    def __init__(
        self,
        builders: Mapping[str, Callable[[], Specialist]],
        budget: Budget | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        """Keep the builders; nothing is built yet.

        Args:
            builders: Name -> what builds the specialist.
            budget: What they may take together; None for all the memory there is.
            shelf: Where those wait that had to leave; None for nowhere.
        """
        self._builders = dict(builders)
        self._budget = budget or Budget()
        self._shelf = shelf or Shelf()
        self._locks = {name: threading.Lock() for name in builders}
        self._room = threading.Condition()  # guards what follows
        self._loaded: dict[str, Specialist] = {}  # the one used longest ago first
        self._working: set[str] = set()
        self._revisions: dict[str, str] = {}  # of those that are handed nothing besides

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `run` knows."""
        return tuple(self._builders)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of those that are in memory and ready to work, the one used longest ago first."""
        with self._room:
            return tuple(self._loaded)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The names of those that wait on the shelf, the one that came longest ago first."""
        with self._room:
            return self._shelf.names

    def revision(self, name: str, request: SpecialistRequest, check: Check = never_stop) -> str:
        """Return what a specialist's result depends on besides the request; it is loaded if it never was.

        That is which weights it has, and what it was handed for this request (`Supplied`): only the specialist itself
        knows that, so that such a one is loaded again if it had to leave. Raises as `run` does.
        """
        known = self._revisions.get(name)  # without its lock: a call at work must not hold up one that only asks
        if known is not None:
            return known
        with self._room:
            found = self._loaded.get(name)
        if found is None:
            with held(self._locks[name], check), self._at_work(name, check):
                for attempt in self._attempts(name):
                    with attempt:
                        found = self._load(name)
        assert found is not None  # else the attempts have raised
        handed = found.supplied(request) if isinstance(found, Supplied) else ""
        return f"{found.revision}-{handed}" if handed else found.revision

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
            MemoryExhausted: It does not fit the budget, which is said before it is loaded; or it ran out of memory
                twice, the second time without the other specialists in it.
            Cancelled: The progress callback asked to stop, or `check` did while another call was at work.
        """
        with held(self._locks[name], check), self._at_work(name, check):
            for attempt in self._attempts(name):
                with attempt:
                    result = self._load(name).run(request, progress)
        return result

    def _load(self, name: str) -> Specialist:
        """Return a specialist that is at work; if it is not there it is moved back, or built."""
        with self._room:
            if name in self._loaded:
                return self._loaded[name]
            waiting = self._shelf.take(name)
        if waiting is not None:
            waiting.move_to(self._shelf.device)  # one that fails half-way is let go, and built the next time
        built = self._builders[name]() if waiting is None else waiting
        with self._room:
            self._loaded[name] = built
            if not isinstance(built, Supplied):
                self._revisions[name] = built.revision
            self._budget.found(name, built)
            self._make_room(name)  # for what it takes indeed
        return built

    @contextlib.contextmanager
    def _at_work(self, name: str, check: Check) -> Iterator[None]:
        """Wait until there is room for a specialist and its work, and take it for as long as the block lasts."""
        with self._room:
            if lack := self._budget.lack(name):
                raise MemoryExhausted(lack)
            while not self._make_room(name):
                self._room.wait(POLL)
                check()
            self._working.add(name)
        try:
            yield
        finally:
            with self._room:
                self._working.discard(name)
                if name in self._loaded:
                    self._loaded[name] = self._loaded.pop(name)  # used last
                self._room.notify_all()

    def _make_room(self, name: str) -> bool:
        """Let idle ones leave, the one used longest ago first, until one fits with its work; whether it does."""
        leaving = iter([other for other in self._loaded if other != name and other not in self._working])
        gone = False
        while not (fits := self._budget.fits((*self._loaded, name), {*self._working, name})):
            other = next(leaving, None)
            if other is None:
                break
            self._leave(other, name)
            gone = True
        if gone:
            give_back()
        return fits

    def _attempts(self, name: str) -> Iterator[Attempt]:
        return attempts(name, partial(self._unload_others, name))

    def _unload_others(self, name: str) -> None:
        """Let every specialist leave that is not at work."""
        with self._room:
            for other in [other for other in self._loaded if other != name and other not in self._working]:
                self._leave(other, name)

    def _leave(self, name: str, wanted: str) -> None:
        """Let one leave the device for another; to the shelf, if that has room."""
        self._shelf.put(name, self._loaded.pop(name), self._budget.weights.get(name, 0.0), wanted)
