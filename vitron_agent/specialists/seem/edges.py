"""Moves the edges of masks to where the picture's colours change: what a coarse grid of mask logits rounds off.

SEEM leaves masks as they come. On the tiny profile's grid of 32x32 logits a small star loses the tips of its arms; a
pixel near a mask's edge goes to whichever side looks more like it, as in matting with a trimap. Tensors only.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_LEAST = 0.1  # distance of the two sides' colours (of channels in [0, 1]) below which an edge stays where it is
_FINEST = 128  # short side in pixels above which a picture is looked at smaller: its logits are no finer than that


def snapped(masks: Tensor, picture: Tensor, reach: int) -> Tensor:
    """Give every pixel near an edge to the side whose colour nearby is nearer to its own.

    Args:
        masks: bool (N, H, W); an empty one stays empty.
        picture: uint8 (3, H, W).
        reach: how many pixels, of at most `_FINEST` along the short side, an edge may move; 0 moves none.

    Returns:
        bool (N, H, W); what would lose all its pixels keeps them.
    """
    if reach == 0 or not masks.any():
        return masks
    height, width = picture.shape[1:]
    scale = min(1.0, _FINEST / min(height, width))
    size = (round(height * scale), round(width * scale))
    inside, colours = _resized(masks[:, None].float(), size) > 0.5, _resized(picture[None].float() / 255, size)
    moved = _moved(inside.float(), colours, reach)
    moved = torch.where(moved.any(3, keepdim=True).any(2, keepdim=True), moved, inside)
    changed = _resized((moved != inside).float(), (height, width)) > 0.5
    return masks ^ changed[:, 0]


def _moved(inside: Tensor, colours: Tensor, reach: int) -> Tensor:
    """Masks, bool (N, 1, H, W), of ones in float and the picture's colours (1, 3, H, W)."""
    outside = 1 - inside
    near_both = _spread(inside, reach) * _spread(outside, reach) > 0
    own = _nearby(colours, _core(inside, outside), 3 * reach)
    other = _nearby(colours, 1 - _spread(inside, reach), 3 * reach)
    to_own, to_other = ((colours - side).square().sum(1, keepdim=True) for side in (own, other))
    differ = (own - other).square().sum(1, keepdim=True) > _LEAST**2
    return torch.where(near_both & differ, to_own < to_other, inside > 0)


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    same = tuple(values.shape[2:]) == size
    return values if same else F.interpolate(values, size, mode="bilinear", align_corners=False, antialias=True)


def _spread(mask: Tensor, by: int) -> Tensor:
    """A mask (N, 1, H, W) with everything within `by` pixels of it."""
    return F.max_pool2d(mask, 2 * by + 1, 1, by)


def _core(inside: Tensor, outside: Tensor) -> Tensor:
    """What of a mask lies more than a pixel from its edge; all of one so thin that nothing does."""
    core = inside * (1 - _spread(outside, 1))
    return torch.where(core.amax((2, 3), keepdim=True) > 0, core, inside)


def _nearby(colours: Tensor, mask: Tensor, reach: int) -> Tensor:
    """Mean colour (N, 3, H, W) of a mask's pixels around each pixel, of all of them where none is near."""
    both = torch.cat([colours * mask, mask], 1)
    side = 2 * reach + 1
    total = F.avg_pool2d(F.avg_pool2d(both, (side, 1), 1, (reach, 0)), (1, side), 1, (0, reach))
    whole = both.mean((2, 3), keepdim=True)
    summed = torch.where(total[:, 3:] > 0, total, whole)
    return summed[:, :3] / summed[:, 3:].clamp(min=1e-6)
