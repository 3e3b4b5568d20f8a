"""Writes a run's numbers for TensorBoard, where that is installed (`pip install 'vitron-agent[training]'`).

Knows names and numbers; which of them are worth writing is decided by the loop.
"""

import contextlib
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MISSING = "no TensorBoard log: tensorboard is not installed (pip install 'vitron-agent[training]')"


class Board:
    """The event files of one run, in a folder of its own; `tensorboard --logdir runs` shows all runs."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """Touch nothing yet: of several processes only those that write open files.

        Args:
            folder: Of the run; the files lie in its folder `tensorboard`.
            say: Takes the line which says, once, that there will be no log.
        """
        self.folder, self.say = folder / "tensorboard", say
        self._writer: Any = None
        self._opened = False

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers of one step; they can be read at once.

        What an earlier process of the run wrote for this step and later ones counts no more.

        Args:
            step: How many steps were taken.
            values: Name -> number.
        """
        if not self._opened:
            self._opened = True
            self._writer = self._open(step)
        if self._writer is None:
            return
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def _open(self, step: int) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.say(MISSING)
            return None
        writer = SummaryWriter(str(self.folder), purge_step=step)
        weakref.finalize(self, _close, writer)
        return writer


def _close(writer: Any) -> None:
    """Close a writer; where the disk is full, that was said already."""
    with contextlib.suppress(OSError):
        writer.close()
