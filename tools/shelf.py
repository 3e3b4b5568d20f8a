"""Where specialists wait that had to leave an accelerator: the machine's own memory, as far as it is given to them.

From there one is back in the time of a copy; one that is not there is read from disk again. This file moves specialists
and counts what they take; it does not know who is at work, or why one had to leave.
"""

import torch

from vitron_agent.errors import is_lack_of_memory
from vitron_agent.specialists.base import Movable, Specialist

HOST = "cpu"


class Shelf:
    """Specialists in the machine's memory, by name. One thread at a time may use it: `Residents` sees to that."""

    def __init__(self, device: str = HOST, total: float = 0.0) -> None:
        """Give it memory.

        Args:
            device: where specialists compute, and where they go back to; from a CPU there is nowhere to move to.
            total: MiB that those who wait may take together.
        """
        self.device = device
        self.total = 0.0 if torch.device(device).type == HOST else total
        self._waiting: dict[str, tuple[Movable, float]] = {}  # the one that came longest ago first

    @property
    def names(self) -> tuple[str, ...]:
        """Who waits, the one that came longest ago first."""
        return tuple(self._waiting)

    @property
    def taken(self) -> float:
        """MiB that those who wait take together."""
        return sum(size for _, size in self._waiting.values())

    def put(self, name: str, specialist: Specialist, size: float, wanted: str) -> None:
        """Move a specialist here, if it can be moved and fits; those that came longest ago are let go for it.

        Args:
            name: Under which it is taken back.
            specialist: In the caller's hands alone, and not at work.
            size: MiB of its weights.
            wanted: Who is about to be taken, and therefore stays.
        """
        if size + self._size(wanted) > self.total or not isinstance(specialist, Movable):
            return
        others = iter([other for other in self._waiting if other != wanted])
        while self.taken + size > self.total:
            del self._waiting[next(others)]
        try:
            specialist.move_to(HOST)
        except Exception as error:
            if not is_lack_of_memory(error):
                raise
            return  # the machine has less than it said: the disk has it still
        self._waiting[name] = specialist, size

    def take(self, name: str) -> Movable | None:
        """Hand over one that waits; None where it does not. It must be moved to `device` before it can work."""
        return self._waiting.pop(name, (None, 0.0))[0]

    def _size(self, name: str) -> float:
        """MiB that one takes here; 0 where it does not wait."""
        return self._waiting[name][1] if name in self._waiting else 0.0
