"""What a planner can ask for: the seven modules, one call, and a reply with its calls.

This file does not know how calls are written down (`parser.py`, `render.py`) nor who carries them out.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vitron_agent.errors import InvocationError
from vitron_agent.invocation.tags import find_mark
from vitron_agent.media import Box, MediaKind, Region

MAX_COMMAND = 2000  # characters: longer is a planner running away, not a command


class Module(Enum):
    """The seven functions of VITRON: letters of its release (`data/README.md`), names and inputs of the paper (Tab 13).

    Attributes:
        letter: A to G, also the member's value.
        title: the paper's name.
        task: the word before the colon of an instruction.
        tool_name: the tool that carries it out.
        inputs: media that must be there, besides the command.
        output: what comes out.
    """

    A = ("A", "Image Generation", "generation", "generate_image", (), MediaKind.IMAGE)
    B = ("B", "Image Segmentation", "segmentation", "segment_image", (MediaKind.IMAGE,), MediaKind.MASK)
    C = ("C", "Image Editing", "edit", "edit_image", (MediaKind.IMAGE,), MediaKind.IMAGE)
    D = ("D", "Video Generation", "video", "generate_video", (), MediaKind.VIDEO)
    E = ("E", "Video Segmentation", "tracking", "track_video", (MediaKind.VIDEO,), MediaKind.MASK)
    F = ("F", "Video Editing", "video edit", "edit_video", (MediaKind.VIDEO,), MediaKind.VIDEO)
    G = ("G", "Image-to-Video", "animation", "animate_image", (MediaKind.IMAGE,), MediaKind.VIDEO)

    letter: str
    title: str
    task: str
    tool_name: str
    inputs: tuple[MediaKind, ...]
    output: MediaKind

    def __new__(
        cls, letter: str, title: str, task: str, tool_name: str, inputs: tuple[MediaKind, ...], output: MediaKind
    ) -> Self:
        """Make the letter the value, so that `Module("B")` and JSON work."""
        member = object.__new__(cls)
        member._value_ = letter
        member.letter, member.title, member.task, member.tool_name = letter, title, task, tool_name
        member.inputs, member.output = inputs, output
        return member

    @property
    def takes_layout(self) -> bool:
        """Whether a call may say what is drawn where: it generates, and starts from nothing."""
        return not self.inputs


def _one_line(text: str) -> str:
    """Collapse blanks and new lines, and refuse what would not survive the template."""
    text = " ".join(text.split())
    if len(text) > MAX_COMMAND:
        raise ValueError(f"the command has {len(text)} characters, at most {MAX_COMMAND} are allowed: say it shorter")
    if mark := find_mark(text):
        raise ValueError(f"the command holds {mark!r}, a mark of the template: say it in words")
    return text


class GroundedPhrase(BaseModel):
    """A thing and where it is to be: one entry of a layout.

    Attributes:
        phrase: what is there, without commas, brackets or colons.
        box: (x1, y1, x2, y2) in [0, 1].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    phrase: str = Field(min_length=1)
    box: Box

    @field_validator("phrase")
    @classmethod
    def _can_be_written(cls, phrase: str) -> str:
        phrase = _one_line(phrase)
        if not phrase or set(phrase) & set(",:;()[]<>|"):
            raise ValueError(f"phrase {phrase!r} must be words without , : ; | and brackets")
        return phrase

    @field_validator("box")
    @classmethod
    def _is_a_box(cls, box: Box) -> Box:
        (x1, y1), (x2, y2) = Region.from_box(*box).points
        return (x1, y1, x2, y2)


class Invocation(BaseModel):
    """One call of a module, as the planner wrote it.

    Attributes:
        module: which of the seven functions.
        command: what to do, one line of words. For video editing the foreground's command, "" where it stays as it is.
        background: for video editing only, the background's command; None where it stays as it is.
        region: where, if the planner gave it.
        uses_drawn_region: the call means the region that the user drew (`<objs>`).
        layout: for generation, what is drawn where.
        media: number of the picture or video in the conversation, from 1; None for the latest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    module: Module
    command: str
    background: str | None = None
    region: Region | None = None
    uses_drawn_region: bool = False
    layout: tuple[GroundedPhrase, ...] = ()
    media: int | None = Field(default=None, ge=1)

    @field_validator("command", "background")
    @classmethod
    def _is_one_line(cls, text: str | None) -> str | None:
        return None if text is None else _one_line(text)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        module = f"module {self.module.letter} ({self.module.title})"
        if self.background is not None and self.module is not Module.F:
            raise ValueError(f"{module} takes no background command: only F (Video Editing) does")
        if self.background == "":
            raise ValueError("the background command is empty: leave it out, or say what to do")
        if not self.command and self.background is None:
            raise ValueError(f"{module} has an empty command: say what to do")
        if self.layout and not self.module.takes_layout:
            raise ValueError(f"{module} takes a region, no layout: give one box")
        if (self.region is not None) + self.uses_drawn_region + bool(self.layout) > 1:
            raise ValueError(f"{module} has more than one of region, drawn region and layout: give one")
        return self


@dataclass(frozen=True)
class PlannerReply:
    """A reply taken apart.

    Attributes:
        text: what the user reads, free of tags and special tokens.
        invocations: the calls that were understood, in order.
        problems: one error for each call that was not; its `source` holds the call as written.
        repairs: one sentence for each thing that was understood though it was written badly.
    """

    text: str
    invocations: tuple[Invocation, ...] = ()
    problems: tuple[InvocationError, ...] = ()
    repairs: tuple[str, ...] = ()
