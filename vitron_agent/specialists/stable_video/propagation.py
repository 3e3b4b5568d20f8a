"""From edited keyframes to an edited clip: pixels into the atlas, one atlas from several, and back into every frame.

StableVideo takes the median over keyframe atlases, unseen texels (0) taking part; here keyframes count by how much of a
texel they cover, and texels that none covers take the change of their surroundings.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from vitron_agent.specialists.pixels import as_bytes
from vitron_agent.specialists.stable_video.layers import LayeredAtlas, filled, splat

LayerName = Literal["foreground", "background"]
SURE = 0.5  # of a keyframe's pixel, at least this share must be the layer's to speak for it


def keyframe_atlas(atlas: LayeredAtlas, layer: LayerName, keyframes: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
    """Put edited keyframes into a layer's texture.

    Args:
        atlas: Of the clip.
        layer: Which layer was edited.
        keyframes: Frame number -> the edited frame, (3, H, W) float in [0, 1].

    Returns:
        The coverage-weighted mean texture (3, h, w), and the coverage (h, w).

    Raises:
        ValueError: There is no keyframe, or no such frame.
    """
    chosen = getattr(atlas, layer)
    share = atlas.alpha if layer == "foreground" else 1 - atlas.alpha
    if not keyframes or not all(0 <= frame < len(share) for frame in keyframes):
        raise ValueError(f"keyframes {sorted(keyframes)} must be one or more of 0 to {len(share) - 1}")
    places = chosen.places(*share.shape[1:])
    values, weights, points = [], [], []
    for frame, picture in keyframes.items():
        sure = share[frame] > SURE
        values.append(picture.permute(1, 2, 0)[sure])
        weights.append(share[frame][sure])
        points.append(places[frame][sure])
    return splat(torch.cat(values), torch.cat(weights), torch.cat(points), chosen.texture.shape[-2:])


def edit_layer(atlas: LayeredAtlas, layer: LayerName, texture: Tensor, coverage: Tensor, frames: Tensor) -> Tensor:
    """Render a clip with a changed texture.

    What the atlas gets wrong of the clip is not shown: each frame gets the difference of the two textures, so where
    nothing was edited, every pixel stays as it is.

    Args:
        atlas: Of the clip.
        layer: Which layer was edited.
        texture: The edited texture, (3, h, w).
        coverage: (h, w), 0 where the texture is unknown: there the change of the surroundings is taken over.
        frames: uint8 (T, 3, H, W), the clip itself.

    Returns:
        uint8 (T, 3, H, W).
    """
    chosen = getattr(atlas, layer)
    share = atlas.alpha if layer == "foreground" else 1 - atlas.alpha
    known = (coverage > 0.05).float()
    change = filled((texture - chosen.texture) * known, known)
    shown = chosen.with_texture(change).seen_at(chosen.places(*share.shape[1:]))
    edited = frames.float() / 255 + share[:, None] * shown
    return as_bytes(edited)
