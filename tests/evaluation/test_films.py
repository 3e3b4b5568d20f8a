"""Edited videos are judged by what their frames show, as they come back from the codec."""

from dataclasses import replace

import pytest
import torch

from tests.evaluation.clips import CLIP, GREEN, RED
from vitron_agent.evaluation.films import check_film, film_psnr, read_film, shown_clip
from vitron_agent.media.videos import decode_mp4, encode_mp4
from vitron_agent.shapes.clip import FPS, Clip, Motion, frames_of
from vitron_agent.shapes.scene import COLOURS, Scene


def stored(video: torch.Tensor) -> torch.Tensor:
    """The video as a store gives it back."""
    return decode_mp4(encode_mp4(video, FPS))[0]


BEFORE = stored(frames_of(CLIP))


def test_a_right_edit_is_done_in_motion_and_clean() -> None:
    check = check_film(BEFORE, stored(frames_of(GREEN)), CLIP, GREEN)
    assert (check.done, check.motion_kept) == (True, True)
    assert check.psnr_untouched is not None
    assert check.psnr_untouched > 35


@pytest.mark.parametrize(("wrong", "done"), [(0, True), (1, True), (2, False), (8, False)])
def test_one_frame_in_eight_may_be_wrong(wrong: int, done: bool) -> None:
    after = frames_of(GREEN)
    after[:wrong] = frames_of(CLIP)[:wrong]
    assert check_film(BEFORE, after, CLIP, GREEN).done is done


@pytest.mark.parametrize(
    "shown",
    [
        Clip(Scene("sky", GREEN.scene.objects), CLIP.motions),  # the background changed, too
        Clip(Scene("gray", GREEN.scene.objects[:1]), CLIP.motions[:1]),  # the star is gone
        Clip(Scene("gray", (replace(GREEN.scene.objects[0], shape="square"), CLIP.scene.objects[1])), CLIP.motions),
    ],
)
def test_what_was_not_asked_for_must_stay(shown: Clip) -> None:
    assert not check_film(BEFORE, stored(frames_of(shown)), CLIP, GREEN).done


def test_a_shade_between_two_names_may_be_read_as_either() -> None:
    orange, red = torch.tensor(COLOURS["orange"]), torch.tensor(COLOURS["red"])
    nearly = replace(RED, colour="orange", rgb=tuple((0.51 * orange + 0.49 * red).tolist()))
    other = replace(RED, rgb=tuple((0.49 * orange + 0.51 * red).tolist()))
    assert read_film(frames_of(Clip(Scene("gray", (other,)), (None,))))[0].objects[0].colour == "red"
    source, wanted, shown = (
        Clip(Scene(ground, (obj,)), (None,)) for ground, obj in (("gray", nearly), ("navy", nearly), ("navy", other))
    )
    assert check_film(frames_of(source), frames_of(shown), source, wanted).done
    assert shown_clip(read_film(frames_of(shown)), source).scene.objects[0].colour == "orange"
    plain = Clip(Scene("navy", (replace(RED, rgb=COLOURS["red"]),)), (None,))
    assert not check_film(frames_of(source), frames_of(plain), source, wanted).done


def test_an_object_that_leaves_its_course_is_noticed() -> None:
    slower = Clip(GREEN.scene, (Motion("right", 0.24), None))
    check = check_film(BEFORE, frames_of(slower), CLIP, GREEN)
    assert (check.done, check.motion_kept) == (True, False)  # near enough to be the object, too far to be on course
    still = check_film(BEFORE, frames_of(Clip(GREEN.scene, (None, None))), CLIP, GREEN)
    assert (still.done, still.motion_kept) == (False, False)


def test_damage_is_measured_where_nothing_may_change() -> None:
    after = frames_of(GREEN)
    after[:, :, :, 60:] = 0
    psnr = check_film(BEFORE, after, CLIP, GREEN).psnr_untouched
    assert psnr is not None
    assert psnr < 20


def test_a_video_of_another_length_is_wrong() -> None:
    check = check_film(BEFORE, frames_of(GREEN)[:5], CLIP, GREEN)
    assert (check.done, check.motion_kept, check.psnr_untouched) == (False, False, None)


def test_a_made_video_is_read_with_the_motions_it_was_made_from() -> None:
    made = Clip(Scene("sky", (GREEN.scene.objects[0],)), CLIP.motions[:1])
    found = shown_clip(read_film(stored(frames_of(made))), CLIP)
    assert found.scene.background == "sky"
    assert [(obj.colour, obj.shape, obj.x) for obj in found.scene.objects] == [("green", "circle", RED.x)]
    assert found.motions == CLIP.motions[:1]


def test_a_shape_is_read_where_it_is_large() -> None:
    star = replace(CLIP.scene.objects[1], x=0.6, y=0.6, r=0.09)
    clip = Clip(Scene("gray", (star,)), (Motion("shrink", 2.2),))  # four pixels wide at the end
    video = stored(frames_of(clip))
    assert check_film(video, stored(video), clip, clip).done


def test_psnr_over_frames() -> None:
    first = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    everywhere = torch.ones(2, 4, 4, dtype=torch.bool)
    assert film_psnr(first, first, everywhere) == 99.0
    assert film_psnr(first, first, ~everywhere) is None
    second = first.clone()
    second[1] += 1
    assert film_psnr(first, second, everywhere) == pytest.approx(51.14, abs=0.01)  # half of the squares are one
