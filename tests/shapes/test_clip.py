"""Clips: even motion, nothing leaves the picture, masks follow their objects."""

import random
from dataclasses import replace

import pytest
import torch

from vitron_agent.shapes.clip import FRAMES, Clip, Motion, frames_of, is_sound, render_clip, sample_clip
from vitron_agent.shapes.scene import COLOURS, Obj, Scene

CIRCLE = Obj("circle", "red", "small", 0.3, 0.5, 0.1, COLOURS["red"])


def clip_of(*motions: Motion | None) -> Clip:
    """Circles below each other, one for each motion."""
    objects = tuple(replace(CIRCLE, y=0.2 + 0.3 * i) for i in range(len(motions)))
    return Clip(Scene("gray", objects), motions)


@pytest.mark.parametrize(("name", "x", "y"), [("left", -0.2, 0), ("right", 0.2, 0), ("up", 0, -0.2), ("down", 0, 0.2)])
def test_a_direction_moves_the_mask_that_way(name: str, x: float, y: float) -> None:
    clip = Clip(Scene("gray", (replace(CIRCLE, x=0.5),)), (Motion(name, 0.2),))
    masks = render_clip(clip).masks[:, 0]
    centres = torch.stack([mask.nonzero().float().mean(0) / 64 for mask in masks])
    moved = centres[-1] - centres[0]
    assert moved.tolist() == pytest.approx([y, x], abs=0.01)
    steps = centres.diff(dim=0)
    assert torch.allclose(steps, moved[None] / (FRAMES - 1), atol=0.02)  # even


@pytest.mark.parametrize(("name", "factor"), [("grow", 4.0), ("shrink", 0.25)])
def test_growing_changes_the_area_with_the_square(name: str, factor: float) -> None:
    masks = render_clip(Clip(Scene("gray", (replace(CIRCLE, x=0.5),)), (Motion(name, 2.0),))).masks[:, 0]
    areas = masks.flatten(1).sum(1).float()
    assert float(areas[-1] / areas[0]) == pytest.approx(factor, rel=0.12)


def test_an_object_without_motion_stands_still() -> None:
    clip = clip_of(None, Motion("right", 0.3))
    masks = render_clip(clip).masks
    assert (masks[:, 0] == masks[0, 0]).all()
    assert not torch.equal(masks[0, 1], masks[-1, 1])
    assert frames_of(clip).shape == (FRAMES, 3, 64, 64)


def test_what_leaves_the_picture_or_touches_another_is_not_sound() -> None:
    assert is_sound(clip_of(Motion("right", 0.3)))
    assert not is_sound(clip_of(Motion("left", 0.3)))
    assert not is_sound(clip_of(Motion("down", 0.3), None))
    assert not is_sound(clip_of(Motion("grow", 3.0)))


@pytest.mark.parametrize("alike", [False, True])
def test_samples_are_sound_and_repeatable(alike: bool) -> None:
    clips = [sample_clip(random.Random(seed), alike=alike) for seed in range(40)]
    assert clips == [sample_clip(random.Random(seed), alike=alike) for seed in range(40)]
    assert all(is_sound(clip) and any(clip.motions) for clip in clips)
    if alike:
        for clip in clips:
            first, second = clip.scene.objects[:2]
            assert (first.shape, first.colour, first.size, first.r) == (
                second.shape,
                second.colour,
                second.size,
                second.r,
            )
            assert all(clip.motions[:2])


def test_one_object_is_not_two_alike() -> None:
    with pytest.raises(ValueError, match="count of 2 or 3"):
        sample_clip(random.Random(0), count=1, alike=True)
