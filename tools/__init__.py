"""The LangChain tools, one for each of VITRON's seven modules.

`make_tools` makes them over parts that are handed in; `vitron_agent.build.vitron_tools` is the one for users.
"""

from collections.abc import Callable

from langchain_core.tools import StructuredTool

from vitron_agent.tools import (
    animate_image,
    edit_image,
    edit_video,
    generate_image,
    generate_video,
    keyframes,
    segment_image,
    track_video,
)
from vitron_agent.tools.base import Artifact, Toolbox
from vitron_agent.tools.budget import Budget
from vitron_agent.tools.residency import Residents

TOOLS: dict[str, Callable[[Toolbox], StructuredTool]] = {
    "generate_image": generate_image.make_generate_image,
    "segment_image": segment_image.make_segment_image,
    "edit_image": edit_image.make_edit_image,
    "generate_video": generate_video.make_generate_video,
    "track_video": track_video.make_track_video,
    "edit_video": edit_video.make_edit_video,
    "animate_image": animate_image.make_animate_image,
}
NEEDS: dict[str, str] = {
    "generate_image": generate_image.SPECIALIST,
    "segment_image": segment_image.SPECIALIST,
    "edit_image": edit_image.SPECIALIST,
    "generate_video": generate_video.SPECIALIST,
    "track_video": segment_image.SPECIALIST,
    "edit_video": keyframes.SPECIALIST,
    "animate_image": animate_image.SPECIALIST,
}
"""The specialist without which a tool is not offered."""


def make_tools(toolbox: Toolbox) -> list[StructuredTool]:
    """Make the tools whose specialists are at hand, all over the same parts."""
    return [make(toolbox) for name, make in TOOLS.items() if NEEDS[name] in toolbox.residents.names]


__all__ = ["NEEDS", "TOOLS", "Artifact", "Budget", "Residents", "Toolbox", "make_tools"]
