"""The tool for module F: change an object of a video, or its background. Some of it is edited, the rest follows.

The segmenter follows what is meant, an editor repaints it in one frame or some (`keyframes.py`), and StableVideo
carries that over to every frame through the video's layered atlas.
"""

import torch
from langchain_core.tools import StructuredTool
from torch import Tensor

from vitron_agent.errors import InvocationError, MissingInputError, NothingFoundError
from vitron_agent.invocation import Module, parse_edit
from vitron_agent.media import MediaKind
from vitron_agent.specialists.base import SpecialistRequest, SpecialistResult
from vitron_agent.specialists.stable_video.specialist import REMOVE
from vitron_agent.tools import edit_image, keyframes
from vitron_agent.tools.arguments import EditVideoArguments
from vitron_agent.tools.base import Artifact, Call, Picture, Toolbox, Video
from vitron_agent.tools.keyframes import OBJECT, SPECIALIST
from vitron_agent.tools.making import make_tool
from vitron_agent.tools.results import MADE
from vitron_agent.tools.track_video import follow


def edit_video(call: Call, arguments: EditVideoArguments) -> tuple[str, Artifact]:
    """Edit one video and store the new one: first its object, then its background, as far as each is asked for.

    Returns:
        The text for the planner and the artifact: kind, uri, looks (pictures of the atlas, name -> uri), inputs, video
        (the number of the old one).

    Raises:
        InvocationError: A command is none that a video's object or background can be given.
        NothingFoundError: What it speaks of is not in the video.
        MissingInputError: There is no such video or no drawn region.
    """
    video = call.video()
    on_object, on_background = layers(arguments)
    result = SpecialistResult(MediaKind.VIDEO, video=video.frames)
    if on_object:
        result = edit_object(call, on_object, video)
    if on_background:
        assert result.video is not None
        result = edit_background(call, on_background, result.video)
    assert result.video is not None
    store = call.toolbox.store
    artifact: Artifact = {
        "kind": MediaKind.VIDEO.value,
        "uri": store.put_video(result.video, video.fps).uri,
        "looks": {name: store.put_image(picture).uri for name, picture in result.looks.items()},
        "inputs": [video.uri],
        "video": video.number,
    }
    return MADE, artifact


def layers(arguments: EditVideoArguments) -> tuple[str | None, str | None]:
    """Return what the object and what the background is to become, as commands; a background's may stand in either.

    Raises:
        InvocationError: A command asks for what a layer cannot be given.
    """
    command, background = arguments.command or None, arguments.background
    if command and parse_edit(command).operation == "background":
        command, background = None, command if background is None else background
    if command and parse_edit(command).operation not in ("replace", "remove"):
        raise InvocationError(f"{command!r} cannot be done to a video: replace or remove an object of it")
    if background and parse_edit(background).operation != "background":
        raise InvocationError(f"{background!r} is no change of a background: say 'change the background to COLOUR'")
    return command, background


def edit_object(call: Call, command: str, video: Video) -> SpecialistResult:
    """Change or remove the object that a command or the call's region points at, in every frame.

    Raises:
        NothingFoundError: No frame shows it.
        MissingInputError: Nothing says which object.
    """
    wish = parse_edit(command)
    if wish.target is None and call.arguments.invocation().region is None and not _drawn(call):
        raise MissingInputError(f"it is not said what to {wish.operation}: name it, or ask the user to draw it")
    masks = follow(call, wish.target or "", video).masks
    assert masks is not None
    request = SpecialistRequest(REMOVE, video=video.frames, masks=masks)
    if wish.operation == OBJECT:
        edited = keyframes.of_object(call, command, wish.new or "object", video.frames, masks)
        request = SpecialistRequest(OBJECT, video=video.frames, masks=masks, keyframes=edited)
    return call.run(SPECIALIST, request)


def edit_background(call: Call, command: str, frames: Tensor) -> SpecialistResult:
    """Change the background of frames, uint8 (T, 3, H, W), and leave all objects as they are.

    Raises:
        NothingFoundError: No frame shows an object.
    """
    masks = torch.stack([edit_image.Looker(call, Picture("", None, frame)).objects()[0] for frame in frames])
    if not masks.any():
        raise NothingFoundError("no frame of the video shows an object before its background")
    return call.run(SPECIALIST, keyframes.of_background(call, command, frames, masks))


def _drawn(call: Call) -> bool:
    """Whether the call means what the user drew."""
    return call.arguments.invocation().uses_drawn_region


def make_edit_video(toolbox: Toolbox) -> StructuredTool:
    """Make the tool `edit_video(command, background, region, video)`."""
    return make_tool(Module.F, EditVideoArguments, edit_video, toolbox)
