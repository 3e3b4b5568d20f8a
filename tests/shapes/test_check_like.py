"""Errors against an example: none for the example itself, as large as what was changed, nothing where it is missing."""

from dataclasses import replace

import pytest
import torch

from vitron_agent.shapes.check.like import factor_off, likeness, reach_error, speed_error
from vitron_agent.shapes.clip import Clip, Motion, frames_of
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import COLOURS, Obj, Scene

STAR = Obj("star", "blue", "large", 0.3, 0.4, 0.18, COLOURS["blue"])
DISC = Obj("circle", "red", "small", 0.75, 0.7, 0.11, COLOURS["red"])


def picture(*objects):
    return (render([Scene("gray", objects)]).images[0] * 255).round().to(torch.uint8)


def test_nothing_is_off_where_everything_is_as_it_should_be():
    found = likeness(picture(STAR, DISC), STAR, (DISC,))
    assert found.shade < 0.01
    assert found.place < 0.01
    assert found.size < 0.03


def test_each_error_is_as_large_as_what_was_changed():
    lighter = replace(STAR, rgb=tuple(min(1.0, c + 0.1) for c in STAR.rgb))
    assert likeness(picture(lighter, DISC), STAR, (DISC,)).shade == pytest.approx(0.173, abs=0.02)
    aside = replace(STAR, x=STAR.x + 0.06, y=STAR.y + 0.08)
    assert likeness(picture(aside, DISC), STAR, (DISC,)).place == pytest.approx(0.1, abs=0.01)
    smaller = replace(STAR, r=STAR.r / 1.25)
    assert likeness(picture(smaller, DISC), STAR, (DISC,)).size == pytest.approx(0.25, abs=0.04)


def test_an_object_that_was_there_does_not_stand_for_a_new_one():
    other = replace(STAR, x=0.7, y=0.75)
    assert likeness(picture(other), STAR, (other,)) is None
    assert likeness(picture(other, STAR), STAR, (other,)).place < 0.01


def test_another_shape_does_not_stand_for_it():
    assert likeness(picture(replace(STAR, shape="square"), DISC), STAR, (DISC,)) is None


def test_a_speed_is_compared_by_its_factor():
    slow, fast = (Clip(Scene("gray", (STAR, DISC)), (Motion("right", amount), None)) for amount in (0.2, 0.4))
    assert speed_error(frames_of(slow), STAR, Motion("right", 0.2)) < 0.03
    assert speed_error(frames_of(fast), STAR, Motion("right", 0.2)) == pytest.approx(1.0, abs=0.06)
    assert speed_error(frames_of(slow), STAR, Motion("right", 0.4)) == pytest.approx(1.0, abs=0.06)


def test_what_stands_still_or_goes_elsewhere_has_no_speed_to_compare():
    still = Clip(Scene("gray", (STAR, DISC)), (None, Motion("left", 0.3)))
    assert speed_error(frames_of(still), STAR, Motion("right", 0.3)) is None
    back = Clip(Scene("gray", (DISC,)), (Motion("left", 0.3),))
    assert speed_error(frames_of(back), DISC, Motion("right", 0.3)) is None
    assert speed_error(frames_of(back), replace(STAR, colour="green"), Motion("left", 0.3)) is None


def test_an_end_is_compared_by_its_distance():
    clip = Clip(Scene("gray", (STAR, DISC)), (Motion("right", 0.3), None))
    assert reach_error(frames_of(clip), STAR, Motion("right", 0.3)) < 0.01
    assert reach_error(frames_of(clip), STAR, Motion("right", 0.2)) == pytest.approx(0.1, abs=0.01)
    assert reach_error(frames_of(clip), STAR, Motion("left", 0.3)) is None


def test_what_is_gone_at_the_end_has_no_end_to_compare():
    frames = frames_of(Clip(Scene("gray", (STAR,)), (Motion("right", 0.3),)))
    frames[-1] = frames_of(Clip(Scene("gray", ()), ()))[0]
    assert speed_error(frames, STAR, Motion("right", 0.3)) < 0.05
    assert reach_error(frames, STAR, Motion("right", 0.3)) is None


def test_motions_without_a_speed_and_stills_are_refused():
    frames = frames_of(Clip(Scene("gray", (STAR,)), (None,)))
    with pytest.raises(ValueError, match="'grow' leads nowhere"):
        speed_error(frames, STAR, Motion("grow", 1.5))
    with pytest.raises(ValueError, match="1 frames"):
        speed_error(frames[:1], STAR, Motion("right", 0.3))


def test_factors_are_the_same_both_ways():
    assert factor_off(2.0, 1.0) == factor_off(1.0, 2.0) == 1.0
    assert factor_off(3.0, 3.0) == 0.0
