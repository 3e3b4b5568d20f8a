"""The tool for module D: make a video from words."""

from langchain_core.tools import StructuredTool

from vitron_agent.invocation import Module
from vitron_agent.media import MediaKind
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.tools.arguments import GenerateVideoArguments
from vitron_agent.tools.base import Artifact, Call, Toolbox
from vitron_agent.tools.making import make_tool
from vitron_agent.tools.results import MADE

SPECIALIST = "zeroscope"
FPS = 8.0  # VITRON's release plays what it makes at this rate


def generate_video(call: Call, arguments: GenerateVideoArguments) -> tuple[str, Artifact]:
    """Make one video and store it.

    Returns:
        The text for the planner and the artifact: kind, uri, inputs, video (None: it is made of no other).
    """
    request = SpecialistRequest(arguments.command, signals=call.signals(), seed=call.seed)
    frames = call.run(SPECIALIST, request).video
    assert frames is not None  # the contract of a maker of videos
    artifact: Artifact = {
        "kind": MediaKind.VIDEO.value,
        "uri": call.toolbox.store.put_video(frames, FPS).uri,
        "inputs": [],
        "video": None,
    }
    return MADE, artifact


def make_generate_video(toolbox: Toolbox) -> StructuredTool:
    """Make the tool `generate_video(command)`."""
    return make_tool(Module.D, GenerateVideoArguments, generate_video, toolbox)
