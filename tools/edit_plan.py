"""Where an edit may paint and what shall stand there: between a command and an editor's inputs.

An editor needs a mask (where pixels may change) and a layout (which object fills which box). Lengths are shares of the
picture's side, boxes (x1, y1, x2, y2). This file knows boxes and masks only: no specialist, no store.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vitron_agent import media
from vitron_agent.errors import NothingFoundError
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import Box
from vitron_agent.tools.placing import centre_of, fitting, size_of, square

GROWTH = 2 / 64  # how far an edit reaches beyond its object: soft edges of the old object must go with it
_COARSE = 64  # cells along a side, for telling parts of a mask apart
_EVEN = 0.85  # ratio of the sides above which a box is meant to be a square
_SPECK = 0.002  # share of the picture below which a part is noise
_CRUMB = 0.3  # share of the largest part's area below which another one is a crumb


@dataclass(frozen=True, eq=False)
class EditPlan:
    """What an editor is given besides the command.

    Attributes:
        mask: bool (H, W), where pixels may change.
        layout: the new object and its box; empty where nothing new comes.
    """

    mask: Tensor
    layout: tuple[GroundedPhrase, ...] = ()


def replacement(target: Tensor, new: str, others: Sequence[Box] = ()) -> EditPlan:
    """Plan to put a new object where the target is.

    Args:
        target: bool (H, W), the pixels of the old object.
        new: the new object in words; a size word in them makes it that size, else it keeps the old one's.
        others: boxes of the other objects, kept clear of where possible.
    """
    old = box_of(target)
    x, y, r = centre_of(old)
    size = size_of(new)
    if size is None or size.least <= r <= size.most:
        box = evened(old)
    else:
        box = fitting(x, y, size, others)
    mask = within(grown(old), target) | within(grown(box), target)
    return EditPlan(mask, (GroundedPhrase(phrase=phrase(new), box=rounded(box)),))


def removal(target: Tensor) -> EditPlan:
    """Plan to take away the target, bool (H, W), its soft edge included."""
    return EditPlan(within(grown(box_of(target)), target))


def new_background(objects: Tensor) -> EditPlan:
    """Plan to repaint everything but the objects, bool (H, W)."""
    return EditPlan(~objects)


def addition(new: str, place: Box, like: Tensor) -> EditPlan:
    """Plan to add an object, given in words, in a square.

    Args:
        new: the object.
        place: its square.
        like: any tensor (..., H, W) of the picture's size.
    """
    return EditPlan(within(grown(place), like), (GroundedPhrase(phrase=phrase(new), box=rounded(place)),))


def phrase(words: str) -> str:
    """Return words as a layout phrase: without the characters a phrase cannot hold."""
    return " ".join(re.sub(r"[,:;()\[\]<>|]", " ", words).split()) or "object"


def box_of(mask: Tensor) -> Box:
    """Return the bounding box of a mask, bool (H, W).

    Raises:
        NothingFoundError: the mask is empty.
    """
    if not mask.any():
        raise NothingFoundError("nothing was found to edit: say it with other words, or draw where it is")
    return media.box_of(mask)


def main_parts(mask: Tensor) -> Tensor:
    """Return a mask without its crumbs, bool (H, W): parts much smaller than the largest are a segmenter's mistakes."""
    labels = part_labels(mask)
    areas = torch.bincount(labels.flatten())
    areas[0] = 0
    return (areas >= max(float(areas.max()) * _CRUMB, 1.0))[labels]


def part_boxes(mask: Tensor) -> tuple[Box, ...]:
    """Return the boxes of a mask's parts, bool (H, W); specks of less than `_SPECK` of the picture are none."""
    labels = part_labels(mask)
    areas = torch.bincount(labels.flatten())
    found = [label for label in range(1, len(areas)) if areas[label] >= max(_SPECK * mask.numel(), 1)]
    return tuple(box_of(labels == label) for label in found)


def part_labels(mask: Tensor) -> Tensor:
    """Number the connected parts of a mask, bool (H, W): int64 (H, W), 0 outside.

    Parts are told apart on a coarse grid, so that large pictures cost no more than small ones.
    """
    height, width = mask.shape
    size = (min(height, _COARSE), min(width, _COARSE))
    coarse = F.adaptive_max_pool2d(mask[None, None].float(), size)
    labels = torch.arange(1.0, coarse.numel() + 1).reshape(coarse.shape) * coarse
    while True:  # every cell takes the greatest label around it, until each part has one label
        spread = F.max_pool2d(labels, 3, 1, 1) * coarse
        if torch.equal(spread, labels):
            break
        labels = spread
    fine = F.interpolate(labels, (height, width), mode="nearest")[0, 0].long() * mask
    return fine.unique(return_inverse=True)[1] if not fine.all() else fine.unique(return_inverse=True)[1] + 1


def evened(box: Box) -> Box:
    """Return a nearly square box as a square: a star's points, or a pixel too many, must not shape what comes."""
    x1, y1, x2, y2 = box
    x, y, r = centre_of(box)
    return square(x, y, r, margin=0.0) if min(x2 - x1, y2 - y1) >= 2 * r * _EVEN else box


def grown(box: Box, by: float = GROWTH) -> Box:
    """Return the box, larger by `by` on every side, inside the picture."""
    x1, y1, x2, y2 = box
    return max(x1 - by, 0.0), max(y1 - by, 0.0), min(x2 + by, 1.0), min(y2 + by, 1.0)


def rounded(box: Box) -> Box:
    """Return the box with two decimals, as planners write it."""
    x1, y1, x2, y2 = (round(value, 2) for value in box)
    return x1, y1, max(x2, x1 + 0.01), max(y2, y1 + 0.01)


def within(box: Box, like: Tensor) -> Tensor:
    """Return the pixels that a box touches, bool (H, W), for a picture of the size of `like` (..., H, W)."""
    height, width = like.shape[-2:]
    x1, y1, x2, y2 = box
    mask = torch.zeros(height, width, dtype=torch.bool)
    # rounding first: 0.3 * 64 must not become one pixel more because of its last binary digit
    left, top = int(round(x1 * width, 6)), int(round(y1 * height, 6))
    right, bottom = -int(-round(x2 * width, 6) // 1), -int(-round(y2 * height, 6) // 1)
    mask[top:bottom, left:right] = True
    return mask
