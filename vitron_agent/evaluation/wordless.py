"""Specialists that are given the planner's embeddings and none of its words: one arm of the ablation.

Where, and in which box, is still read off the call; which module runs is for silent.py to say. A tool's own questions
("the background") are kept: they are not the planner's words.
"""

from dataclasses import dataclass, replace

from vitron_agent.specialists.base import Progress, Specialist, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.tools.edit_image import BACKGROUND

NEUTRAL = "object"
"""What stands where a word must stand."""


@dataclass(frozen=True)
class Wordless:
    """A specialist that does not hear what is said.

    Attributes:
        inner: The specialist proper.
    """

    inner: Specialist

    @property
    def name(self) -> str:
        """The specialist's own name."""
        return self.inner.name

    @property
    def revision(self) -> str:
        """Other than the specialist's own, so that no result of one is taken for the other's."""
        return f"{self.inner.revision}-wordless"

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        """Carry out a request without its words; raise what the specialist does."""
        layout = tuple(item.model_copy(update={"phrase": NEUTRAL}) for item in request.layout)
        command = request.command if request.command == BACKGROUND else NEUTRAL
        return self.inner.run(replace(request, command=command, layout=layout), progress)
