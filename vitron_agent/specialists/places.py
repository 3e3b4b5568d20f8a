"""Where each cell of a latent map lies, for UNets that are told so. Knows no UNet."""

import math

import torch
from torch import Tensor

# The frequencies in which diffusers' GLIGENTextBoundingboxProjection writes boxes: 100^(k/8), the six lowest.
_FREQUENCIES = tuple(100 ** (k / 8) for k in range(6))
POSITION_PLANES = 4 * len(_FREQUENCIES)


def position_planes(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Return sine and cosine of each cell's place, (1, 24, height, width), in the frequencies of the boxes.

    The published UNets have no such input (they read places off the zero padding, over months of training); the tiny
    one finds "am I inside this box" in minutes with it.
    """
    ys = (torch.arange(height, device=device) + 0.5) / height
    xs = (torch.arange(width, device=device) + 0.5) / width
    grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij"))  # (2, h, w)
    angles = torch.cat([grid * frequency for frequency in _FREQUENCIES])
    return torch.cat([angles.sin(), angles.cos()])[None] * math.sqrt(2)
