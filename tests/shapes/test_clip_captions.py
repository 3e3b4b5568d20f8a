"""Captions of clips say what is there and what it does, in more than one way, and nothing else."""

import random

import pytest

from vitron_agent.shapes.clip import MOTIONS, Clip, Motion, sample_clip
from vitron_agent.shapes.clip_captions import clip_caption, motion_command, motion_forms
from vitron_agent.shapes.scene import COLOURS, Obj, Scene

CIRCLE = Obj("circle", "red", "large", 0.3, 0.5, 0.18, COLOURS["red"])
STAR = Obj("star", "blue", "small", 0.8, 0.2, 0.1, COLOURS["blue"])
CLIP = Clip(Scene("gray", (CIRCLE, STAR)), (Motion("right", 0.3), None))
MARKS = {
    "left": "left", "right": "right", "up": "up top", "down": "down bottom", "grow": "grow bigger larger",
    "shrink": "shrink smaller",
}  # fmt: skip


@pytest.mark.parametrize("name", MOTIONS)
def test_every_motion_is_said_in_words_of_its_own(name: str) -> None:
    rng = random.Random(0)
    said = {form for _ in range(100) for form in motion_forms(Motion(name, 0.3), rng)}
    assert len(said) > 6
    for form in said:
        found = {other for other, marks in MARKS.items() if any(mark in form for mark in marks.split())}
        assert found == {name}, form


def test_captions_name_every_object_its_motion_and_the_ground() -> None:
    rng = random.Random(1)
    captions = {clip_caption(CLIP, rng) for _ in range(4000)}
    assert "a large red circle moves right and a small blue star stands still on a gray background" in captions
    assert len(captions) > 800
    for caption in captions:
        assert "red circle" in caption
        assert "blue star" in caption
        assert "right" in caption
        assert caption.endswith("on a gray background")
    assert any("still" not in caption and "place" not in caption and "not" not in caption for caption in captions)


def test_commands_point_at_what_moves_and_mostly_leave_out_the_rest() -> None:
    rng = random.Random(2)
    commands = [motion_command(CLIP, rng) for _ in range(4000)]
    assert "the red circle moves right" in commands
    assert "make the red circle move right" in commands
    assert all("background" not in command for command in commands)
    with_rest = [command for command in commands if "still" in command or "place" in command or "not move" in command]
    assert 0.15 < len(with_rest) / len(commands) < 0.45
    alone = Clip(Scene("gray", (STAR,)), (Motion("grow", 2.0),))
    assert "it grows" in {motion_command(alone, rng) for _ in range(100)}


def test_words_are_a_function_of_clip_and_randomness() -> None:
    clip = sample_clip(random.Random(3))
    for make in (clip_caption, motion_command):
        assert make(clip, random.Random(4)) == make(clip, random.Random(4))
