"""Edited keyframes reach every frame, and what was not edited keeps every pixel."""

import pytest
import torch

from vitron_agent.specialists.stable_video import FitSettings, LayeredAtlas, edit_layer, fit_atlas, keyframe_atlas

from .test_fit import psnr
from .textured import Truth, textured_clip


@pytest.fixture(scope="module")
def fitted() -> tuple[Truth, LayeredAtlas]:
    """A clip and its atlas."""
    truth = textured_clip()
    return truth, fit_atlas(truth.frames, truth.masks, FitSettings(steps=250))


def inside(truth: Truth, frames: torch.Tensor) -> float:
    """PSNR within the object against the clip that was really painted otherwise."""
    where = truth.exact[:, None].expand(-1, 3, -1, -1)
    return psnr(frames[where], truth.edited[where])


def test_three_keyframes_repaint_the_whole_clip(fitted: tuple[Truth, LayeredAtlas]) -> None:
    truth, atlas = fitted
    keyframes = {frame: truth.edited[frame].float() / 255 for frame in (0, 6, 11)}
    texture, coverage = keyframe_atlas(atlas, "foreground", keyframes)
    edited = edit_layer(atlas, "foreground", texture, coverage, truth.frames)
    assert inside(truth, truth.frames) < 15
    assert inside(truth, edited) > 25
    away = atlas.alpha == 0
    assert torch.equal(edited.permute(0, 2, 3, 1)[away], truth.frames.permute(0, 2, 3, 1)[away])


def test_an_unchanged_texture_changes_nothing(fitted: tuple[Truth, LayeredAtlas]) -> None:
    truth, atlas = fitted
    texture = atlas.background.texture
    same = edit_layer(atlas, "background", texture, torch.ones(texture.shape[-2:]), truth.frames)
    assert torch.equal(same, truth.frames)


def test_unseen_texels_take_the_change_of_their_surroundings(fitted: tuple[Truth, LayeredAtlas]) -> None:
    truth, atlas = fitted
    brighter = atlas.foreground.texture + 0.1
    coverage = torch.ones(brighter.shape[-2:])
    coverage[10:20, 10:20] = 0
    holes = edit_layer(atlas, "foreground", brighter, coverage, truth.frames)
    whole = edit_layer(atlas, "foreground", brighter, torch.ones_like(coverage), truth.frames)
    assert (holes.int() - whole.int()).abs().max() <= 1


@pytest.mark.parametrize("frames", [(), (12,), (-1,)])
def test_keyframes_must_be_frames_of_the_clip(fitted: tuple[Truth, LayeredAtlas], frames: tuple[int, ...]) -> None:
    truth, atlas = fitted
    with pytest.raises(ValueError, match="one or more of 0 to 11"):
        keyframe_atlas(atlas, "foreground", {frame: torch.zeros(3, 64, 64) for frame in frames})
