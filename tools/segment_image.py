"""The tool for module B: find what words or a region point at, and return its mask."""

import re

from langchain_core.tools import StructuredTool

from vitron_agent.errors import NothingFoundError
from vitron_agent.invocation import Module
from vitron_agent.media import MediaKind, Region
from vitron_agent.media.overlay import overlay
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.tools.arguments import SegmentArguments
from vitron_agent.tools.base import Artifact, Call, Toolbox
from vitron_agent.tools.making import make_tool
from vitron_agent.tools.results import segmented

SPECIALIST = "seem"
_NAMELESS = re.compile(
    r"(?:(?:the|this|that|an?) )?(?:object|thing|shape|one|it|this|that|region|area|part|selection)?", re.IGNORECASE
)


def segment_image(call: Call, arguments: SegmentArguments) -> tuple[str, Artifact]:
    """Segment one picture and store mask and overlay.

    Returns:
        The text for the planner and the artifact: kind "mask", uri of the overlay (for people), mask_uri, boxes,
        labels, inputs, picture (its number).

    Raises:
        NothingFoundError: Nothing in the picture matches.
        MissingInputError: There is no such picture or no drawn region.
    """
    picture, region = call.picture(), call.region()
    request = SpecialistRequest(
        words_for(arguments.command, region),
        image=picture.pixels,
        region=region,
        mask=call.region_mask(region, picture.pixels) if region else None,
        signals=call.signals(),
        seed=call.seed,
    )
    result = call.run(SPECIALIST, request)
    if result.mask is None or not result.mask.any():
        raise NothingFoundError(f"{arguments.command!r} was not found in {picture.name}: say it with other words")
    store = call.toolbox.store.without_sync()  # both follow from picture and command
    artifact: Artifact = {
        "kind": MediaKind.MASK.value,
        "uri": store.put_image(overlay(picture.pixels, result.mask)).uri,
        "mask_uri": store.put_mask(result.mask).uri,
        "boxes": [list(box) for box in result.boxes],
        "labels": list(result.labels),
        "inputs": [picture.uri],
        "picture": picture.number,
    }
    return segmented(arguments.command, result, picture.name), artifact


def words_for(command: str, region: Region | None) -> str:
    """Return the words a segmenter is given: none where a region says it all and the words are but "the object"."""
    return "" if region and _NAMELESS.fullmatch(command.strip()) else command


def make_segment_image(toolbox: Toolbox) -> StructuredTool:
    """Make the tool `segment_image(command, region, picture)`."""
    return make_tool(Module.B, SegmentArguments, segment_image, toolbox)
