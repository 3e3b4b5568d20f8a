"""Ends a training run clearly, with its last good checkpoint kept: a loss that is no number, a full disk, a wrong file.

Knows where a run's checkpoint lies and at which step the run is; what is trained is the recipe's business.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from vitron_agent.errors import CheckpointError, StorageError, quoted


def check_finite(
    value: float, step: int, checkpoint: Path, what: str = "loss", parts: Mapping[str, float] | None = None
) -> None:
    """See to it that what a step is taken by is a number, before it spoils weights.

    Args:
        value: Loss, or norm of the gradient.
        step: How many steps were taken before.
        checkpoint: Of the run; it may not be there yet.
        what: Says which of them.
        parts: What a loss consists of, by name; those that are no numbers are named.

    Raises:
        CheckpointError: It is NaN or infinite; the message says at which step, in what, and what lies saved.
    """
    if math.isfinite(value):
        return
    bad = [name for name, part in (parts or {}).items() if not math.isfinite(part)]
    where = f" (in {', '.join(bad)})" if bad else ""
    raise CheckpointError(
        f"the {what} is {value} at step {step}{where}: the run has ended, {_kept(checkpoint)}; resume with a lower rate"
    )


def write_or_say(path: Path, write: Callable[[], object], step: int, checkpoint: Path) -> None:
    """Let `write` write to a path.

    Raises:
        StorageError: It cannot, mostly for want of space. What is half written to the checkpoint's folder is removed.
    """
    try:
        write()
    except (OSError, SafetensorError) as error:
        for half in checkpoint.parent.glob(f"{checkpoint.stem}.*.tmp"):
            half.unlink(missing_ok=True)
        raise StorageError(
            f"{quoted(str(path), 300)} cannot be written at step {step} ({_line(error)}): {_kept(checkpoint)}; "
            f"make room on the disk, then resume"
        ) from None


def log_or_say(path: Path, line: str, step: int, checkpoint: Path) -> None:
    """Append a line to a log.

    Raises:
        StorageError: It cannot be written, see `write_or_say`.
    """

    def write() -> None:
        with path.open("a") as log:
            log.write(line + "\n")

    write_or_say(path, write, step, checkpoint)


@contextmanager
def fitting(checkpoint: Path) -> Iterator[None]:
    """Within it a checkpoint is read.

    Raises:
        CheckpointError: What is read does not fit; the file stays as it is.
    """
    try:
        yield
    except (RuntimeError, KeyError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"{quoted(str(checkpoint), 300)} is damaged or of another architecture ({_line(error)}): "
            f"give the settings it was begun with, or another folder for the run"
        ) from None


def _kept(checkpoint: Path) -> str:
    return "the last good checkpoint is kept" if checkpoint.exists() else "there is no checkpoint yet"


def _line(error: Exception) -> str:
    """An error's message in one line."""
    return " ".join(str(error).split())[:200]
