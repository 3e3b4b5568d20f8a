"""A mask shown over its picture, for people. This file knows pixels only."""

import torch
import torch.nn.functional as F
from torch import Tensor

TINT = (255, 64, 160)  # a pink that no object of the small world has
STRENGTH = 0.45


def overlay(image: Tensor, mask: Tensor) -> Tensor:
    """Tint the masked pixels and draw the mask's outline.

    Args:
        image: uint8 (3, H, W) RGB.
        mask: bool (H, W).

    Returns:
        uint8 (3, H, W): pixels away from the mask are untouched.
    """
    shown = image.clone()
    if not mask.any():
        return shown
    rows, columns = (_extent(mask.any(axis)) for axis in (1, 0))  # a photograph is large, and what is found small
    found, part = mask[rows, columns], image[:, rows, columns].float()
    tint = torch.tensor(TINT, dtype=torch.float32)[:, None, None]
    tinted = torch.where(found, part * (1 - STRENGTH) + tint * STRENGTH, part)
    shown[:, rows, columns] = torch.where(outline(found), tint, tinted).round().to(torch.uint8)
    return shown


def outline(mask: Tensor) -> Tensor:
    """Return the pixels of a mask, bool (H, W), with one of their 4 neighbours outside it; the border is outside."""
    padded = F.pad(mask, (1, 1, 1, 1))
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _extent(line: Tensor) -> slice:
    """Return the part of a line, bool (N,) and not all False, from its first to its last True."""
    places = line.nonzero()
    return slice(int(places[0]), int(places[-1]) + 1)
