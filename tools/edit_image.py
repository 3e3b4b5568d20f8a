"""The tool for module C: change a picture. The segmenter finds what is meant, the editor repaints only that."""

from dataclasses import dataclass, field

import torch
from langchain_core.tools import StructuredTool
from torch import Tensor

from vitron_agent.errors import MissingInputError, NothingFoundError
from vitron_agent.invocation import EditCommand, Module, parse_edit
from vitron_agent.media import Box, MediaKind, Region
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.tools import edit_plan, placing
from vitron_agent.tools.arguments import EditArguments
from vitron_agent.tools.base import Artifact, Call, Picture, Toolbox
from vitron_agent.tools.edit_plan import EditPlan
from vitron_agent.tools.making import make_tool
from vitron_agent.tools.results import MADE
from vitron_agent.tools.segment_image import SPECIALIST as SEGMENTER
from vitron_agent.tools.segment_image import words_for

SPECIALIST = "gligen_inpaint"
BACKGROUND = "the background"
SAME_PLACE = 0.5  # share of a box that must lie inside another for the two to be one object


@dataclass
class Looker:
    """Looks at the picture that is edited, with the segmenter; everything is looked up once at most."""

    call: Call
    picture: Picture
    _objects: tuple[Tensor, tuple[Box, ...]] | None = field(default=None, init=False)

    def find(self, words: str, region: Region | None) -> Tensor:
        """Return the pixels, bool (H, W), of what words or a region point at; a region wins.

        Raises:
            NothingFoundError: Nothing is there.
        """
        request = SpecialistRequest(
            words_for(words, region),
            image=self.picture.pixels,
            region=region,
            mask=self.call.region_mask(region, self.picture.pixels) if region else None,
        )
        found = self.call.run(SEGMENTER, request).mask
        if found is None or not found.any():
            raise NothingFoundError(f"{words!r} was not found in {self.picture.name}: say it with other words")
        return edit_plan.main_parts(found)

    def objects(self) -> tuple[Tensor, tuple[Box, ...]]:
        """Return the pixels of all objects, bool (H, W), and their boxes; both empty where there are none.

        Objects are what is not background: asked for as one thing it is found more surely than many things at once.
        """
        if self._objects is None:
            request = SpecialistRequest(BACKGROUND, image=self.picture.pixels)
            try:
                found = self.call.run(SEGMENTER, request).mask
            except NothingFoundError:
                found = None
            background = found if found is not None else torch.ones_like(self.picture.pixels[0], dtype=torch.bool)
            self._objects = (~background, edit_plan.part_boxes(~background))
        return self._objects

    def others(self, target: Box) -> tuple[Box, ...]:
        """Return the boxes of all objects but the one at `target`."""
        return tuple(box for box in self.objects()[1] if _inside(box, target) < SAME_PLACE)


def edit_image(call: Call, arguments: EditArguments) -> tuple[str, Artifact]:
    """Edit one picture and store the new one.

    Returns:
        The text for the planner and the artifact: kind, uri, mask_uri (where it was repainted), boxes and labels of
        what is new, inputs, picture (the number of the old one).

    Raises:
        InvocationError: The command is none of replace, remove, add, background.
        NothingFoundError: What it speaks of is not in the picture, or there is no room.
        MissingInputError: There is no such picture or no drawn region.
    """
    command = parse_edit(arguments.command)
    picture, region = call.picture(), call.region()
    plan = make_plan(command, region, Looker(call, picture))
    request = SpecialistRequest(
        arguments.command,
        image=picture.pixels,
        layout=plan.layout,
        mask=plan.mask,
        signals=call.signals(),
        seed=call.seed,
    )
    image = call.run(SPECIALIST, request).image
    assert image is not None  # the contract of an editor
    store = call.toolbox.store
    artifact: Artifact = {
        "kind": MediaKind.IMAGE.value,
        "uri": store.put_image(image).uri,
        "mask_uri": store.without_sync().put_mask(plan.mask).uri,
        "boxes": [list(item.box) for item in plan.layout],
        "labels": [item.phrase for item in plan.layout],
        "inputs": [picture.uri],
        "picture": picture.number,
    }
    return MADE, artifact


def make_plan(command: EditCommand, region: Region | None, looker: Looker) -> EditPlan:
    """Decide where to paint and what shall stand there.

    Raises:
        NothingFoundError: The target is not in the picture, or there is no room.
        MissingInputError: The command names no target and nothing was drawn.
    """
    if command.operation == "background":
        return edit_plan.new_background(looker.objects()[0])
    if command.operation == "add":
        new = command.new or "object"
        return edit_plan.addition(new, _place(command, region, looker), looker.picture.pixels)
    if command.target is None and region is None:
        raise MissingInputError(f"it is not said what to {command.operation}: name it, or ask the user to draw it")
    target = looker.find(command.target or "", region)
    if command.operation == "remove":
        return edit_plan.removal(target)
    new = command.new or "object"
    others = looker.others(edit_plan.box_of(target)) if placing.size_of(new) else ()
    return edit_plan.replacement(target, new, others)


def _place(command: EditCommand, region: Region | None, looker: Looker) -> Box:
    """Return the square for a new object: in the region; else where the command says, clear of what is there."""
    size = placing.size_of(command.new or "") or placing.ANY
    if region is not None:
        return placing.inside(region.box, size)
    spot = placing.spot_at(command.place) if command.place else None
    if command.beside is not None:
        relation, anchors = command.beside
        spot = placing.spot_beside(relation, [edit_plan.box_of(looker.find(anchor, None)) for anchor in anchors])
    return placing.free_place(looker.objects()[1], size, spot)


def _inside(box: Box, other: Box) -> float:
    """Return the share of a box that lies inside another."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(width, 0.0) * max(height, 0.0) / area if area > 0 else 0.0


def make_edit_image(toolbox: Toolbox) -> StructuredTool:
    """Make the tool `edit_image(command, region, picture)`."""
    return make_tool(Module.C, EditArguments, edit_image, toolbox)
