"""Where an edit may paint and what shall stand there: geometry between a command and an editor's inputs.

An editor needs a mask (where pixels may change) and a layout (which object fills which box). Lengths are shares of the
picture's side, boxes (x1, y1, x2, y2). This file knows boxes and masks only: no specialist, no store, no language but
the words for size.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vitron_agent.errors import NothingFoundError
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import Box

GROWTH = 2 / 64  # how far an edit reaches beyond its object: soft edges of the old object must go with it
GAP = 0.04  # kept free between a new object and the others
MARGIN = 0.02  # kept free between a new object and the picture's edge


@dataclass(frozen=True)
class Size:
    """What a size word asks for, as radii: half the side of an object's square."""

    least: float
    usual: float
    most: float


SMALL, LARGE = Size(0.09, 0.11, 0.13), Size(0.15, 0.18, 0.22)
ANY = Size(SMALL.least, LARGE.usual, LARGE.most)
_SIZE_WORDS = (
    (re.compile(r"\b(?:small|smaller|tiny|little|mini)\b", re.IGNORECASE), SMALL),
    (re.compile(r"\b(?:large|larger|big|bigger|huge|giant)\b", re.IGNORECASE), LARGE),
)
_STEP = 1 / 64
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


def addition(new: str, box: Box | None, others: Sequence[Box], like: Tensor) -> EditPlan:
    """Plan to add an object.

    Args:
        new: the object in words.
        box: where, if somebody said so: a square of the object's possible sizes is taken at its middle. Else the place
            with the most room.
        others: boxes of the objects that are there.
        like: any tensor (..., H, W) of the picture's size.

    Raises:
        NothingFoundError: no place has room for it.
    """
    size = size_of(new) or ANY
    place = inside(box, size) if box else free_place(others, size)
    return EditPlan(within(grown(place), like), (GroundedPhrase(phrase=phrase(new), box=rounded(place)),))


def inside(box: Box, size: Size) -> Box:
    """Return the square in the middle of a box, as large as it and the size allow; a click is a box without extent."""
    x1, y1, x2, y2 = box
    r = min(x2 - x1, y2 - y1) / 2
    r = size.usual if r < GROWTH else min(max(r, size.least), size.most)
    return square((x1 + x2) / 2, (y1 + y2) / 2, r, margin=0.0)


def size_of(words: str) -> Size | None:
    """Return what the size word among the words asks for, or None if there is none."""
    return next((size for pattern, size in _SIZE_WORDS if pattern.search(words)), None)


def phrase(words: str) -> str:
    """Return words as a layout phrase: without the characters a phrase cannot hold."""
    return " ".join(re.sub(r"[,:;()\[\]<>|]", " ", words).split()) or "object"


def box_of(mask: Tensor) -> Box:
    """Return the bounding box of a mask, bool (H, W).

    Raises:
        NothingFoundError: the mask is empty.
    """
    height, width = mask.shape
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    if not len(rows):
        raise NothingFoundError("nothing was found to edit: say it with other words, or draw where it is")
    left, top = int(columns[0]) / width, int(rows[0]) / height
    return left, top, (int(columns[-1]) + 1) / width, (int(rows[-1]) + 1) / height


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


def centre_of(box: Box) -> tuple[float, float, float]:
    """Return centre x, centre y and radius (half the longer side) of a box."""
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, y2 - y1) / 2


def evened(box: Box) -> Box:
    """Return a nearly square box as a square: a star's points, or a pixel too many, must not shape what comes."""
    x1, y1, x2, y2 = box
    x, y, r = centre_of(box)
    return square(x, y, r, margin=0.0) if min(x2 - x1, y2 - y1) >= 2 * r * _EVEN else box


def square(x: float, y: float, r: float, margin: float = MARGIN) -> Box:
    """Return the square of radius r around (x, y), moved inside the picture with a margin where it fits."""
    reach = min(r + margin, 0.5)
    x, y = min(max(x, reach), 1 - reach), min(max(y, reach), 1 - reach)
    return max(x - r, 0.0), max(y - r, 0.0), min(x + r, 1.0), min(y + r, 1.0)


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


def clearance(box: Box, others: Iterable[Box]) -> float:
    """Return the least gap between a box and the others along the axis that separates them; negative: they overlap."""
    x1, y1, x2, y2 = box
    gaps = (max(a1 - x2, x1 - a2, b1 - y2, y1 - b2) for a1, b1, a2, b2 in others)
    return min(gaps, default=1.0)


def fitting(x: float, y: float, size: Size, others: Sequence[Box]) -> Box:
    """Return a square around (x, y) of a size that keeps clear of the others.

    The usual radius is tried first, then smaller ones, then places aside; if all are too close to something, the one
    with the most room is taken.
    """
    steps = int(round((size.usual - size.least) / _STEP, 6))
    radii = [size.usual - step * _STEP for step in range(steps + 1)]
    shifts = [(dx * _STEP, dy * _STEP) for dx in range(-8, 9) for dy in range(-8, 9)]
    shifts.sort(key=lambda shift: shift[0] ** 2 + shift[1] ** 2)
    tries = [square(x, y, r) for r in radii] + [square(x + dx, y + dy, radii[-1]) for dx, dy in shifts]
    clear = next((box for box in tries if clearance(box, others) >= GAP), None)
    return clear or max(tries, key=lambda box: clearance(box, others))


def free_place(others: Sequence[Box], size: Size) -> Box:
    """Return the square with the most room around it, of the usual size or as large as fits.

    Raises:
        NothingFoundError: not even the least radius fits anywhere.
    """
    best, most = (0.5, 0.5), -1.0
    points = [(column / 32, row / 32) for row in range(1, 32) for column in range(1, 32)]
    for x, y in points:
        edge = min(x, y, 1 - x, 1 - y) - MARGIN
        room = min(edge, clearance((x, y, x, y), others) - GAP)
        if room > most + 1e-9:
            best, most = (x, y), room
    if most < size.least - 1e-9:
        raise NothingFoundError("there is no room for another object: remove one first, or say where it shall go")
    return square(*best, min(most, size.usual))
