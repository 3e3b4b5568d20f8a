"""The invocation template: what a planner asks for, how it is written and how it is read back."""

from vitron_agent.invocation.edits import RELATIONS, EditCommand, parse_edit
from vitron_agent.invocation.parser import parse_reply
from vitron_agent.invocation.render import render_invocation
from vitron_agent.invocation.tags import DRAWN_REGION
from vitron_agent.invocation.types import MAX_COMMAND, GroundedPhrase, Invocation, Module, PlannerReply

__all__ = [
    "DRAWN_REGION",
    "MAX_COMMAND",
    "RELATIONS",
    "EditCommand",
    "GroundedPhrase",
    "Invocation",
    "Module",
    "PlannerReply",
    "parse_edit",
    "parse_reply",
    "render_invocation",
]
