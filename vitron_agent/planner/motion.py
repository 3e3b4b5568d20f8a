"""The planner's sense of motion: what moved how, added to the tokens of a video's frames.

The paper takes the mean over time, which forgets motion; the frames' own tokens (see model.py) hold it only as places
to be compared token by token. Convolutions over all frames at once see it where it happens, as the adapters do that
make video models of picture models (ST-Adapter, Pan et al. 2022). This file knows patch features, no pictures or words.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MotionEncoder(nn.Module):
    """Turns the patch features of a video's frames into what is added to each frame's tokens."""

    def __init__(self, d_vision: int, d_llm: int, frames: int, reduced: int = 48, hidden: int = 128) -> None:
        """Add nothing at first: the last layer starts at zero.

        Args:
            d_vision: Width of the tower's patch features.
            d_llm: Width of the language model.
            frames: Frames that are looked at in a video.
            reduced: Width to which each frame's features are brought before the frames are laid on each other.
            hidden: Width of the convolutions; three of them see 7 x 7 patches.
        """
        super().__init__()
        self.frames = frames
        self.reduce = nn.Sequential(nn.LayerNorm(d_vision), nn.Linear(d_vision, reduced))
        self.mix = nn.Sequential(
            nn.Conv2d(frames * reduced, hidden, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.GELU(),
        )
        self.write = nn.Linear(hidden, frames * d_llm)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    def forward(self, patches: Tensor, pool: int) -> Tensor:
        """Encode videos.

        Args:
            patches: (B, F, P, d_vision), row-major, P a square number.
            pool: Neighbouring patches per axis that share a token.

        Returns:
            (B, F, P / pool**2, d_llm).
        """
        count, frames, places, _ = patches.shape
        side = round(places**0.5)
        reduced = self.reduce(patches).movedim(2, -1)  # (B, F, reduced, P)
        mixed: Tensor = self.mix(reduced.reshape(count, -1, side, side))
        pooled = F.avg_pool2d(mixed, pool).flatten(2).movedim(1, 2)
        written: Tensor = self.write(pooled)
        return torch.stack(written.chunk(frames, -1), 1)
