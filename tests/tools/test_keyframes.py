"""Which frames are edited, by whom, and what each begins from."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from langchain_core.tools import StructuredTool
from torch import Tensor

from vitron_agent.media import MediaStore
from vitron_agent.shapes.clip import Clip, Motion, render_clip
from vitron_agent.shapes.scene import COLOURS, Obj, Scene
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.specialists.stable_video import FitSettings, StableVideo
from vitron_agent.testing import EchoSpecialist
from vitron_agent.tools import Residents, Toolbox, make_tools
from vitron_agent.tools.keyframes import chosen

RED = Obj("circle", "red", "large", 0.3, 0.5, 0.18, COLOURS["red"])
CLIP = render_clip(Clip(Scene("navy", (RED,)), (Motion("right", 0.3),)))
FRAMES, MASKS = (CLIP.images * 255).round().to(torch.uint8), CLIP.masks[:, 0]


def number(request: SpecialistRequest) -> int:
    """Which frame of the clip a request's picture is; files of videos change colours a little."""
    assert request.image is not None
    return int((FRAMES.float() - request.image.float()).abs().mean((1, 2, 3)).argmin())


class Follower(EchoSpecialist):
    """Knows where the circle is."""

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        found = super().run(request, progress)
        if request.video is not None:
            return SpecialistResult(found.kind, masks=MASKS, track=(None,) * len(MASKS))
        return SpecialistResult(found.kind, mask=~MASKS[number(request)])  # asked for the background


class Recolourer(EchoSpecialist):
    """Paints the mask green."""

    def _edited(self, request: SpecialistRequest, image: Tensor) -> Tensor:
        assert request.mask is not None
        return torch.where(request.mask, torch.tensor([0, 200, 0], dtype=torch.uint8)[:, None, None], image)


@pytest.fixture
def painter() -> Recolourer:
    """Stand in for both editors."""
    return Recolourer()


def edit_tool(store: MediaStore, painter: Recolourer, editors: tuple[str, ...], video: StableVideo) -> StructuredTool:
    """The tool with these editors at hand."""
    builders: dict[str, Any] = {"seem": Follower, "stable_video": lambda: video}
    residents = Residents({**builders, **dict.fromkeys(editors, lambda: painter)})
    return next(tool for tool in make_tools(Toolbox(store, residents)) if tool.name == "edit_video")


def run(store: MediaStore, painter: Recolourer, editors: tuple[str, ...], **arguments: Any) -> Tensor:
    """Edit the clip with these editors at hand, and return the new one."""
    tool = edit_tool(store, painter, editors, StableVideo(FitSettings(steps=10)))
    return store.get_video(edited_by(tool, store, **arguments)["uri"])[0]


def edited_by(tool: StructuredTool, store: MediaStore, **arguments: Any) -> dict[str, Any]:
    """Edit the clip, and return the artifact."""
    uri = store.put_video(FRAMES, 8.0).uri
    call = {"type": "tool_call", "id": "1", "name": tool.name, "args": {"video": uri, **arguments}}
    artifact: dict[str, Any] = tool.invoke(call).artifact
    return artifact


BOTH = ("gligen_inpaint", "controlnet")
ON_OBJECT = {"command": "replace the circle with a green circle"}
ON_BACKGROUND = {"background": "change the background to green"}


def test_with_controlnets_several_frames_are_edited_each_begun_from_the_others(
    store: MediaStore, painter: Recolourer
) -> None:
    edited = run(store, painter, BOTH, **ON_OBJECT)
    assert len(painter.requests) == 3
    first, *later = painter.requests
    assert first.draft is None
    for request in later:
        assert request.draft is not None
        inside = request.draft[:, MASKS[number(request)]].float().mean(1)
        assert inside[1] > 150  # green already, carried over from the other frames
        assert inside[0] < 50
    numbers = [number(request) for request in painter.requests]
    assert len(set(numbers)) == 3
    assert torch.equal(torch.stack([request.mask for request in painter.requests]), MASKS[numbers])
    assert edited[:, 1].float()[MASKS].mean() > 170
    assert (edited[:, :, 0].float() - FRAMES[:, :, 0].float()).abs().max() < 6


