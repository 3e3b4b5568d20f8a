"""Videos that are made are judged by what their frames show, as they come back from the codec."""

from dataclasses import replace

import pytest
import torch

from tests.evaluation.clips import BLUE, CLIP, RED
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.evaluation.films import Film, read_film
from vitron_agent.evaluation.made import MadeCheck, check_of_picture, check_of_words, done, follow, is_clip, read_clip
from vitron_agent.media.videos import decode_mp4, encode_mp4
from vitron_agent.shapes.check import Wanted, WantedObject
from vitron_agent.shapes.check.motion import UNCLEAR
from vitron_agent.shapes.clip import FPS, Clip, Motion, frames_of
from vitron_agent.shapes.scene import Obj, Scene, recoloured

WANTED = Wanted((WantedObject("circle", "red"), WantedObject("star", "blue")), "gray")
MOTIONS = ("right", "still")
PICTURE = picture_of(CLIP.scene)


def stored(clip: Clip) -> torch.Tensor:
    """The clip as a store gives it back."""
    return decode_mp4(encode_mp4(frames_of(clip), FPS))[0]


def with_circle(circle: Obj) -> Clip:
    """The clip with another circle."""
    return Clip(Scene("gray", (circle, BLUE)), CLIP.motions)


TRUE = stored(CLIP)
STILL_CLIP = Clip(CLIP.scene, (None, None))
BOTH = Clip(CLIP.scene, (CLIP.motions[0], Motion("shrink", 1.8)))
GREEN, SQUARE = with_circle(recoloured(RED, "green")), with_circle(replace(RED, shape="square"))
ALONE, SKY = Clip(Scene("gray", (RED,)), CLIP.motions[:1]), Clip(Scene("sky", CLIP.scene.objects), CLIP.motions)


def parts(check: MadeCheck) -> tuple[bool, bool, bool]:
    """What is right: objects, background, motions."""
    return check.objects_ok, check.background_ok, check.motions_ok


@pytest.mark.parametrize(
    ("made", "right"),
    [
        (CLIP, (True, True, True)),
        (Clip(CLIP.scene, (Motion("right", 0.45), None)), (True, True, True)),  # how far is free
        (Clip(CLIP.scene, (Motion("down", 0.3), None)), (True, True, False)),
        (STILL_CLIP, (True, True, False)),
        (BOTH, (True, True, False)),  # what should rest does not
        (GREEN, (False, True, False)),
        (SQUARE, (False, True, False)),
        (ALONE, (False, True, False)),
        (SKY, (True, False, True)),
    ],
)
def test_a_video_of_words_is_right_in_parts(made: Clip, right: tuple[bool, bool, bool]) -> None:
    check = check_of_words(stored(made), WANTED, MOTIONS)
    assert parts(check) == right
    assert check.shown is all(right)


def test_what_was_not_said_is_free() -> None:
    free = Wanted((WantedObject("star"), WantedObject("circle")))
    assert check_of_words(stored(GREEN), free, ("still", "right")).shown
    assert check_of_words(stored(SKY), free, None).shown
    assert check_of_words(stored(STILL_CLIP), WANTED, None).shown
    assert not check_of_words(stored(SQUARE), free, None).shown


def test_two_alike_are_told_apart_by_what_they_do() -> None:
    twins = Clip(Scene("gray", (RED, replace(RED, y=0.75))), (Motion("right", 0.3), None))
    wanted = Wanted((WantedObject("circle", "red"),) * 2, "gray")
    assert check_of_words(stored(twins), wanted, ("still", "right")).shown
    assert not check_of_words(stored(twins), wanted, ("right", "right")).motions_ok
    assert not check_of_words(stored(twins), wanted, ("still", "still")).motions_ok


def test_size_and_place_are_asked_of_the_first_frame() -> None:
    for place, size, right in (
        ("top left", "large", True),
        ("left", None, True),
        ("right", None, False),
        (None, "small", False),
    ):
        wanted = replace(WANTED, objects=(WantedObject("circle", "red", size, place), WANTED.objects[1]))
        check = check_of_words(TRUE, wanted, MOTIONS)
        assert (check.details_ok, parts(check)) == (right, (True, True, True))
        assert check.shown is right


