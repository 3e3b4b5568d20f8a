"""The tool for module A: draw a picture from words, with an optional box for each object."""

from langchain_core.tools import StructuredTool

from vitron_agent.invocation import Module
from vitron_agent.media import MediaKind
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.tools.arguments import GenerateArguments
from vitron_agent.tools.base import Artifact, Call, Toolbox
from vitron_agent.tools.layout import settled
from vitron_agent.tools.making import make_tool
from vitron_agent.tools.results import MADE

SPECIALIST = "gligen"


def generate_image(call: Call, arguments: GenerateArguments) -> tuple[str, Artifact]:
    """Draw one picture and store it.

    Returns:
        The text for the planner and the artifact: kind, uri, mask_uri, boxes (of the layout, see layout.py), labels,
        inputs.
    """
    layout = settled(arguments.command, arguments.invocation().layout)
    request = SpecialistRequest(arguments.command, layout=layout, signals=call.signals(), seed=call.seed)
    image = call.run(SPECIALIST, request).image
    assert image is not None  # the contract of a generator
    artifact: Artifact = {
        "kind": MediaKind.IMAGE.value,
        "uri": call.toolbox.store.put_image(image).uri,
        "mask_uri": None,
        "boxes": [list(item.box) for item in layout],
        "labels": [item.phrase for item in layout],
        "inputs": [],
        "picture": None,
    }
    return MADE, artifact


def make_generate_image(toolbox: Toolbox) -> StructuredTool:
    """Make the tool `generate_image(command, layout)`."""
    return make_tool(Module.A, GenerateArguments, generate_image, toolbox)
