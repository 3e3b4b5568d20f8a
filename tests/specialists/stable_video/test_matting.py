"""What is behind an object, and its share along the edge."""

import torch

from vitron_agent.shapes.clip import Clip, Motion, render_clip
from vitron_agent.shapes.scene import COLOURS, Obj, Scene
from vitron_agent.specialists.stable_video import FitSettings, fit_atlas
from vitron_agent.specialists.stable_video.matting import behind, grown, matted

CIRCLE = Obj("circle", "red", "large", 0.25, 0.5, 0.16, COLOURS["red"])
STAR = Obj("star", "white", "small", 0.8, 0.2, 0.12, COLOURS["white"])


def test_masks_grow_and_shrink_by_pixels() -> None:
    mask = torch.zeros(1, 9, 9, dtype=torch.bool)
    mask[0, 3:6, 3:6] = True
    assert grown(mask, 2).sum() == 49
    assert grown(mask, -1).sum() == 1
    assert torch.equal(grown(mask, 0), mask)


def test_the_background_is_seen_behind_and_edges_are_told_by_colour() -> None:
    scene = Scene("pink", (CIRCLE, STAR))
    clip = render_clip(Clip(scene, (Motion("right", 0.35), None)))
    empty = render_clip(Clip(Scene("pink", (STAR,)), (None,)))
    frames, masks = (clip.images * 255).round().to(torch.uint8), clip.masks[:, 0]
    rough = grown(masks, 1)  # a segmenter's mask, a pixel too large
    atlas = fit_atlas(frames, rough, FitSettings(steps=20))
    pixels = frames.float() / 255
    back = behind(atlas, pixels, rough)
    assert (back - empty.images).abs().mean() < 0.01
    alpha = matted(atlas, pixels, rough).alpha
    again = alpha[:, None] * torch.tensor(COLOURS["red"])[None, :, None, None] + (1 - alpha[:, None]) * back
    assert (again - pixels)[:, :, 20:44].abs().mean() < 0.01
    assert alpha[~grown(masks, 1)].max() < 0.15  # the pixel too many is given back