def test_an_object_that_is_gone_half_way_is_missed() -> None:
    video = TRUE.clone()
    video[4] = stored(ALONE)[4]
    assert not check_of_words(video, WANTED, MOTIONS).objects_ok
    assert not check_of_picture(video, PICTURE, CLIP.scene, MOTIONS).objects_ok


@pytest.mark.parametrize(
    ("made", "right"),
    [
        (CLIP, (True, True, True)),
        (Clip(CLIP.scene, (Motion("left", 0.2), None)), (True, True, False)),
        (STILL_CLIP, (True, True, False)),
        (BOTH, (True, True, False)),
    ],
)
def test_a_video_of_a_picture_is_right_in_parts(made: Clip, right: tuple[bool, bool, bool]) -> None:
    check = check_of_picture(stored(made), PICTURE, CLIP.scene, MOTIONS)
    assert parts(check) == right
    assert check.first_psnr is not None
    assert check.first_psnr > 28


@pytest.mark.parametrize(
    ("later", "right"),
    [
        (GREEN, (False, True, True)),
        (SQUARE, (False, True, True)),
        (ALONE, (False, True, False)),
        (SKY, (True, False, True)),
        (
            Clip(Scene("gray", (RED, BLUE, replace(RED, x=0.8, y=0.2, r=0.1))), (*CLIP.motions, None)),
            (False, True, True),
        ),
    ],
)
def test_what_the_picture_shows_must_stay(later: Clip, right: tuple[bool, bool, bool]) -> None:
    video = stored(later)
    video[0] = PICTURE
    check = check_of_picture(video, PICTURE, CLIP.scene, MOTIONS)
    assert parts(check) == right
    assert check.first_psnr == 99.0


def test_a_video_that_begins_with_another_picture_is_measured() -> None:
    other = stored(Clip(Scene("gray", (replace(RED, x=0.35), BLUE)), CLIP.motions))
    check = check_of_picture(other, PICTURE, CLIP.scene, MOTIONS)
    assert check.first_psnr is not None
    assert check.first_psnr < 25
    assert check_of_picture(other[..., :32, :32], PICTURE, CLIP.scene, MOTIONS).first_psnr == 0.0


def test_an_object_is_followed_also_past_a_frame_in_which_it_is_not_seen() -> None:
    film: Film = CLIP.scenes
    gap = (*film[:3], replace(film[3], objects=(BLUE,)), *film[4:])
    path = follow(gap, RED)
    assert [obj is None for obj in path] == [False] * 3 + [True] + [False] * 4
    assert done(path) == "right"


def test_what_is_gone_at_the_end_has_shrunk_only_if_it_became_smaller() -> None:
    def vanishing(motion: Motion | None) -> str:
        scenes = Clip(Scene("gray", (RED,)), (motion,)).scenes
        return done(follow((*scenes[:7], Scene("gray", ())), RED))

    assert vanishing(Motion("shrink", 2.2)) == "shrink"
    assert vanishing(None) == UNCLEAR
    assert done((None,) * 8) == UNCLEAR


@pytest.mark.parametrize("motions", [(Motion("right", 0.3), None), (Motion("grow", 1.8), Motion("left", 0.4))])
def test_a_made_video_is_read_as_a_clip(motions: tuple[Motion | None, ...]) -> None:
    clip = Clip(CLIP.scene, motions)
    film = read_film(stored(clip))
    for found in (read_clip(film), read_clip(film, CLIP.scene)):
        assert [(obj.colour, obj.shape) for obj in found.scene.objects] == [("red", "circle"), ("blue", "star")]
        for read, true in zip(found.at(7).objects, clip.at(7).objects, strict=True):
            assert max(abs(read.x - true.x), abs(read.y - true.y), abs(read.r - true.r)) < 0.03


def test_only_square_videos_of_eight_frames_are_clips() -> None:
    assert is_clip(TRUE)
    assert not is_clip(TRUE[:5])
    assert not is_clip(TRUE[..., :32])
