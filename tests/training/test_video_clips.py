"""Clips that video models learn from: what words leave open follows from the first frame, or is told."""

import random

import pytest

from vitron_agent.shapes.clip import DIRECTIONS, Clip, Motion, is_sound, sample_clip
from vitron_agent.shapes.scene import Obj, Scene
from vitron_agent.training.examples import speed_of
from vitron_agent.training.video_clips import as_usual, sample_taught_clip


def _alone(x: float, *motions: Motion | None) -> Clip:
    return Clip(Scene("gray", (Obj("star", "red", "small", x, 0.5, 0.1, (0.86, 0.16, 0.16)),)), motions)


@pytest.mark.parametrize("amount", [0.2, 0.5])
def test_words_alone_mean_a_middle_distance(amount: float) -> None:
    (motion,) = as_usual(_alone(0.2, Motion("right", amount))).motions
    assert motion == Motion("right", 0.35)


def test_where_there_is_no_room_for_it_a_thing_goes_as_far_as_it_can() -> None:
    (motion,) = as_usual(_alone(0.6, Motion("right", 0.2))).motions
    assert motion is not None
    assert 0.25 < motion.amount < 0.3  # to the margin, less a step of the search at most


def test_words_alone_mean_a_middle_growth_and_what_rests_goes_on_resting() -> None:
    assert as_usual(_alone(0.5, Motion("grow", 1.5))).motions == (Motion("grow", 1.85),)
    assert as_usual(_alone(0.5, None)).motions == (None,)


def test_what_is_usual_for_a_clip_is_so_already() -> None:
    rng = random.Random(0)
    for clip in (as_usual(sample_clip(rng)) for _ in range(50)):
        assert is_sound(clip)
        again = as_usual(clip).motions
        for motion, same in zip(clip.motions, again, strict=True):
            assert (motion is None) == (same is None)
            if motion is not None and same is not None:
                assert same.amount == pytest.approx(motion.amount, abs=0.02)


def test_a_third_of_the_clips_show_another_speed_and_are_told_it() -> None:
    rng = random.Random(1)
    taught = [sample_taught_clip(rng) for _ in range(400)]
    told = [lesson for lesson in taught if lesson.told]
    assert 80 < len(told) < 180
    assert all(is_sound(lesson.clip) for lesson in taught)
    for lesson in told:
        assert lesson.speed.equal(speed_of(lesson.clip))
        assert len({m.amount for m in lesson.clip.motions if m is not None and m.name in DIRECTIONS}) == 1
    assert not any(lesson.speed.any() for lesson in taught if not lesson.told)
