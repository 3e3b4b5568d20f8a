"""The checker of clips agrees with the truth, and sees what is wrong."""

import random
from dataclasses import replace

import pytest

from vitron_agent.shapes.check import check_clip, motion_between
from vitron_agent.shapes.check.motion import UNCLEAR
from vitron_agent.shapes.clip import FRAMES, MOTIONS, Clip, Motion, frames_of, sample_clip
from vitron_agent.shapes.scene import COLOURS, Obj, Scene

CIRCLE = Obj("circle", "red", "large", 0.5, 0.5, 0.16, COLOURS["red"])
STAR = Obj("star", "white", "small", 0.15, 0.15, 0.12, COLOURS["white"])


def clip_of(name: str | None, background: str = "navy") -> Clip:
    amount = 1.8 if name in ("grow", "shrink") else 0.25
    return Clip(Scene(background, (CIRCLE, STAR)), (Motion(name, amount) if name else None, None))


@pytest.mark.parametrize("made", [*MOTIONS, None])
@pytest.mark.parametrize("asked", [*MOTIONS, None])
def test_a_clip_is_right_for_its_own_motion_only(made: str | None, asked: str | None) -> None:
    check = check_clip(frames_of(clip_of(made)), clip_of(asked))
    assert check.background_ok
    assert check.objects_ok
    assert check.motions_ok == check.all_ok == (made == asked)


def test_wrong_ground_and_wrong_objects_are_seen() -> None:
    frames = frames_of(clip_of("left"))
    assert not check_clip(frames, clip_of("left", "pink")).background_ok
    for wrong in (replace(CIRCLE, colour="green"), replace(CIRCLE, shape="square")):
        asked = Clip(Scene("navy", (wrong, STAR)), clip_of("left").motions)
        check = check_clip(frames, asked)
        assert (check.background_ok, check.objects_ok, check.motions_ok) == (True, False, False)
    assert not check_clip(frames, Clip(Scene("navy", (CIRCLE,)), (Motion("left", 0.3),))).objects_ok


def test_a_thing_that_appears_half_way_is_seen() -> None:
    frames, more = frames_of(clip_of("left")), Clip(Scene("navy", (CIRCLE,)), (Motion("left", 0.25),))
    frames[FRAMES // 2] = frames_of(more)[FRAMES // 2]
    assert not check_clip(frames, clip_of("left")).objects_ok


def test_true_clips_of_every_kind_pass() -> None:
    rng = random.Random(5)
    checks = [check_clip(frames_of(clip), clip) for clip in (sample_clip(rng) for _ in range(60))]
    assert sum(check.background_ok for check in checks) == 60
    assert sum(check.all_ok for check in checks) >= 57  # tiny stars that shrink are hard to read


def test_askew_motion_is_unclear_and_what_vanishes_has_shrunk() -> None:
    assert motion_between(CIRCLE, replace(CIRCLE, x=0.7, y=0.7)) == UNCLEAR
    assert motion_between(CIRCLE, None) == "shrink"
    assert motion_between(CIRCLE, replace(CIRCLE, x=0.55)) is None
