"""Fits the six analytic shapes to a silhouette and says which one it is, where, and how large.

Knows shapes and coverage; nothing of colours or words. Each shape starts from the silhouette's area and centroid and is
refined by a few Gauss-Newton steps on centre and half side; the best soft IoU wins.
"""

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from vitron_agent.shapes.render import shape_distance
from vitron_agent.shapes.scene import SHAPES

AREAS: dict[str, float] = {
    "circle": math.pi,
    "square": 4.0,
    "triangle": 2.0,
    "star": 5 * 0.45 * math.sin(math.pi / 5),
    "cross": 8 * 0.38 - 4 * 0.38**2,
    "diamond": 2.0,
}
"""Area of each shape for half side 1."""
_CENTROID = {"triangle": 1 / 3}
"""How far below the bounding square's middle the centroid lies, in half sides (0 if not named)."""
_STEP = 0.25
"""Step of the numerical derivative, in pixels."""
_SOFTNESS = 1.3
"""Width of the model's edges in pixels: 1 is the renderer's; a little more stands blurred edges."""
_KEPT = 3
"""How many shapes are refined after the first ranking."""
_ROUNDS = 5
"""Gauss-Newton steps."""
_REACH, _CELLS = 2.0, 257
"""The distance tables span [-2, 2] half sides with this many grid points."""


Window = tuple[torch.Tensor, torch.Tensor]
"""Pixel centres of a cut-out: columns (W,) and rows (H,)."""


@dataclass(frozen=True)
class Fit:
    """A shape fitted to a silhouette.

    Attributes:
        shape: One of `SHAPES`.
        x: Centre, share of the width.
        y: Centre, share of the height.
        r: Half side of the bounding square, share of the side.
        iou: Soft intersection over union of silhouette and fitted shape, in [0, 1].
    """

    shape: str
    x: float
    y: float
    r: float
    iou: float


@functools.cache
def _distances(shape: str) -> torch.Tensor:
    """Table of signed distances to the unit shape, (1, 1, 257, 257): looking up is ten times faster than computing."""
    axis = torch.linspace(-_REACH, _REACH, _CELLS)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return shape_distance(shape, x, y)[None, None]


def _cover(shape: str, values: torch.Tensor, window: Window) -> torch.Tensor:
    """Coverage of the window's pixels by shapes with (x, y, r) in pixels: values (N, 3) -> (N, H, W)."""
    columns, rows = window
    r = values[:, 2, None, None].clamp_min(1.0)
    x, y = torch.broadcast_tensors(
        (columns[None, None, :] - values[:, 0, None, None]) / r, (rows[None, :, None] - values[:, 1, None, None]) / r
    )
    where = torch.stack([x, y], -1).flatten(0, 1)[None] / _REACH
    distance = F.grid_sample(_distances(shape), where, padding_mode="border", align_corners=True)
    return (0.5 - distance.view(x.shape) * r / _SOFTNESS).clamp(0, 1)


def _iou(cover: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Soft IoU of coverages (N, H, W) with one silhouette (H, W)."""
    return torch.minimum(cover, alpha).sum((1, 2)) / torch.maximum(cover, alpha).sum((1, 2)).clamp_min(1e-6)


def fit_shape(alpha: torch.Tensor) -> Fit:
    """Find the shape that explains a silhouette best.

    Args:
        alpha: (S, S) float in [0, 1], coverage of each pixel.

    Raises:
        ValueError: The silhouette is empty.
    """
    size = alpha.shape[-1]
    area = float(alpha.sum())
    if area <= 0:
        raise ValueError("the silhouette is empty; pass coverage with at least one pixel above 0")
    rows = (alpha.sum(1) > 0.25).nonzero()[:, 0]
    columns = (alpha.sum(0) > 0.25).nonzero()[:, 0]
    top, bottom = max(0, int(rows.min()) - 3), min(alpha.shape[0], int(rows.max()) + 4)
    left, right = max(0, int(columns.min()) - 3), min(size, int(columns.max()) + 4)
    alpha = alpha[top:bottom, left:right]
    window = (torch.arange(left, right) + 0.5, torch.arange(top, bottom) + 0.5)
    total = alpha.sum()
    centre = float((alpha.sum(0) * window[0]).sum() / total), float((alpha.sum(1) * window[1]).sum() / total)
    starts = []
    for shape in SHAPES:
        r = math.sqrt(float(total) / AREAS[shape])
        start = torch.tensor([[centre[0], centre[1] - _CENTROID.get(shape, 0.0) * r, r]])
        starts.append((float(_iou(_cover(shape, start, window), alpha)), shape, start))
    starts.sort(key=lambda entry: -entry[0])
    fits = (_refine(shape, start, alpha, window, size) for _, shape, start in starts[:_KEPT])
    return max(fits, key=lambda fit: fit.iou)


def _refine(shape: str, start: torch.Tensor, alpha: torch.Tensor, window: Window, size: int) -> Fit:
    """Gauss-Newton on (x, y, r) in pixels from `start` (1, 3); keeps the best value seen."""
    offsets = torch.cat([torch.zeros(1, 3), _STEP * torch.eye(3), -_STEP * torch.eye(3)])
    value, best = start, (-1.0, start)
    for _ in range(_ROUNDS + 1):
        cover = _cover(shape, value + offsets, window)
        iou = float(_iou(cover[:1], alpha))
        if iou > best[0]:
            best = (iou, value)
        jacobian = ((cover[1:4] - cover[4:7]) / (2 * _STEP)).flatten(1).T
        residual = (alpha - cover[0]).flatten()
        normal = jacobian.T @ jacobian + 1e-3 * torch.eye(3)
        move = torch.linalg.solve(normal, jacobian.T @ residual).clamp(-2, 2)
        value = value + move[None]
        if float(move.abs().max()) < 0.01:
            break
    x, y, r = (best[1][0] / size).tolist()
    return Fit(shape, x, y, r, best[0])
