"""How a layer moves: one affine map per frame onto an anchor frame, from dense flow and RANSAC.

The start decides whether an atlas sticks to its object: one wrong map is never repaired by the fit that follows. So
every frame is compared with the anchor itself, not only with its neighbour, and a map that throws the layer off is not
taken. Pixels are counted from the top left corner of the picture; the centre of the first is at (0.5, 0.5).
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Affine = NDArray[np.float64]
"""(2, 3): x' = a x + b y + c and y' likewise, in pixels."""

RANSAC_PIXELS = 1.0  # a correspondence agrees with a map within this
JUMP = 2.0  # pixels: a map that moves the layer's centre further from where it was expected is wrong
FEWEST = 12  # correspondences that make a map
_RANDOM = 7  # of RANSAC: the same clip gives the same atlas


def dense_flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Optical flow by dense inverse search (Kroeger et al. 2016), which needs no weights.

    Args:
        first: (H, W) grey.
        second: (H, W) grey.

    Returns:
        (H, W, 2), x and y in pixels: what is at p in `first` is at p + flow in `second`.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(search.calc(first, second, None), dtype=np.float32)


def affine_tracks(frames: Tensor, masks: Tensor, anchor: int, partial: bool) -> Tensor:
    """Maps of every frame's layer onto the anchor frame.

    Args:
        frames: uint8 (T, 3, H, W) RGB.
        masks: bool (T, H, W), where the layer is seen.
        anchor: Number of the frame that all others are mapped to.
        partial: Only turning, scaling and shifting (four numbers: steadier for a small object), no shear.

    Returns:
        float32 (T, 2, 3).
    """
    grey = [cv2.cvtColor(frame.permute(1, 2, 0).contiguous().numpy(), cv2.COLOR_RGB2GRAY) for frame in frames]
    seen = [mask.numpy() for mask in masks]
    maps: dict[int, Affine] = {anchor: np.eye(2, 3)}
    for frame, before in _order(len(frames), anchor):
        guess = maps[before]
        if partial and seen[frame].any() and seen[before].any():
            guess = _composed(guess, _shift(_centre(seen[before]) - _centre(seen[frame])))
        maps[frame] = _refined(grey[frame], grey[anchor], seen[frame], seen[anchor], guess, partial)
    return torch.from_numpy(np.stack([maps[frame] for frame in range(len(frames))])).float()


def _order(count: int, anchor: int) -> Iterator[tuple[int, int]]:
    """Frames away from the anchor in both directions, each with its neighbour on the anchor's side."""
    yield from ((frame, frame - 1) for frame in range(anchor + 1, count))
    yield from ((frame, frame + 1) for frame in range(anchor - 1, -1, -1))


def _refined(
    frame: NDArray[np.uint8],
    anchor: NDArray[np.uint8],
    seen: NDArray[np.bool_],
    seen_there: NDArray[np.bool_],
    guess: Affine,
    partial: bool,
) -> Affine:
    """A better map than `guess`, from the flow that is left after it; `guess` itself if there is none."""
    size = (frame.shape[1], frame.shape[0])
    corner = _centred(guess)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(anchor, corner, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    there = cv2.warpAffine(seen_there.astype(np.uint8), corner, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    flow = dense_flow(frame, np.asarray(moved, dtype=np.uint8))
    rows, columns = np.nonzero(seen & (there > 0))
    if len(rows) < FEWEST:
        return guess
    here = np.stack([columns + 0.5, rows + 0.5], 1)
    target = _applied(guess, here + flow[rows, columns])
    cv2.setRNGSeed(_RANDOM)
    estimate = cv2.estimateAffinePartial2D if partial else cv2.estimateAffine2D
    found, _ = estimate(here, target, method=cv2.RANSAC, ransacReprojThreshold=RANSAC_PIXELS)
    if found is None:
        return guess
    centre = here.mean(0, keepdims=True)
    jump = float(np.linalg.norm(_applied(found, centre) - _applied(guess, centre)))
    return np.asarray(found, dtype=np.float64) if jump <= JUMP else guess


def _centred(affine: Affine) -> Affine:
    """The same map between OpenCV's pixel numbers, where the first pixel's centre is at (0, 0)."""
    out = affine.copy()
    out[:, 2] += affine[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return out


def _applied(affine: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map points (N, 2)."""
    return points @ affine[:, :2].T + affine[:, 2]


def _composed(outer: Affine, inner: Affine) -> Affine:
    """The map that does `inner` first."""
    linear = outer[:, :2] @ inner[:, :2]
    return np.concatenate([linear, (outer[:, :2] @ inner[:, 2] + outer[:, 2])[:, None]], 1)


def _shift(step: NDArray[np.float64]) -> Affine:
    return np.concatenate([np.eye(2), step[:, None]], 1)


def _centre(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centre of a mask as x and y."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5])
