"""Embeddings of the panoptic class names: computed once, and for published weights kept in a file beside them.

134 names in 81 sentences each take minutes on a CPU. Knows phrases, rows and a file, no pictures.
"""

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vitron_agent.specialists.seem.config import SeemConfig

AT_ONCE = 1024  # phrases that are encoded together

_log = logging.getLogger(__name__)

Embed = Callable[[list[str]], Tensor]
"""Phrases -> embeddings (N, C)."""


def embed_classes(config: SeemConfig, embed: Embed) -> Tensor:
    """Embed the classes: (K, C) unit rows, each the mean over its templates.

    Args:
        config: names the classes, at least one, and the templates.
        embed: encodes phrases.
    """
    phrases = [template.format(name) for name in config.classes for template in config.templates]
    if len(phrases) > AT_ONCE:
        _log.warning("SEEM reads the names of its %d classes; on a CPU this takes minutes, once", len(config.classes))
    parts = [embed(phrases[start : start + AT_ONCE]) for start in range(0, len(phrases), AT_ONCE)]
    rows = F.normalize(torch.cat(parts), dim=-1).unflatten(0, (-1, len(config.templates)))
    return F.normalize(rows.mean(1), dim=-1)


@dataclass(frozen=True)
class ClassFile:
    """A file of class embeddings, and what they must have been made of to be of use.

    Attributes:
        path: a safetensors file, which may be missing.
        revision: of the weights.
    """

    path: Path
    revision: str

    def read(self, config: SeemConfig, like: Tensor) -> Tensor | None:
        """Return the rows (K, C) for these names, with device and dtype of `like`; None where they are not there."""
        try:
            with safe_open(self.path, "pt") as file:
                known = (file.metadata() or {}).get("of") == self._key(config, like)
                return file.get_tensor("classes").to(like) if known else None
        except (OSError, SafetensorError):
            return None

    def write(self, config: SeemConfig, rows: Tensor) -> None:
        """Keep rows; a folder that may not be written to, or is full, has them computed again the next time."""
        whole = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            save_file({"classes": rows.cpu().contiguous()}, whole, {"of": self._key(config, rows)})
            whole.replace(self.path)  # at once: others may be reading
        except (OSError, SafetensorError):
            whole.unlink(missing_ok=True)

    def _key(self, config: SeemConfig, rows: Tensor) -> str:
        """Stand for weights, precision, names and sentences."""
        made_of = (self.revision, str(rows.dtype), config.classes, config.templates)
        return hashlib.sha256(repr(made_of).encode()).hexdigest()
