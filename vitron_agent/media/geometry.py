"""Plane geometry on the unit square, for `regions.py`: which pixels a shape covers, and what a border cuts off.

Points are (x, y); pixel centres come as x (1, W) and y (H, 1), float64. This file does not know what a region is.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

Point = tuple[float, float]
Box = tuple[float, float, float, float]

MIN_AREA = 1e-9  # of the unit square: less is rounding, not area


def box_of(mask: Tensor) -> Box:
    """The smallest box (x1, y1, x2, y2) in [0, 1] around the set pixels of a mask, bool (H, W).

    Raises:
        ValueError: No pixel is set.
    """
    height, width = mask.shape
    rows, columns = mask.any(1).nonzero().flatten().tolist(), mask.any(0).nonzero().flatten().tolist()
    if not rows:
        raise ValueError("the mask is empty: no box is around nothing")
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def is_flat(points: Sequence[Point]) -> bool:
    """Whether all points lie on one line."""
    x0, y0 = points[0]
    x1, y1 = max(points, key=lambda p: (p[0] - x0) ** 2 + (p[1] - y0) ** 2)
    return all(abs((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) < MIN_AREA for x, y in points)


def pixel_centres(count: int) -> Tensor:
    """The centres of `count` pixels side by side on the unit interval: float64 (count,)."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def between(centres: Tensor, low: float, high: float) -> Tensor:
    """Which of evenly spaced pixel centres lie in [low, high): bool of the same shape, at least one of them True."""
    inside = (centres >= low) & (centres < high)
    if not inside.any():  # an interval between two centres: the pixel that holds its middle
        count = centres.numel()
        inside.view(-1)[min(int((low + high) / 2 * count), count - 1)] = True
    return inside


def inside_polygon(x: Tensor, y: Tensor, points: Sequence[Point]) -> Tensor:
    """Even-odd rule for pixel centres x (1, W) and y (H, 1): bool (H, W)."""
    inside = torch.zeros(y.shape[0], x.shape[1], dtype=torch.bool)
    for (x1, y1), (x2, y2) in pairwise([*points, points[0]]):
        if y1 == y2:
            continue  # a level edge is never crossed by a level ray
        crosses = (y1 <= y) != (y2 <= y)
        inside ^= crosses & (x < x1 + (y - y1) * ((x2 - x1) / (y2 - y1)))
    return inside


def near_line(x: Tensor, y: Tensor, points: Sequence[Point], radius: float) -> Tensor:
    """Which pixels lie along a line, at least so thick that no pixel slips through.

    Args:
        x: pixel centres (1, W).
        y: pixel centres (H, 1).
        points: the line's; a single one makes a disc.
        radius: half the thickness, in shares of the sides: on an oblong picture a disc becomes an ellipse.

    Returns:
        bool (H, W).
    """
    rx, ry = max(radius, 0.75 / x.numel()), max(radius, 0.75 / y.numel())
    near = torch.zeros(y.shape[0], x.shape[1], dtype=torch.bool)
    for (x1, y1), (x2, y2) in pairwise(points if len(points) > 1 else [*points, *points]):
        from_x, from_y, dx, dy = (x - x1) / rx, (y - y1) / ry, (x2 - x1) / rx, (y2 - y1) / ry
        length = dx * dx + dy * dy
        along = ((from_x * dx + from_y * dy) / length).clamp(0, 1) if length else torch.zeros(1, 1)
        near |= (from_x - along * dx) ** 2 + (from_y - along * dy) ** 2 <= 1
    return near


def clipped(points: list[Point], closed: bool) -> list[Point]:
    """Cut an outline (closed) or a line (open) to the unit square; empty where nothing of it lies inside.

    A line that leaves and comes back is joined along the border.
    """
    for axis in (0, 1):
        for border, keeps_above in ((0.0, True), (1.0, False)):
            points = _clipped_at(points, axis, border, keeps_above, closed)
    return points


def _clipped_at(points: list[Point], axis: int, border: float, keeps_above: bool, closed: bool) -> list[Point]:
    """One step of Sutherland and Hodgman's clipping, at one border of the unit square."""

    def is_kept(point: Point) -> bool:
        return point[axis] >= border if keeps_above else point[axis] <= border

    kept: list[Point] = []
    previous = points[-1] if points and closed else None
    for point in points:
        if previous is not None and is_kept(previous) != is_kept(point):
            share = (border - previous[axis]) / (point[axis] - previous[axis])
            other = previous[1 - axis] + share * (point[1 - axis] - previous[1 - axis])
            kept.append((border, other) if axis == 0 else (other, border))
        if is_kept(point):
            kept.append(point)
        previous = point
    return kept