def test_without_them_the_picture_editor_repaints_one_frame(store: MediaStore, painter: Recolourer) -> None:
    edited = run(store, painter, ("gligen_inpaint",), **ON_OBJECT)
    (request,) = painter.requests
    assert [item.phrase for item in request.layout] == ["green circle"]
    assert edited[:, 1].float()[MASKS].mean() > 170


def test_with_controlnets_the_background_of_all_frames_is_edited_as_one_picture(
    store: MediaStore, painter: Recolourer
) -> None:
    edited = run(store, painter, BOTH, **ON_BACKGROUND)
    (request,) = painter.requests
    assert request.command == "change the background to green"
    assert request.mask is not None
    assert request.mask.all()
    assert request.image is not None
    assert request.image.shape[2] >= 64  # all frames together
    assert (request.image.float() - FRAMES[0, :, :1, :1].float()).abs().max() < 6  # nothing of the circle
    away = ~torch.nn.functional.max_pool2d(MASKS[:, None].float(), 7, 1, 3).bool()[:, 0]
    assert (edited.movedim(1, -1)[away].float() - torch.tensor([0.0, 200, 0])).abs().max() < 9
    inner = ~torch.nn.functional.max_pool2d((~MASKS)[:, None].float(), 7, 1, 3).bool()[:, 0]
    # the video is compressed once; with the picture editor the object changes as little
    assert (edited.movedim(1, -1)[inner].float() - FRAMES.movedim(1, -1)[inner].float()).abs().max() < 9


def test_without_them_the_background_of_one_frame_is(store: MediaStore, painter: Recolourer) -> None:
    run(store, painter, ("gligen_inpaint",), **ON_BACKGROUND)
    (request,) = painter.requests
    assert number(request) == 0
    assert request.mask is not None
    assert torch.equal(request.mask, ~MASKS[0])


class Counting(StableVideo):
    """Counts its runs."""

    runs = 0

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        self.runs += 1
        return super().run(request, progress)


def test_an_edit_is_made_once_and_once_more_by_an_atlas_that_is_given_later(
    store: MediaStore, painter: Recolourer
) -> None:
    editor = Counting(FitSettings(steps=3))
    tool = edit_tool(store, painter, BOTH, editor)
    first = edited_by(tool, store, command="remove the circle")
    assert edited_by(tool, store, command="remove the circle")["looks"] == first["looks"]
    assert editor.runs == 1  # the second time there was a receipt
    frames = store.get_video(first["inputs"][0])[0]
    fitted = editor.atlas(frames, MASKS)
    black = fitted.background.with_texture(torch.zeros_like(fitted.background.texture))
    editor.keep(frames, MASKS, replace(fitted, background=black))
    for _ in range(2):
        later = edited_by(tool, store, command="remove the circle")
        assert store.get_image(later["looks"]["background"]).max() == 0
        assert editor.runs == 2


def areas(*sizes: int) -> Tensor:
    """Masks of so many pixels."""
    return torch.arange(20)[None, None].expand(len(sizes), 1, -1) < torch.tensor(sizes)[:, None, None]


@pytest.mark.parametrize(
    ("sizes", "count", "frames"),
    [
        ((1, 5, 2, 9, 3, 4), 1, [3]),
        ((1, 5, 2, 9, 3, 4), 3, [3, 1, 5]),
        ((0, 0, 2, 9, 0, 4), 3, [3, 5, 2]),  # where it is not seen nothing can be edited
        ((0, 7, 0), 3, [1]),
        ((4, 4, 4), 2, [0, 2]),
    ],
)
def test_frames_are_spread_over_where_the_object_is_seen(sizes: tuple[int, ...], count: int, frames: list[int]) -> None:
    assert chosen(areas(*sizes), count) == frames
