"""An ideal agent: a planner that makes the right calls, and specialists that do exactly what they are told.

What they are told goes through the real tools and the real graph, so an ideal agent that is judged wrong shows a fault
in tools or judge, never in a model.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vitron_agent.errors import NothingFoundError
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.graphs import make_agent
from vitron_agent.graphs.agent import Agent
from vitron_agent.invocation import Invocation, Module, parse_edit
from vitron_agent.media import MediaKind, MediaStore
from vitron_agent.shapes.check import read_scene
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Scene
from vitron_agent.shapes.tasks import Conversation
from vitron_agent.shapes.tasks_refer import apply, hit, is_background, object_in, resolve
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.testing import ScriptedPlanner, call
from vitron_agent.tools import Residents, Toolbox, make_tools


class IdealSpecialist:
    """Generator, segmenter and editor that read pictures with the checkers and draw with the renderer."""

    name = "ideal"
    revision = "0"

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        if request.image is None:
            scene = apply(None, Invocation(module=Module.A, command=request.command, layout=request.layout))
            return SpecialistResult(MediaKind.IMAGE, image=picture_of(scene))
        scene = read_scene(request.image).scene
        if request.mask is not None and request.region is None:
            return SpecialistResult(MediaKind.IMAGE, image=self._edited(request, scene, request.image, request.mask))
        return self._found(request, scene)

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
        found["picture"] = invocation.media
    return found


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
def scripted_agent(store: MediaStore) -> Callable[[list[Any]], Agent]:
    """Makes the real graph over the real tools and ideal specialists, with a planner that plays back replies."""

    def make(replies: list[Any]) -> Agent:
        ideal = IdealSpecialist()
        residents = Residents({name: lambda: ideal for name in ("gligen", "gligen_inpaint", "seem")})
        return make_agent(ScriptedPlanner(replies=replies), make_tools(Toolbox(store, residents)), store)

    return make


@pytest.fixture
def ideal_agent(scripted_agent: Callable[[list[Any]], Agent]) -> Callable[[Conversation], Agent]:
    """Makes an agent that does one conversation exactly right."""
    return lambda conversation: scripted_agent(script(conversation))


@pytest.fixture
def ideal_specialist() -> IdealSpecialist:
    return IdealSpecialist()
