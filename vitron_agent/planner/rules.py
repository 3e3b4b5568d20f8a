"""What a reply may do in a conversation: which modules can be called on what is there.

This file knows modules and counts, neither tokens nor tensors.
"""

from collections.abc import Collection
from dataclasses import dataclass

from vitron_agent.invocation import Module
from vitron_agent.media import MediaKind


@dataclass(frozen=True)
class Rules:
    """What a reply may do.

    Attributes:
        modules: Modules that may be called now.
        pictures: Number of pictures in the conversation.
        videos: Number of videos in the conversation.
        drawn: Whether the user drew a region.
        max_calls: Calls per reply.
    """

    modules: frozenset[Module]
    pictures: int = 0
    videos: int = 0
    drawn: bool = False
    max_calls: int = 1

    def media(self, module: Module) -> int:
        """Number of pictures, or videos, that a call of this module can work on."""
        counts = {MediaKind.IMAGE: self.pictures, MediaKind.VIDEO: self.videos}
        return counts[module.inputs[0]] if module.inputs else 0


def rules_for(
    modules: Collection[Module], pictures: int, videos: int = 0, *, drawn: bool = False, max_calls: int = 1
) -> Rules:
    """Rules for a conversation: modules that need a picture or a video are dropped while there is none."""
    counts = {MediaKind.IMAGE: pictures, MediaKind.VIDEO: videos}
    usable = frozenset(m for m in modules if all(counts[kind] for kind in m.inputs))
    return Rules(usable, pictures, videos, drawn, max_calls)
