"""The LangChain tools: generate_image, segment_image, edit_image, track_video and edit_video.

`make_tools` makes them over parts that are handed in; `vitron_agent.build.vitron_tools` is the one for users.
"""

from collections.abc import Callable

from langchain_core.tools import StructuredTool

from vitron_agent.tools.base import Artifact, Toolbox
from vitron_agent.tools.edit_image import make_edit_image
from vitron_agent.tools.edit_video import make_edit_video
from vitron_agent.tools.generate_image import make_generate_image
from vitron_agent.tools.residency import Residents
from vitron_agent.tools.segment_image import make_segment_image
from vitron_agent.tools.track_video import make_track_video

TOOLS: dict[str, Callable[[Toolbox], StructuredTool]] = {
    "generate_image": make_generate_image,
    "segment_image": make_segment_image,
    "edit_image": make_edit_image,
    "track_video": make_track_video,
    "edit_video": make_edit_video,
}


def make_tools(toolbox: Toolbox) -> list[StructuredTool]:
    """Make all tools over the same parts."""
    return [make(toolbox) for make in TOOLS.values()]


__all__ = ["TOOLS", "Artifact", "Residents", "Toolbox", "make_tools"]
