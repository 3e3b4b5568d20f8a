"""Everything that can go wrong, as one small tree.

    VitronError
    ├── RetryableError        the planner may try again with other words
    │   ├── InvocationError       the call it wrote cannot be understood
    │   ├── MissingInputError     the call needs a picture, video or region that is not there
    │   └── NothingFoundError     the specialist ran and found nothing that matches
    └── FinalError            trying again would not help; the turn ends with this text
        ├── InputError            what the user gave is no good (the command line exits with 2)
        ├── DownloadError         an address may not be opened, does not answer, or holds something else
        ├── CheckpointError       weights are missing, damaged or of another shape
        ├── StorageError          the media store or the conversations are unreadable, full or damaged
        ├── MemoryExhausted       memory does not suffice, also after all that could leave it had left
        ├── BusyError             the conversation is at work on another turn
        └── Cancelled             somebody asked to stop

Every message is one line that names the bad value and the remedy. This file knows no other part of the library.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError

__all__ = [
    "BusyError",
    "Cancelled",
    "CheckpointError",
    "DownloadError",
    "FinalError",
    "InputError",
    "InvocationError",
    "MemoryExhausted",
    "MissingInputError",
    "NothingFoundError",
    "RetryableError",
    "StorageError",
    "VitronError",
    "first_message",
    "is_lack_of_memory",
    "is_text",
    "listed",
    "quoted",
]


class VitronError(Exception):
    """Root of the tree: catch this to catch everything the library raises on purpose."""


class RetryableError(VitronError):
    """The planner may try again: the text goes back to it as the result of its call."""


class InvocationError(RetryableError):
    """A call was written that cannot be understood.

    Attributes:
        source: the call as it was written, so that nothing of the reply is lost.
        region: the box that could be read from the broken call, (x1, y1, x2, y2) in [0, 1], or None.
    """

    def __init__(
        self, message: str, *, source: str = "", region: tuple[float, float, float, float] | None = None
    ) -> None:
        """Keep the message and what could be saved of the call."""
        super().__init__(message)
        self.source = source
        self.region = region


class MissingInputError(RetryableError):
    """A call needs a picture, a video or a region that the conversation does not have."""


class NothingFoundError(RetryableError):
    """A specialist ran well, and nothing in the picture matches what was asked."""


class FinalError(VitronError):
    """Trying again would not help: the turn ends, and this text is what the user reads."""


class InputError(FinalError):
    """What the user gave cannot be used: a file, a region, an option."""


class DownloadError(FinalError):
    """An address may not be opened, does not answer within the limits, or holds something else than it should."""


class CheckpointError(FinalError):
    """Weights are missing, damaged, or belong to another architecture."""


class StorageError(FinalError):
    """The media store or the stored conversations cannot be read or written, or what they hold is damaged."""


class MemoryExhausted(FinalError):
    """A specialist or the planner ran out of memory, also after all that could leave had left; smaller work may do."""


class BusyError(FinalError):
    """A conversation was at work on other turns for longer than this one would wait."""


class Cancelled(FinalError):
    """Somebody asked to stop, and the work stopped."""


def quoted(text: str, limit: int = 80) -> str:
    """Quote a bad value for an error: on one line, at most `limit` characters of it."""
    text = " ".join(text[: 10 * limit].split())
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def is_text(text: str) -> bool:
    """Whether a text can be written down: bytes that were no UTF-8, and half characters (lone surrogates), cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_LACK = ("can't allocate memory", "Cannot allocate memory")  # of torch on a CPU, and of the system


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the machine, has no memory left: one of torch's, or of any library's."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(sign in str(error) for sign in _LACK)


def first_message(error: "ValidationError") -> str:
    """The first of pydantic's complaints, on one line and without decoration."""
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")


def listed(names: "Sequence[str]", limit: int = 10) -> str:
    """Name the first `limit` of many, and say how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
