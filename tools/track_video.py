"""The tool for module E: follow what words or a region point at through a video, and return its mask in every frame."""

import json

import torch
from langchain_core.tools import StructuredTool
from torch import Tensor

from vitron_agent.errors import NothingFoundError
from vitron_agent.invocation import Module
from vitron_agent.media import Box, MediaKind, MediaStore
from vitron_agent.media.overlay import overlay
from vitron_agent.specialists.base import SpecialistRequest, SpecialistResult
from vitron_agent.tools.arguments import TrackArguments
from vitron_agent.tools.base import Artifact, Call, Toolbox, Video
from vitron_agent.tools.making import make_tool
from vitron_agent.tools.results import tracked
from vitron_agent.tools.segment_image import SPECIALIST, words_for


def track_video(call: Call, arguments: TrackArguments) -> tuple[str, Artifact]:
    """Follow one object and store its masks and the video with the object shown.

    Returns:
        The text for the planner and the artifact: kind "mask", uri of the overlay video (for people), track_uri (see
        `read_track`), inputs, video (its number).

    Raises:
        NothingFoundError: Nothing in the video matches.
        MissingInputError: There is no such video or no drawn region.
    """
    video = call.video()
    result = follow(call, arguments.command, video)
    assert result.masks is not None
    store = call.toolbox.store.without_sync()  # all of it follows from video and command
    shown = torch.stack([overlay(frame, mask) for frame, mask in zip(video.frames, result.masks, strict=True)])
    record = {"masks": [store.put_mask(mask).uri for mask in result.masks], "boxes": result.track}
    artifact: Artifact = {
        "kind": MediaKind.MASK.value,
        "uri": store.put_video(shown, video.fps).uri,
        "track_uri": store.put_bytes(json.dumps(record).encode(), "json"),
        "inputs": [video.uri],
        "video": video.number,
    }
    return tracked(arguments.command, result.track, video.name), artifact


def read_track(store: MediaStore, uri: str) -> tuple[Tensor, tuple[Box | None, ...]]:
    """Return what `track_video` stored: masks, bool (T, H, W), and their boxes, None where nothing is seen.

    Raises:
        StorageError: The store lost it.
    """
    record = json.loads(store.get_bytes(uri))
    masks = torch.stack([store.get_mask(mask) for mask in record["masks"]])
    return masks, tuple((box[0], box[1], box[2], box[3]) if box else None for box in record["boxes"])


def follow(call: Call, words: str, video: Video) -> SpecialistResult:
    """Return the masks and boxes, one per frame, of what words or the call's region point at; a region wins.

    Raises:
        NothingFoundError: No frame shows it.
        MissingInputError: It says "drawn" and nothing was drawn.
    """
    region = call.region()
    request = SpecialistRequest(
        words_for(words, region),
        video=video.frames,
        region=region,
        mask=call.region_mask(region, video.frames) if region else None,
        signals=call.signals(),
        seed=call.seed,
    )
    result = call.run(SPECIALIST, request)
    if result.masks is None or not result.masks.any():
        raise NothingFoundError(f"{words!r} was not found in {video.name}: say it with other words")
    return result


def make_track_video(toolbox: Toolbox) -> StructuredTool:
    """Make the tool `track_video(command, region, video)`."""
    return make_tool(Module.E, TrackArguments, track_video, toolbox)
