"""Where things go: layouts for a request, and free places in a picture.

A planner has to learn these choices, so they hold no dice: one request has one layout, centres lie on a coarse grid,
and a size has few radii. Coordinates are shares of the side, origin top left; no words are known here but place names.
"""

from functools import lru_cache
from itertools import permutations, product

from vitron_agent.shapes.scene import GAP, MARGIN, Box, Obj, Scene, Size

SMALL_R, LARGE_R = 0.11, 0.18
"""What a resized or added object measures: half sides, shares of the picture."""
Point = tuple[float, float]
Relation = tuple[int, str, int]
"""First object's index, "left of" and so on, second object's index."""

_NEAR, _MID, _FAR = 0.25, 0.5, 0.75
_PLACES: dict[str | None, tuple[Point, ...]] = {
    "centre": ((0.5, 0.5),),
    "left": ((0.25, 0.5), (0.15, 0.5), (0.25, 0.25), (0.25, 0.75)),
    "right": ((0.75, 0.5), (0.85, 0.5), (0.75, 0.75), (0.75, 0.25)),
    "top": ((0.5, 0.25), (0.5, 0.15), (0.25, 0.25), (0.75, 0.25)),
    "bottom": ((0.5, 0.75), (0.5, 0.85), (0.75, 0.75), (0.25, 0.75)),
    "top left": ((0.25, 0.25), (0.15, 0.15)),
    "top right": ((0.75, 0.25), (0.85, 0.15)),
    "bottom left": ((0.25, 0.75), (0.15, 0.85)),
    "bottom right": ((0.75, 0.75), (0.85, 0.85)),
}
_FREE: dict[int, tuple[Point, ...]] = {
    1: ((0.5, 0.5),),
    2: ((0.25, 0.5), (0.75, 0.5), (0.5, 0.25), (0.5, 0.75), (0.25, 0.25), (0.75, 0.75), (0.75, 0.25), (0.25, 0.75)),
    3: ((0.25, 0.25), (0.75, 0.25), (0.5, 0.75), (0.25, 0.75), (0.75, 0.75), (0.5, 0.25), (0.25, 0.5), (0.75, 0.5)),
}
_RADII: dict[Size | None, tuple[float, ...]] = {
    "small": (SMALL_R, 0.10),
    "large": (LARGE_R, 0.16),
    None: (LARGE_R, 0.16, 0.13, SMALL_R),
}
APART = 0.15
"""Least distance of two centres along the axis of a relation that was asked for."""


