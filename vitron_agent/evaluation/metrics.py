"""Numbers for the report: overlap of masks, likeness of pictures, and how sure a rate or a mean is.

Knows tensors and counts only. Definitions of the two IoUs as in the referring segmentation papers: cIoU sums over the
whole set before dividing, gIoU is the mean of the pictures' IoUs (not the "generalised IoU" of boxes).
"""

import math
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from scipy import ndimage

Interval = tuple[float, float]
Value = TypeVar("Value")
Z95 = 1.959964
"""Quantile of the normal distribution for a two-sided 95% interval."""


def overlap(found: torch.Tensor, truth: torch.Tensor) -> tuple[int, int]:
    """Intersection and union of two masks in pixels.

    Args:
        found: (H, W) bool.
        truth: (H, W) bool.

    Raises:
        ValueError: The shapes differ.
    """
    if found.shape != truth.shape:
        raise ValueError(f"masks of {tuple(found.shape)} and {tuple(truth.shape)} cannot be compared; pass equal sizes")
    return int((found & truth).sum()), int((found | truth).sum())


def c_iou(overlaps: Sequence[tuple[float, float]]) -> float:
    """Sum of intersections over sum of unions; 1 where nothing was to be found and nothing was found.

    Args:
        overlaps: (intersection, union) of each picture, in pixels or in shares of the picture.
    """
    union = sum(pair[1] for pair in overlaps)
    return sum(pair[0] for pair in overlaps) / union if union else 1.0


def g_iou(overlaps: Sequence[tuple[float, float]]) -> float:
    """Mean of the pictures' IoUs, 1 for a picture where both masks are empty."""
    return mean([i / u if u else 1.0 for i, u in overlaps])


def j_and_f(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Mean over frames of region similarity J (IoU) and contour accuracy F, as DAVIS measures tracking.

    Args:
        found: (T, H, W) bool.
        truth: (T, H, W) bool.

    Raises:
        ValueError: The shapes differ.
    """
    overlaps = [overlap(a, b) for a, b in zip(found, truth, strict=True)]
    return mean([g_iou(overlaps), mean([contour_f(a, b) for a, b in zip(found, truth, strict=True)])])


def contour_f(found: torch.Tensor, truth: torch.Tensor) -> float:
    """F-measure of two masks' contours, which may be off by 0.8% of the diagonal (Perazzi et al. 2016, section 4).

    Args:
        found: (H, W) bool.
        truth: (H, W) bool.

    Returns:
        In [0, 1]; 1 where both masks are empty, 0 where one is.
    """
    reach = math.ceil(0.008 * math.hypot(*truth.shape))
    steps = torch.arange(-reach, reach + 1)
    disk = (steps[:, None] ** 2 + steps**2 <= reach**2).numpy()
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (found.numpy(), truth.numpy())]
    if not all(edge.any() for edge in edges):
        return float(not any(edge.any() for edge in edges))
    near = [ndimage.binary_dilation(edge, disk) for edge in edges]
    precision = (edges[0] & near[1]).sum() / edges[0].sum()
    recall = (edges[1] & near[0]).sum() / edges[1].sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, NaN of nothing."""
    return sum(values) / len(values) if values else math.nan


def median(values: Sequence[float]) -> float:
    """Middle value (mean of the two middle ones), NaN of nothing."""
    ordered, half = sorted(values), len(values) // 2
    if not ordered:
        return math.nan
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def psnr(first: torch.Tensor, second: torch.Tensor, where: torch.Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB, infinite for equal pictures.

    Args:
        first: (3, H, W) uint8.
        second: (3, H, W) uint8.
        where: (H, W) bool, the pixels that count; None: all.

    Raises:
        ValueError: The shapes differ, or no pixel counts.
    """
    if first.shape != second.shape:
        raise ValueError(f"pictures of {tuple(first.shape)} and {tuple(second.shape)} differ in size; pass equal sizes")
    squares = (first.double() - second.double()).square() / 255**2
    chosen = squares if where is None else squares[:, where]
    if not chosen.numel():
        raise ValueError("no pixel is left to compare; pass a mask with at least one True")
    error = float(chosen.mean())
    return -10 * math.log10(error) if error else math.inf


def wilson(hits: int, n: int) -> Interval:
    """95% interval of a rate after Wilson (1927): sound also at 0 and 1 and for small n.

    Args:
        hits: How often it was right.
        n: Of how many; (0, 1) for n = 0.
    """
    if n == 0:
        return 0.0, 1.0
    rate, square = hits / n, Z95**2
    middle = (rate + square / (2 * n)) / (1 + square / n)
    half = Z95 * math.sqrt(rate * (1 - rate) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(
    values: Sequence[Value], statistic: Callable[[Sequence[Value]], float], rounds: int = 1000, seed: int = 0
) -> Interval:
    """95% interval of a statistic by resampling with replacement (percentiles).

    Args:
        values: The sample; (NaN, NaN) for an empty one.
        statistic: Such as `mean` or `c_iou`.
        rounds: How many resamples.
        seed: Of the resampling.
    """
    if not values:
        return math.nan, math.nan
    rng = random.Random(seed)
    found = sorted(statistic(rng.choices(values, k=len(values))) for _ in range(rounds))
    return found[int(0.025 * rounds)], found[min(rounds - 1, int(0.975 * rounds))]
