"""StableVideo as a specialist: an edited frame is carried over, and everything else stays."""

from dataclasses import replace

import pytest
import torch

from vitron_agent.errors import Cancelled, InputError, MissingInputError
from vitron_agent.shapes.check import read_scene
from vitron_agent.shapes.clip import Clip, Motion, render_clip
from vitron_agent.shapes.scene import COLOURS, Obj, Scene
from vitron_agent.specialists.base import SpecialistRequest, Supplied
from vitron_agent.specialists.stable_video import FitSettings, StableVideo
from vitron_agent.specialists.stable_video.specialist import KEPT

RED = Obj("circle", "red", "large", 0.3, 0.5, 0.18, COLOURS["red"])
STAR = Obj("star", "white", "small", 0.8, 0.2, 0.12, COLOURS["white"])
QUICK = FitSettings(steps=60)


def drawn(first: Obj, background: str = "navy") -> tuple[torch.Tensor, torch.Tensor]:
    """A circle that moves right past a still star: uint8 (8, 3, 64, 64), and the circle's masks."""
    clip = Clip(Scene(background, (first, STAR)), (Motion("right", 0.3), None))
    rendered = render_clip(clip)
    return (rendered.images * 255).round().to(torch.uint8), rendered.masks[:, 0]


def test_a_recoloured_frame_recolours_the_clip_and_nothing_else() -> None:
    video, masks = drawn(RED)
    wanted, _ = drawn(Obj("circle", "blue", "large", 0.3, 0.5, 0.18, COLOURS["blue"]))
    editor = StableVideo(QUICK)
    result = editor.run(SpecialistRequest("replace", video=video, masks=masks, keyframes={3: wanted[3]}))
    assert result.video is not None
    for frame in result.video:
        assert {(obj.colour, obj.shape) for obj in read_scene(frame).scene.objects} == {
            ("blue", "circle"),
            ("white", "star"),
        }
    far = ~torch.nn.functional.max_pool2d(masks[:, None].float(), 9, 1, 4).bool().expand(-1, 3, -1, -1)
    assert torch.equal(result.video[far], video[far])
    assert set(result.looks) == {"foreground", "background", "alpha", "reconstruction"}


def test_a_background_changes_behind_the_object() -> None:
    video, masks = drawn(RED)
    wanted, _ = drawn(RED, "pink")
    both = masks | (video.float() - video[0, :, 0, 0, None, None].float()).abs().sum(1).gt(60)
    result = StableVideo(QUICK).run(SpecialistRequest("background", video=video, masks=both, keyframes={0: wanted[0]}))
    assert result.video is not None
    assert {read_scene(frame).scene.background for frame in result.video} == {"pink"}


def test_a_background_is_edited_as_one_picture() -> None:
    video, masks = drawn(RED)
    both = masks | (video.float() - video[0, :, 0, 0, None, None].float()).abs().sum(1).gt(60)
    editor = StableVideo(QUICK)
    scenery = editor.run(SpecialistRequest("unwrap", video=video, masks=both)).image
    assert scenery is not None
    navy = video[0, :, 0, 0, None, None]
    assert (scenery.int() - navy.int()).abs().max() <= 3  # behind the circle too
    left = torch.arange(scenery.shape[2]) < scenery.shape[2] // 2
    painted = torch.where(left, torch.tensor([200, 0, 0], dtype=torch.uint8)[:, None, None], scenery)
    result = editor.run(SpecialistRequest("background", image=painted, video=video, masks=both)).video
    assert result is not None
    assert (result[:, :, 2:8, 2:12].float().mean((0, 2, 3)) - torch.tensor([200.0, 0, 0])).abs().max() < 4
    assert torch.equal(result[:, :, 58:, 50:], video[:, :, 58:, 50:])
    with pytest.raises(InputError, match="keep its size"):
        editor.run(SpecialistRequest("background", image=painted[:, 1:], video=video, masks=both))


def test_an_object_is_taken_out() -> None:
    video, masks = drawn(RED)
    result = StableVideo(QUICK).run(SpecialistRequest("remove", video=video, masks=masks))
    assert result.video is not None
    assert all([obj.shape for obj in read_scene(frame).scene.objects] == ["star"] for frame in result.video)


def test_a_second_edit_needs_no_second_fit() -> None:
    video, masks = drawn(RED)
    steps: list[int] = []
    editor = StableVideo(FitSettings(steps=3))
    request = SpecialistRequest("remove", video=video, masks=masks)
    editor.run(request, lambda step, total: steps.append(step))
    editor.run(request, lambda step, total: steps.append(step))
    assert steps == [1, 2, 3]
    other = FitSettings(steps=4)
    assert StableVideo(other).revision != editor.revision


def test_an_atlas_that_is_given_counts_for_its_clip_alone() -> None:
    video, masks = drawn(RED)
    editor: Supplied = StableVideo(FitSettings(steps=3))
    assert isinstance(editor, StableVideo)
    own, other = (SpecialistRequest("remove", video=clip, masks=masks) for clip in (video, video.flip(1)))
    editor.run(own)
    assert editor.supplied(own) == editor.supplied(other) == ""  # what it fits depends on nothing else
    fitted = editor.atlas(video, masks)
    editor.keep(video, masks, fitted)
    first = editor.supplied(own)
    editor.keep(video, masks, replace(fitted, alpha=fitted.alpha / 2))
    assert len({"", first, editor.supplied(own)}) == 3
    editor.run(own)
    assert editor.supplied(own) != ""  # it stays given where it is used
    assert editor.supplied(other) == editor.supplied(SpecialistRequest("remove", video=video)) == ""


def test_an_atlas_that_had_to_go_counts_no_more() -> None:
    video, masks = drawn(RED)
    editor = StableVideo(FitSettings(steps=1))
    editor.keep(video, masks, editor.atlas(video, masks))
    for shift in range(1, KEPT + 1):
        editor.atlas(video.roll(shift, 0), masks.roll(shift, 0))
    assert editor.supplied(SpecialistRequest("remove", video=video, masks=masks)) == ""


def test_it_stops_at_the_next_step_and_says_what_is_missing() -> None:
    video, masks = drawn(RED)
    editor = StableVideo(QUICK)

    def stop(step: int, total: int) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        editor.run(SpecialistRequest("remove", video=video, masks=masks), stop)
    for lacking in (
        SpecialistRequest("remove", video=video),
        SpecialistRequest("remove", video=video, masks=torch.zeros_like(masks)),
        SpecialistRequest("replace", video=video, masks=masks),
    ):
        with pytest.raises(MissingInputError):
            StableVideo(FitSettings(steps=1)).run(lacking)
