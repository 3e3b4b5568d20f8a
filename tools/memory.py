"""Running out of memory: what can be given back is given back, the work is tried once more, then it is a final error.

Used around whatever runs a network, a specialist or the planner:

    for attempt in attempts("gligen", make_room):
        with attempt:
            return specialist.run(request)

This file knows what devices say when they are full; it does not know what is loaded, or how that is made to leave.
"""

import gc
import re
from collections.abc import Callable, Iterator
from types import TracebackType

import torch

from vitron_agent.errors import MemoryExhausted, is_lack_of_memory

TRIES = 2

_ASKED = re.compile(r"tried to allocate ([\d.]+ \w+)", re.IGNORECASE)
_FREE = re.compile(r"total capacity of ([\d.]+ \w+) of which ([\d.]+ \w+) is free")


def keep_all() -> None:
    """Give nothing back: for work whose maker keeps nothing that could leave."""


def always() -> bool:
    """Try again whenever there may be room."""
    return True


class Attempt:
    """One try: leaving its block by a lack of memory is not raised but noted; all other errors pass.

    Attributes:
        lack: What the device said about it, in short; None as long as memory has sufficed.
    """

    lack: str | None = None

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        """Note a lack of memory, and let go of the error: its traceback holds every tensor of the work."""
        if error is None or not is_lack_of_memory(error):
            return False
        self.lack = numbers(str(error))
        return True


def attempts(
    who: str, make_room: Callable[[], None] = keep_all, again: Callable[[], bool] = always
) -> Iterator[Attempt]:
    """Yield the tries of one piece of work, room being made after each that lacked memory; see the file's docstring.

    Args:
        who: What works, for the message.
        make_room: Lets go of what can be had again.
        again: Asked before the second try: False where what was already shown cannot be taken back.

    Raises:
        MemoryExhausted: No try had enough. The memory is free again, so that smaller work may follow.
    """
    for number in range(1, TRIES + 1):
        attempt = Attempt()
        yield attempt
        if attempt.lack is None:
            return
        make_room()
        give_back()
        if number == TRIES or not again():
            raise MemoryExhausted(
                f"{who} ran out of memory ({attempt.lack}): ask for a smaller picture, fewer frames or fewer steps, "
                "or use a smaller profile or another device"
            )


def give_back() -> None:
    """Free what nobody holds any more: cycles of Python's, and the blocks that CUDA keeps for later."""
    gc.collect()
    torch.cuda.empty_cache()  # nothing happens where CUDA is not in use


def numbers(said: str) -> str:
    """Return the numbers in what a device said, or its first words where it gave none."""
    parts = [f"{found[1]} more were needed" for found in [_ASKED.search(said)] if found]
    parts += [f"{found[2]} of {found[1]} were free" for found in [_FREE.search(said)] if found]
    return ", ".join(parts) or " ".join(said.split())[:80] or "no numbers are known"