def holds(word: str, a: Point, b: Point) -> bool:
    """Whether a relation clearly holds between two centres: by `APART`, and more than the other axis is off."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    along, across = {"left of": (dx, dy), "right of": (-dx, dy), "above": (dy, dx), "below": (-dy, dx)}[word]
    return along >= APART and along >= abs(across)


def _skew(word: str, a: Point, b: Point) -> float:
    """How far two related centres are out of line, weighed so that a straight line wins."""
    return 40 * abs(a[1] - b[1] if word in ("left of", "right of") else a[0] - b[0])


@lru_cache(maxsize=65536)
def layout(
    sizes: tuple[Size | None, ...], places: tuple[str | None, ...], relations: tuple[Relation, ...] = ()
) -> tuple[Box, ...] | None:
    """Boxes for the objects of a request.

    Args:
        sizes: Wished size per object, None for any.
        places: Wished place per object (names of `place_of`), None for any.
        relations: Wished relations between them.

    Returns:
        One (x_left, y_top, x_right, y_bottom) per object on two decimals, inside the picture, with a gap between them,
        all wishes met; None if that cannot be.
    """
    count = len(sizes)
    options = [_PLACES[place] if place else _free(count, i, relations) for i, place in enumerate(places)]
    for level in range(4):
        radii = [_RADII[size][min(level, len(_RADII[size]) - 1)] for size in sizes]
        best: tuple[float, tuple[Point, ...]] | None = None
        for choice in product(*(range(len(points)) for points in options)):
            points = tuple(options[i][k] for i, k in enumerate(choice))
            cost = sum(choice) + sum(_skew(word, points[a], points[b]) for a, word, b in relations)
            if best and cost >= best[0]:
                continue
            if not _fit(points, radii) or not all(holds(w, points[a], points[b]) for a, w, b in relations):
                continue
            best = cost, points
        if best:
            return tuple(box_at(x, y, r) for (x, y), r in zip(best[1], radii, strict=True))
    return None


def _free(count: int, index: int, relations: tuple[Relation, ...]) -> tuple[Point, ...]:
    """The places for an object that may be anywhere, most liked first: each object has another favourite."""
    points = _FREE[count]
    if any(word in ("above", "below") for _, word, _ in relations):
        points = tuple((y, x) for x, y in points)  # the same picture, turned
    return points[index:] + points[:index]


def _fit(points: tuple[Point, ...], radii: list[float]) -> bool:
    """Whether squares keep their gap and stay inside the picture."""
    for i, (x, y) in enumerate(points):
        r = radii[i]
        if min(x, y) - r < MARGIN - 1e-9 or max(x, y) + r > 1 - MARGIN + 1e-9:
            return False
        for j in range(i):
            if max(abs(x - points[j][0]), abs(y - points[j][1])) < r + radii[j] + GAP - 1e-9:
                return False
    return True


def box_at(x: float, y: float, r: float) -> Box:
    """The square around a centre, on two decimals."""
    return round(x - r, 2), round(y - r, 2), round(x + r, 2), round(y + r, 2)


_GRID = tuple(round(0.15 + 0.05 * i, 2) for i in range(15))
_SPOTS: tuple[Point, ...] = tuple(
    (x, y)
    for x, y in ((0.5, 0.5), (0.25, 0.5), (0.75, 0.5), (0.5, 0.25), (0.5, 0.75), *product((0.25, 0.75), repeat=2))
)


def free_place(
    scene: Scene, size: Size | None, place: str | None = None, beside: tuple[str, Obj] | None = None
) -> Box | None:
    """A box for a new object in a picture.

    Args:
        scene: What is there already.
        size: Wished size, None for any.
        place: Wished place.
        beside: Wished relation to an object that is there.

    Returns:
        The first free place in a fixed order (or the nearest on a 0.05 grid that keeps the relation), or None.
    """
    for r in _RADII[size] if size else (0.13, SMALL_R):
        for x, y in _candidates(place, beside, r):
            if all(max(abs(x - o.x), abs(y - o.y)) >= r + o.r + GAP for o in scene.objects) and _fit(((x, y),), [r]):
                return box_at(x, y, r)
    return None


def _candidates(place: str | None, beside: tuple[str, Obj] | None, r: float) -> tuple[Point, ...]:
    if beside is None:
        return _PLACES[place] if place else _SPOTS
    word, other = beside
    step = other.r + r + GAP
    dx, dy = {"left of": (-step, 0.0), "right of": (step, 0.0), "above": (0.0, -step), "below": (0.0, step)}[word]
    wanted = (other.x + dx, other.y + dy)
    points = [p for p in product(_GRID, _GRID) if holds(word, p, (other.x, other.y))]
    return tuple(sorted(points, key=lambda p: abs(p[0] - wanted[0]) + abs(p[1] - wanted[1])))


def in_line(count: int, axis: str) -> tuple[str | None, ...]:
    """Places for objects in a row ("x", left to right) or in a column ("y", top to bottom)."""
    first, last = ("left", "right") if axis == "x" else ("top", "bottom")
    return (first, last) if count == 2 else (first, "centre", last)


def all_wishes() -> list[tuple[str | None, ...]]:
    """Pairs of different places that two objects can have at once (a large object in each)."""
    named = [place for place in _PLACES if place]
    return [pair for pair in permutations(named, 2) if layout((None, None), pair) is not None]
