"""An ideal agent: a planner that makes the right calls, and specialists that do exactly what they are told.

What they are told goes through the real tools and the real graph, so an ideal agent that is judged wrong shows a fault
in tools or judge, never in a model.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vitron_agent.errors import NothingFoundError
from vitron_agent.evaluation.areas import MARGIN, box_mask
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.graphs import make_agent
from vitron_agent.graphs.agent import Agent
from vitron_agent.invocation import Invocation, Module, parse_edit
from vitron_agent.media import Box, MediaKind, MediaStore
from vitron_agent.shapes.check import read_scene
from vitron_agent.shapes.clip import Clip, frames_of
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Obj, Scene
from vitron_agent.shapes.tasks import Conversation
from vitron_agent.shapes.tasks_refer import apply, hit, is_background, object_in, resolve
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.testing import ScriptedPlanner, call
from vitron_agent.tools import Residents, Toolbox, make_tools


class IdealSpecialist:
    """Generator, segmenter, tracker and editor that read frames with the checkers and draw with the renderer."""

    name = "ideal"
    revision = "0"

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        if request.video is not None:
            return edited_film(request) if request.masks is not None else self._tracked(request, request.video)
        if request.image is None:
            scene = apply(None, Invocation(module=Module.A, command=request.command, layout=request.layout))
            return SpecialistResult(MediaKind.IMAGE, image=picture_of(scene))
        scene = read_scene(request.image).scene
        if request.mask is not None and request.region is None:
            return SpecialistResult(MediaKind.IMAGE, image=self._edited(request, scene, request.image, request.mask))
        return self._found(request, scene)

    def _tracked(self, request: SpecialistRequest, video: torch.Tensor) -> SpecialistResult:
        found = self._found(request, read_scene(video[0]).scene)
        assert found.mask is not None
        masks = [found.mask]
        for frame in video[1:]:  # an object covers much of where it was one frame before
            parts = read_scene(frame).masks
            masks.append(parts[(parts & masks[-1]).flatten(1).sum(1).argmax()])
        return SpecialistResult(MediaKind.VIDEO, masks=torch.stack(masks), track=tuple(box_of(mask) for mask in masks))

    def _edited(
        self, request: SpecialistRequest, scene: Scene, image: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        edit = parse_edit(request.command)
        if edit.operation == "background":
            after = Scene(str(edit.new), scene.objects)
            return picture_of(after)
        kept = tuple(o for o in scene.objects if not mask[int(o.y * 64), int(o.x * 64)])
        new = tuple(object_in(entry.box, entry.phrase) for entry in request.layout)
        return torch.where(mask, picture_of(Scene(scene.background, (*kept, *new))), image)

    def _found(self, request: SpecialistRequest, scene: Scene) -> SpecialistResult:
        masks = render([scene]).masks[0]
        if request.region is not None:
            index = hit(scene, request.region)
            indices: tuple[int, ...] = () if index is None else (index,)
        elif is_background(request.command):
            boxes, labels = ((0.0, 0.0, 1.0, 1.0),), ("background",)
            return SpecialistResult(MediaKind.MASK, mask=~masks.any(0), boxes=boxes, labels=labels)
        else:
            indices = resolve(scene, request.command)
        if not indices:
            raise NothingFoundError(f"{request.command!r} is not in the picture")
        objects = [scene.objects[i] for i in indices]
        return SpecialistResult(
            MediaKind.MASK,
            mask=masks[list(indices)].any(0),
            boxes=tuple(obj.box for obj in objects),
            labels=tuple(f"{obj.colour} {obj.shape}" for obj in objects),
        )


class IdealFilmmaker:
    """Maker of videos that plays the clips of a conversation in order; a picture's own objects do what theirs do."""

    name = "ideal filmmaker"
    revision = "0"

    def __init__(self, clips: tuple[Clip, ...]) -> None:
        self.clips = iter(clips)

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        clip = next(self.clips)
        if request.image is None:
            return SpecialistResult(MediaKind.VIDEO, video=frames_of(clip))
        # what was added "somewhere" need not stand where the clip has it
        scene = read_scene(request.image).scene
        video = frames_of(Clip(scene, tuple(clip.motions[_same(obj, clip.scene)] for obj in scene.objects)))
        video[0] = request.image
        return SpecialistResult(MediaKind.VIDEO, video=video)


