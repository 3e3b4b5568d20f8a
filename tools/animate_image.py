"""The tool for module G: make a video that begins with a picture."""

from langchain_core.tools import StructuredTool

from vitron_agent.invocation import Module
from vitron_agent.media import MediaKind
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.tools.arguments import AnimateArguments
from vitron_agent.tools.base import Artifact, Call, Toolbox
from vitron_agent.tools.generate_video import FPS
from vitron_agent.tools.making import make_tool
from vitron_agent.tools.results import MADE

SPECIALIST = "i2vgen_xl"


def animate_image(call: Call, arguments: AnimateArguments) -> tuple[str, Artifact]:
    """Set one picture in motion and store the video.

    Returns:
        The text for the planner and the artifact: kind, uri, inputs, picture (its number).

    Raises:
        MissingInputError: There is no such picture.
    """
    picture = call.picture()
    request = SpecialistRequest(arguments.command, image=picture.pixels, signals=call.signals(), seed=call.seed)
    frames = call.run(SPECIALIST, request).video
    assert frames is not None  # the contract of a maker of videos
    artifact: Artifact = {
        "kind": MediaKind.VIDEO.value,
        "uri": call.toolbox.store.put_video(frames, FPS).uri,
        "inputs": [picture.uri],
        "picture": picture.number,
    }
    return MADE, artifact


def make_animate_image(toolbox: Toolbox) -> StructuredTool:
    """Make the tool `animate_image(command, picture)`."""
    return make_tool(Module.G, AnimateArguments, animate_image, toolbox)
