"""What a conversation in the small world consists of: turns, the steps that a user wants, their calls. Values only."""

from dataclasses import dataclass, field
from typing import Any, Literal

from vitron_agent.invocation import Invocation
from vitron_agent.media import Region
from vitron_agent.shapes.clip import Clip
from vitron_agent.shapes.scene import Scene

Facts = dict[str, Any]
Style = Literal["full", "bare"]
"""A request that stands alone in any form, or a bare imperative that can be joined with others."""


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation.

    Attributes:
        role: "user", "result" (a tool's observation, on the user's side of the dialogue) or "assistant".
        text: What is said, without calls; `<objs>` stands for a drawn region.
        scenes: Pictures that appear in this turn, numbered on through the conversation from 1.
        regions: What the user drew, one per `<objs>`, on the latest picture or (first frame of the) video.
        invocation: The assistant's call, if it makes one; it comes after the text.
        facts: Ground truth for checkers (see tasks.py).
        clips: Videos that appear in this turn, numbered on through the conversation from 1, apart from the pictures.
    """

    role: Literal["user", "result", "assistant"]
    text: str
    scenes: tuple[Scene, ...] = ()
    regions: tuple[Region, ...] = ()
    invocation: Invocation | None = None
    facts: Facts = field(default_factory=dict)
    clips: tuple[Clip, ...] = ()


@dataclass(frozen=True)
class Action:
    """One call with what comes back: the observation's text and the new picture or video, if any."""

    invocation: Invocation
    result: str
    scene: Scene | None
    clip: Clip | None = None


@dataclass(frozen=True)
class Step:
    """One thing that a user wants.

    Attributes:
        clause: The wording.
        actions: The calls that do it, in order; none for a question.
        answer: What the assistant says once it is done.
        facts: Ground truth.
        is_question: Whether the answer must be said even when more steps follow.
        about: The object that the request is about, "the red circle", where words name it. The reply names it first:
            a small planner finds what it has just named far better than what stands further back.
        lead: What the reply says it will do, where the module's usual words do not fit.
        number: Of the picture or video that it is about, where that is not the latest or was named; said first.
    """

    clause: str
    actions: tuple[Action, ...]
    answer: str
    facts: Facts
    is_question: bool = False
    about: str = ""
    lead: str = ""
    number: int | None = None
