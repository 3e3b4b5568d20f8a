"""Where a new object goes, and how large: geometry of squares beside the boxes of what is there already.

Lengths are shares of the picture's side, boxes (x1, y1, x2, y2), origin top left. No pixels are known here, and no
words but those for sizes, places and relations.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import hypot

from vitron_agent.errors import NothingFoundError
from vitron_agent.invocation import RELATIONS
from vitron_agent.media import Box

GAP = 0.04  # kept free between a new object and the others
MARGIN = 0.02  # kept free between a new object and the picture's edge
APART = 0.15  # least distance of two centres that stand in a relation
BETWEEN = 0.12  # how far from their middle something still stands between two others
LOW, HIGH, CENTRE = 0.45, 0.55, 0.15  # "left" ends at 0.45, "right" begins at 0.55; the centre's radius
_SLACK = GAP / 2  # how much of the gap is given up before it is said that there is no room
_POINT = 2 / 64  # radius below which a box is a click
_STEP = 1 / 64
_CELLS = 32  # places that are tried, along a side


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


@dataclass(frozen=True)
class Spot:
    """Where an object is wanted.

    Attributes:
        holds: Whether it is there when its centre is at (x, y).
        liked: The centre that is liked best, for an object of radius r.
    """

    holds: Callable[[float, float], bool]
    liked: Callable[[float], tuple[float, float]]


def spot_at(place: str) -> Spot:
    """Return the spot that a place means: "left", "top right" and so on, or "centre"."""
    if place == "centre":
        return Spot(lambda x, y: hypot(x - 0.5, y - 0.5) <= CENTRE, lambda r: (0.5, 0.5))
    words = place.split()
    x = 0.25 if "left" in words else 0.75 if "right" in words else 0.5
    y = 0.25 if "top" in words else 0.75 if "bottom" in words else 0.5

    def holds(column: float, row: float) -> bool:
        return all(side == 0.5 or (at < LOW if side < 0.5 else at > HIGH) for side, at in ((x, column), (y, row)))

    return Spot(holds, lambda r: (x, y))


def spot_beside(relation: str, anchors: Sequence[Box]) -> Spot:
    """Return the spot that stands in a relation to objects: in one of `RELATIONS` to one, or "between" two."""
    if relation == "between":
        return _between(*anchors)
    dx, dy = RELATIONS[relation]
    column, row, radius = centre_of(anchors[0])

    def holds(x: float, y: float) -> bool:
        along, across = (x - column) * dx + (y - row) * dy, (x - column) * dy + (y - row) * dx
        return along >= APART and along >= abs(across)

    def liked(r: float) -> tuple[float, float]:
        step = radius + r + GAP
        return column + dx * step, row + dy * step

    return Spot(holds, liked)


def _between(first: Box, second: Box) -> Spot:
    """Return the spot around the middle of the gap between two objects, or of the line between their centres."""
    (x1, y1, r1), (x2, y2, r2) = centre_of(first), centre_of(second)
    length = hypot(x2 - x1, y2 - y1) or 1.0
    share = (r1 + (length - r1 - r2) / 2) / length
    column, row = x1 + share * (x2 - x1), y1 + share * (y2 - y1)
    return Spot(lambda x, y: hypot(x - column, y - row) <= BETWEEN, lambda r: (column, row))


def size_of(words: str) -> Size | None:
    """Return what the size word among the words asks for, or None if there is none."""
    return next((size for pattern, size in _SIZE_WORDS if pattern.search(words)), None)


def inside(box: Box, size: Size) -> Box:
    """Return the square in the middle of a box, as large as it and the size allow; a click is a box without extent."""
    x1, y1, x2, y2 = box
    r = min(x2 - x1, y2 - y1) / 2
    r = size.usual if r < _POINT else min(max(r, size.least), size.most)
    return square((x1 + x2) / 2, (y1 + y2) / 2, r, margin=0.0)


def centre_of(box: Box) -> tuple[float, float, float]:
    """Return centre x, centre y and radius (half the longer side) of a box."""
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, y2 - y1) / 2


def square(x: float, y: float, r: float, margin: float = MARGIN) -> Box:
    """Return the square of radius r around (x, y), moved inside the picture with a margin where it fits."""
    reach = min(r + margin, 0.5)
    x, y = min(max(x, reach), 1 - reach), min(max(y, reach), 1 - reach)
    return max(x - r, 0.0), max(y - r, 0.0), min(x + r, 1.0), min(y + r, 1.0)


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


def free_place(others: Sequence[Box], size: Size, spot: Spot | None = None) -> Box:
    """Return a square that keeps clear of the others, of the usual size or as large as fits.

    Args:
        others: Boxes of the objects that are there.
        size: What is allowed.
        spot: Where it shall be: there, the free place that is liked best. If None, the one with the most room around.

    Raises:
        NothingFoundError: not even the least radius fits there.
    """
    points = [(column / _CELLS, row / _CELLS) for row in range(1, _CELLS) for column in range(1, _CELLS)]
    rooms = {
        (x, y): min(min(x, y, 1 - x, 1 - y) - MARGIN, clearance((x, y, x, y), others) - GAP)
        for x, y in points
        if spot is None or spot.holds(x, y)
    }
    most = max(rooms.values(), default=-1.0)
    if most < size.least - _SLACK:
        raise NothingFoundError("there is no room for another object there: remove one first, or say another place")
    r = max(min(most, size.usual), size.least)
    if spot is None:
        return square(*max(rooms, key=lambda point: rooms[point]), r)
    x, y = spot.liked(r)
    free = [point for point, room in rooms.items() if room >= min(r, most)]
    return square(*min(free, key=lambda point: hypot(point[0] - x, point[1] - y)), r)
