"""Commands for new videos are read back to what they were written of, in every form."""

import random

import pytest

from vitron_agent.shapes.clip import sample_clip
from vitron_agent.shapes.clip_captions import clip_caption, motion_command, motion_name
from vitron_agent.shapes.clip_words import Said, motions_in, read_film
from vitron_agent.shapes.scene import COLOURS, Obj, Scene
from vitron_agent.shapes.tasks_refer import Words

CIRCLE = Obj("circle", "red", "large", 0.3, 0.5, 0.18, COLOURS["red"])
STAR = Obj("star", "blue", "small", 0.8, 0.2, 0.1, COLOURS["blue"])
TWO = Scene("gray", (CIRCLE, STAR))


def test_a_command_for_a_video_is_read_part_by_part() -> None:
    said, ground = read_film("a small red circle on the left moves to the left, a star and a blue cross gets bigger")
    assert ground is None
    assert said == (
        Said(Words("circle", "red", "small"), "left", "left"),
        Said(Words("star"), None, None),
        Said(Words("cross", "blue"), None, "grow"),
    )
    assert read_film("a star stands still on an olive background") == ((Said(Words("star"), None, "still"),), "olive")


@pytest.mark.parametrize("command", ["a cat moves left", "a star dances", "a star moves left on a red background"])
def test_unknown_words_are_an_error(command: str) -> None:
    with pytest.raises(ValueError, match=r"cat|dances|red"):
        read_film(command)


def test_captions_are_read_back() -> None:
    rng = random.Random(7)
    for _ in range(100):
        clip = sample_clip(rng)
        said, ground = read_film(clip_caption(clip, rng))
        assert ground == clip.scene.background
        found = sorted((str(s.words.colour), str(s.words.shape), s.motion or "still") for s in said)
        pairs = zip(clip.scene.objects, clip.motions, strict=True)
        assert found == sorted((obj.colour, obj.shape, motion_name(motion)) for obj, motion in pairs)


def test_what_moves_in_a_picture_is_found_there() -> None:
    assert motions_in(TWO, "the red circle moves left") == ("left", "still")
    assert motions_in(TWO, "make the star at the top right grow and the circle slide to the right") == ("right", "grow")
    assert motions_in(Scene("gray", (STAR,)), "it shrinks") == ("shrink",)


@pytest.mark.parametrize(
    "command", ["the cross moves left", "the object grows", "it shrinks", "the red circle", "the cat grows"]
)
def test_a_command_that_means_no_single_object_or_no_motion_is_an_error(command: str) -> None:
    with pytest.raises(ValueError, match=r"in motion|cat"):
        motions_in(TWO, command)


def test_commands_for_motion_are_read_back() -> None:
    rng, read = random.Random(8), 0
    for _ in range(100):
        clip = sample_clip(rng)
        if len({(obj.colour, obj.shape) for obj in clip.scene.objects}) == len(clip.scene.objects):
            command = motion_command(clip, rng)
            assert motions_in(clip.scene, command) == tuple(map(motion_name, clip.motions)), command
            read += 1
    assert read > 60