def _same(obj: Obj, scene: Scene) -> int:
    """Which of a scene's objects is meant: of its look, and nearest."""
    looks = [((other.shape, other.colour) != (obj.shape, obj.colour), other) for other in scene.objects]
    places = [(differs, (other.x - obj.x) ** 2 + (other.y - obj.y) ** 2) for differs, other in looks]
    return places.index(min(places))


def edited_film(request: SpecialistRequest) -> SpecialistResult:
    """Carry the keyframe's look over to all frames: the object's colour and shape, or the background."""
    assert request.video is not None
    assert request.masks is not None
    ((key, picture),) = request.keyframes.items()
    look = read_scene(picture).scene
    frames = []
    for frame, mask in zip(request.video, request.masks, strict=True):
        scene = read_scene(frame).scene
        if request.command == "background":
            frames.append(torch.where(mask, frame, picture_of(replace(scene, background=look.background))))
            continue
        (old,) = (o for o in scene.objects if mask[int(o.y * 64), int(o.x * 64)])
        (new,) = (o for o in look.objects if request.masks[key][int(o.y * 64), int(o.x * 64)])
        now = replace(old, colour=new.colour, shape=new.shape, rgb=new.rgb)
        frames.append(torch.where(box_mask(old, MARGIN, 64), picture_of(Scene(scene.background, (now,))), frame))
    return SpecialistResult(MediaKind.VIDEO, video=torch.stack(frames))


def box_of(mask: torch.Tensor) -> Box:
    """The box around a mask's pixels, shares of the picture."""
    rows, columns = mask.any(1).nonzero()[:, 0] / 64, mask.any(0).nonzero()[:, 0] / 64
    return float(columns[0]), float(rows[0]), float(columns[-1]) + 1 / 64, float(rows[-1]) + 1 / 64


def arguments(invocation: Invocation) -> dict[str, Any]:
    """A call's arguments, as the planner's chat face hands them to the tools."""
    found: dict[str, Any] = {"command": invocation.command}
    if invocation.layout:
        found["layout"] = [{"phrase": item.phrase, "box": list(item.box)} for item in invocation.layout]
    if invocation.region is not None:
        found["region"] = list(invocation.region.box)
    if invocation.uses_drawn_region:
        found["region"] = "drawn"
    if invocation.media is not None:
        found["video" if invocation.module in (Module.E, Module.F) else "picture"] = invocation.media
    if invocation.background is not None:
        found["background"] = invocation.background
    return found


def made_clips(conversation: Conversation) -> tuple[Clip, ...]:
    """The videos that a conversation makes of words or of pictures, in order."""
    pairs = zip(conversation.turns, conversation.turns[1:], strict=False)
    made = [after for turn, after in pairs if turn.invocation and turn.invocation.module in (Module.D, Module.G)]
    return tuple(clip for turn in made for clip in turn.clips)


def script(conversation: Conversation) -> list[Any]:
    """The replies of a planner that says and calls exactly what the conversation's truth does."""
    replies: list[Any] = []
    for turn in conversation.turns:
        if turn.role == "assistant" and turn.invocation is not None:
            replies.append([turn.text, call(turn.invocation.module.tool_name, **arguments(turn.invocation))])
        elif turn.role == "assistant":
            replies.append(turn.text)
    return replies


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media")


@pytest.fixture
def scripted_agent(store: MediaStore) -> Callable[..., Agent]:
    """Make the real graph over the real tools and ideal specialists, with a planner that plays back replies.

    The clips that are handed in as well are those that will be made, in order.
    """

    def make(replies: list[Any], clips: tuple[Clip, ...] = ()) -> Agent:
        ideal, filmmaker = IdealSpecialist(), IdealFilmmaker(clips)
        makers: dict[str, Any] = dict.fromkeys(("gligen", "gligen_inpaint", "seem", "stable_video"), lambda: ideal)
        residents = Residents({**makers, **dict.fromkeys(("zeroscope", "i2vgen_xl"), lambda: filmmaker)})
        return make_agent(ScriptedPlanner(replies=replies), make_tools(Toolbox(store, residents)), store)

    return make


@pytest.fixture
def ideal_agent(scripted_agent: Callable[..., Agent]) -> Callable[[Conversation], Agent]:
    """Make an agent that does one conversation exactly right."""
    return lambda conversation: scripted_agent(script(conversation), made_clips(conversation))


@pytest.fixture
def ideal_specialist() -> IdealSpecialist:
    return IdealSpecialist()
