"""What lies behind a clip's object, and how much of each pixel along its edge is object.

An atlas knows the background of every frame, from frames in which the object is elsewhere. With that, the share of the
object in a pixel follows from its colour (difference matting, Qian and Sezan 1999): no trimap and no network.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vitron_agent.specialists.stable_video.layers import LayeredAtlas, filled, splat

EDGE = 2
"""Pixels on either side of a mask's outline whose share of the object is open."""
SEEN = 0.05
"""Coverage above which a texel counts as seen."""
CONTRAST = 0.1
"""Difference of object and background, in RGB of [0, 1], below which colours say nothing and the mask is believed."""


def grown(masks: Tensor, by: int) -> Tensor:
    """Masks (T, H, W), by so many pixels larger, or smaller if negative; bool."""
    side = 2 * abs(by) + 1
    share = masks[:, None].float()
    if by >= 0:
        return F.max_pool2d(share, side, 1, by)[:, 0] > 0.5
    return F.max_pool2d(1 - share, side, 1, -by)[:, 0] < 0.5


def background_texture(atlas: LayeredAtlas, pictures: Mapping[int, Tensor], masks: Tensor) -> tuple[Tensor, Tensor]:
    """The background's texture, painted from pixels well away from the object: (3, h, w), and its coverage (h, w).

    Args:
        atlas: Of the clip; its background says how frames hang together.
        pictures: Frame number -> (3, H, W) float in [0, 1]: frames of the clip, or edited ones.
        masks: The object in every frame, (T, H, W) bool.
    """
    places, away = atlas.background.places(*masks.shape[1:]), ~grown(masks, EDGE)
    values = torch.cat([picture.permute(1, 2, 0)[away[frame]] for frame, picture in pictures.items()])
    points = torch.cat([places[frame][away[frame]] for frame in pictures])
    height, width = atlas.background.texture.shape[-2:]
    return splat(values, torch.ones(len(values)), points, (height, width))


def behind(atlas: LayeredAtlas, pixels: Tensor, masks: Tensor) -> Tensor:
    """What every frame would show without the object: (T, 3, H, W) float in [0, 1].

    What no frame shows is filled from its surroundings.

    Args:
        atlas: Of the clip.
        pixels: The clip, (T, 3, H, W) float in [0, 1].
        masks: The object, (T, H, W) bool.
    """
    layer = atlas.background.with_texture(laid_out(atlas, pixels, masks))
    return layer.seen_at(layer.places(*masks.shape[1:]))


def laid_out(atlas: LayeredAtlas, pixels: Tensor, masks: Tensor) -> Tensor:
    """The background of all frames as one picture, (3, h, w) float in [0, 1]; arguments as for `behind`."""
    texture, coverage = background_texture(atlas, dict(enumerate(pixels)), masks)
    return filled(texture, (coverage > SEEN).float())


def edited_background(atlas: LayeredAtlas, pixels: Tensor, masks: Tensor, after: Tensor, covered: Tensor) -> Tensor:
    """The clip with another background, (T, 3, H, W) float in [0, 1].

    Every frame gets the change of the background, by the background's share of each pixel. Where the new one is not
    known, such as behind an object in all edited keyframes, the change of the surroundings is taken over.

    Args:
        atlas: Of the clip.
        pixels: The clip, (T, 3, H, W) float in [0, 1].
        masks: The object, (T, H, W) bool.
        after: The background's texture as it shall be, (3, h, w), such as `background_texture` of edited keyframes.
        covered: (h, w), 0 where it is not known.
    """
    before, known = background_texture(atlas, dict(enumerate(pixels)), masks)
    seen = ((covered > SEEN) & (known > SEEN)).float()
    layer = atlas.background.with_texture(filled((after - before) * seen, seen))
    change = layer.seen_at(layer.places(*masks.shape[1:]))
    return (pixels + (1 - matted(atlas, pixels, masks).alpha[:, None]) * change).clamp(0, 1)


def matted(atlas: LayeredAtlas, pixels: Tensor, masks: Tensor) -> LayeredAtlas:
    """The atlas with the object's share read off colours along the masks' outlines; arguments as for `behind`."""
    back, sure = behind(atlas, pixels, masks), grown(masks, -EDGE)
    sure = torch.where(sure.flatten(1).any(1)[:, None, None], sure, masks)
    front = torch.stack([filled(frame, known.float()) for frame, known in zip(pixels, sure, strict=True)])
    change = front - back
    contrast = change.square().sum(1)
    share = ((pixels - back) * change).sum(1) / contrast.clamp_min(1e-6)
    is_open = grown(masks, EDGE) & ~sure & (contrast > CONTRAST**2)
    return replace(atlas, alpha=torch.where(is_open, share.clamp(0, 1), masks.float()))
