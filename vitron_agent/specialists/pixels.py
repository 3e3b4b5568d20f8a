"""From what networks compute to what pictures are: floats in a range become bytes. Knows tensors only."""

import torch
from torch import Tensor


def as_bytes(pixels: Tensor) -> Tensor:
    """Return float pixels, nominally in [0, 1] and of any shape, as uint8; what lies beyond is cut off."""
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)


def unit_range(decoded: Tensor) -> Tensor:
    """Return what a diffusers autoencoder decoded, nominally in [-1, 1], as float32 in [0, 1]."""
    return (decoded.float() / 2 + 0.5).clamp(0, 1)
