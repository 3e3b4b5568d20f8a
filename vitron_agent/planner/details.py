"""What the vision tower's last layer forgets: exact colours and edges, handed to the language model from its first one.

A tower that was trained to name things keeps names. Measured at toy size: from its last layer a shade is read no better
than the colour's name tells it (mean error .09 of the range), from the embeddings of the patches, which are linear in
the pixels, it can be. Osprey (osprey/model/layer.py) reads regions from several levels for the same reason. This file
knows patch features, no pictures or words.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitron_agent.planner.regions import filled

HEADS = 4
"""Places of a region that are looked at: the object that fills it, what lies around it, edges."""
_OUTSIDE = 1e-3  # coverage that patches outside a region count with, so that a head can look around it


class DetailEncoder(nn.Module):
    """Makes what is added to the tokens of pictures and regions, out of the tower's first and last features."""

    def __init__(self, d_vision: int, d_llm: int, pool: int, hidden: int = 256) -> None:
        """Add nothing at first: the last layers start at zero.

        Args:
            d_vision: Width of the tower's features, first and last.
            d_llm: Width of the language model.
            pool: Neighbouring patches per axis that share a picture token.
            hidden: Width of the hidden layers.
        """
        super().__init__()
        self.pool = pool
        self.picture = nn.Sequential(
            nn.Linear(pool**2 * d_vision, hidden), nn.GELU(), nn.Linear(hidden, d_llm, bias=False)
        )
        self.score = nn.Linear(2 * d_vision, HEADS, bias=False)
        self.region = nn.Sequential(
            nn.Linear(HEADS * d_vision, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, d_llm, bias=False),
        )
        last = (self.picture.get_parameter("2.weight"), self.region.get_parameter("4.weight"))
        for weight in (self.score.weight, *last):
            nn.init.zeros_(weight)

    def pictures(self, first: Tensor) -> Tensor:
        """What is added to picture tokens: each sees all its patches side by side, not their mean.

        Args:
            first: (B, P, d_vision) embeddings of the patches, row-major, P a square number.

        Returns:
            (B, P / pool**2, d_llm), row-major.
        """
        batch, count, width = first.shape
        side = round(count**0.5)
        grid = first.view(batch, side // self.pool, self.pool, side // self.pool, self.pool, width)
        beside = grid.transpose(2, 3).reshape(batch, count // self.pool**2, -1)
        added: Tensor = self.picture(beside)
        return added

    def regions(self, patches: Tensor, masks: Tensor) -> Tensor:
        """What is added to region tokens: patches under the mask, weighed by what the last layer takes them for.

        Args:
            patches: (N, P, 2 d_vision), last features before first ones.
            masks: (N, H, W) bool or float in [0, 1].

        Returns:
            (N, d_llm).
        """
        side = round(patches.shape[1] ** 0.5)
        coverage = F.adaptive_avg_pool2d(filled(masks).to(patches.dtype)[:, None], side).flatten(1)
        scores = self.score(patches) + (coverage + _OUTSIDE).log()[..., None]  # (N, P, heads)
        first = patches.chunk(2, -1)[1]
        seen = torch.einsum("nph,npd->nhd", scores.softmax(1), first).flatten(1)
        added: Tensor = self.region(seen)
        return added
