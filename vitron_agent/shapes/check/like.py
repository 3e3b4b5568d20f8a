"""How far a result is from its example: shade, place, size, speed. Errors are numbers, 0 where nothing is off.

Reads pictures and frames with the checkers; it does not know how requests were worded, or who made the result.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vitron_agent.shapes.check.compare import NEAR
from vitron_agent.shapes.check.read import read_scene
from vitron_agent.shapes.clip import DIRECTIONS, Motion
from vitron_agent.shapes.scene import Obj

SURE = 0.5
"""A silhouette that fits its best shape worse than this IoU is a speck."""
STILL = 0.03
"""What moves less than this over a clip, share of the side, has no speed that could be compared."""


@dataclass(frozen=True)
class Likeness:
    """How far an object is from what it should be exactly like.

    Attributes:
        shade: Distance of the mean colours in RGB, channels in [0, 1]: 0 to 1.73.
        place: Distance of the centres, share of the picture's side.
        size: Factor between the sizes, less 1: 0.25 is a quarter too large, or as much too small.
    """

    shade: float
    place: float
    size: float


def factor_off(found: float, wanted: float) -> float:
    """The factor between two positive numbers, less 1: 0 for equal ones, 1 for double or half."""
    return max(found, wanted) / min(found, wanted) - 1


def find_like(image: torch.Tensor, wanted: Obj, others: Sequence[Obj] = ()) -> Obj | None:
    """Find the object that stands for `wanted`: of its shape, and none of the others; of several the nearest.

    Args:
        image: (3, S, S) uint8, or float in [0, 1].
        wanted: What it should be exactly.
        others: The objects besides it, as they should be: what stands where one of them should is that one.
    """
    read = read_scene(image)
    found = [o for o, fit in zip(read.scene.objects, read.confidences, strict=True) if fit >= SURE]
    for other in others:
        here = [o for o in found if o.shape == other.shape and math.hypot(o.x - other.x, o.y - other.y) <= NEAR]
        if here:
            found.remove(min(here, key=lambda o: _unlike(o, other)))
    candidates = [o for o in found if o.shape == wanted.shape]
    return min(candidates, key=lambda o: math.hypot(o.x - wanted.x, o.y - wanted.y), default=None)


def _unlike(found: Obj, other: Obj) -> float:
    return math.dist(found.rgb, other.rgb) + math.hypot(found.x - other.x, found.y - other.y)


def likeness(image: torch.Tensor, wanted: Obj, others: Sequence[Obj] = ()) -> Likeness | None:
    """Measure how far a picture's object is from what it should be exactly; None where it is not there at all.

    Args:
        image: (3, S, S) uint8, or float in [0, 1].
        wanted: What the object should be exactly.
        others: The objects besides it, as they should be.
    """
    found = find_like(image, wanted, others)
    if found is None:
        return None
    place = math.hypot(found.x - wanted.x, found.y - wanted.y)
    return Likeness(math.dist(found.rgb, wanted.rgb), place, factor_off(found.r, wanted.r))


def speed_error(frames: torch.Tensor, wanted: Obj, motion: Motion) -> float | None:
    """Measure how far an object's speed is from what it should be: the factor, less 1.

    The speed is the slope of a straight line through the object's places along the motion's direction, in the frames in
    which something of its shape or colour is seen.

    Args:
        frames: (T, 3, S, S) uint8, or float in [0, 1], T at least 2; RGB.
        wanted: The object in the first frame.
        motion: How it should move over all frames; a direction.

    Returns:
        The error, or None where the object is seen in less than half of the frames, or moves elsewhere or not at all.

    Raises:
        ValueError: The motion is no direction, or there is one frame only.
    """
    path = _path(frames, wanted, motion)
    speed = None if path is None else _speed(path, motion, len(frames))
    return None if speed is None else factor_off(speed, motion.amount)


def reach_error(frames: torch.Tensor, wanted: Obj, motion: Motion) -> float | None:
    """Measure how far from where it should be an object ends, as a share of the picture's side.

    Args:
        frames: (T, 3, S, S) uint8, or float in [0, 1], T at least 2; RGB.
        wanted: The object in the first frame.
        motion: How it should move over all frames; a direction.

    Returns:
        The distance, or None where the object is not seen in the last frame or in less than half of all, or moves
        elsewhere or not at all.

    Raises:
        ValueError: The motion is no direction, or there is one frame only.
    """
    path = _path(frames, wanted, motion)
    if path is None or _speed(path, motion, len(frames)) is None or path[-1][0] < len(frames) - 1:
        return None
    dx, dy = DIRECTIONS[motion.name]
    end = path[-1][1]
    return math.hypot(end.x - wanted.x - dx * motion.amount, end.y - wanted.y - dy * motion.amount)


def _path(frames: torch.Tensor, wanted: Obj, motion: Motion) -> list[tuple[int, Obj]] | None:
    """The numbers of the frames in which the object is seen, and it; None where these are less than half."""
    if motion.name not in DIRECTIONS:
        raise ValueError(f"{motion.name!r} leads nowhere that could be compared: give one of {', '.join(DIRECTIONS)}")
    if len(frames) < 2:
        raise ValueError(f"{len(frames)} frames show no motion: give at least 2")
    path, last = [], wanted
    for number, frame in enumerate(frames):
        found = _follow(frame, wanted, last)
        if found is not None:
            last = found
            path.append((number, found))
    return path if len(path) >= max(2, len(frames) / 2) else None


def _speed(path: Sequence[tuple[int, Obj]], motion: Motion, count: int) -> float | None:
    """How far it goes in the motion's direction over `count` frames; None where that is elsewhere or nowhere."""
    dx, dy = DIRECTIONS[motion.name]
    times = [number / (count - 1) for number, _ in path]
    speed = _slope(times, [obj.x * dx + obj.y * dy for _, obj in path])
    return speed if speed >= STILL else None


def _follow(frame: torch.Tensor, wanted: Obj, last: Obj) -> Obj | None:
    """What of its colour or shape is nearest to where it was last, both before either."""
    read = read_scene(frame)
    sure = [o for o, fit in zip(read.scene.objects, read.confidences, strict=True) if fit >= SURE]
    alike = [o for o in sure if o.colour == wanted.colour or o.shape == wanted.shape]

    def key(found: Obj) -> tuple[bool, float]:
        both = found.colour == wanted.colour and found.shape == wanted.shape
        return not both, math.hypot(found.x - last.x, found.y - last.y)

    return min(alike, key=key, default=None)


def _slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of the straight line with the least squares."""
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)
