"""A training run that keeps its last good checkpoint: a loss that is no number, or a full disk, ends it clearly.

Knows the loop's `Run` only; what is trained is the recipe's business.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from vitron_agent.errors import CheckpointError, StorageError, quoted
from vitron_agent.training.loop import Run
from vitron_agent.training.peers import Peers


class GuardedRun(Run):
    """`Run` whose checkpoint is never replaced by a bad or a broken one."""

    def advance(
        self,
        loss: Tensor,
        samples: int,
        parts: Mapping[str, float] | None = None,
        clip: float = 1.0,
        factor: float | None = None,
        peers: Peers | None = None,
    ) -> None:
        """Takes one step, as `Run.advance`; weights that a bad loss would spoil are left as they are.

        Raises:
            CheckpointError: The loss is NaN or infinite; the message says at which step, in what, and what lies saved.
        """
        if not bool(loss.detach().isfinite()):
            bad = [name for name, value in (parts or {}).items() if value != value or abs(value) == float("inf")]
            what = f" (in {', '.join(bad)})" if bad else ""
            raise CheckpointError(
                f"the loss is {float(loss.detach())} at step {self.step}{what}: the run has ended, {self._kept()}; "
                f"resume with a lower rate (`--set lr=...`)"
            )
        super().advance(loss, samples, parts, clip, factor, peers)

    def save(self) -> None:
        """Writes the checkpoint, as `Run.save`.

        Raises:
            StorageError: It cannot be written, mostly for want of space; the last one stays as it was.
        """
        try:
            self.written(self.path, super().save)
        finally:
            for half in self.path.parent.glob(f"{self.path.stem}.*.tmp"):
                half.unlink(missing_ok=True)

    def written(self, path: Path, write: Callable[[], None]) -> None:
        """Lets `write` write to a path.

        Raises:
            StorageError: It cannot, mostly for want of space.
        """
        try:
            write()
        except (OSError, SafetensorError) as error:
            reason = _line(error)
            raise StorageError(
                f"{quoted(str(path), 300)} cannot be written at step {self.step} ({reason}): {self._kept()}; "
                f"make room on the disk, then resume"
            ) from None

    def _kept(self) -> str:
        return "the last good checkpoint is kept" if self.path.exists() else "there is no checkpoint yet"

    def _load(self) -> None:
        try:
            super()._load()
        except (RuntimeError, KeyError, ValueError, SafetensorError) as error:
            raise CheckpointError(
                f"{quoted(str(self.path), 300)} is damaged or of another architecture ({_line(error)}): "
                f"give the settings it was begun with, or another --run folder"
            ) from None


def _line(error: Exception) -> str:
    """An error's message in one line."""
    return " ".join(str(error).split())[:200]
