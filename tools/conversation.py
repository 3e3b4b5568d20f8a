"""What a conversation holds, read off its messages: pictures and videos in order, the drawn region, a call's signals.

Works on plain LangChain messages, so that a tool finds its inputs in our graph, in `create_agent` and in a bare
`ToolNode` alike. This file reads messages only; it touches no store and no pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from pydantic import ValidationError

from vitron_agent.errors import MissingInputError
from vitron_agent.media import MediaKind, Region
from vitron_agent.signals import arguments_digest
from vitron_agent.tools.arguments import ToolArguments

HANDLE = "sha256:"
NAMES = {MediaKind.IMAGE: "picture", MediaKind.VIDEO: "video"}
_KINDS = tuple(kind.value for kind in NAMES)
_REMEDY = {MediaKind.IMAGE: "draw one, or ask the user for one", MediaKind.VIDEO: "ask the user for one"}


def handles_of(message: AnyMessage, kind: MediaKind) -> list[str]:
    """Return the handles of the pictures, or videos, that one message adds: the user's, or what a tool made.

    A tool's own artifact names it; other tools may have handles in their content, as users have.
    """
    if isinstance(message, ToolMessage):
        if message.status != "success":
            return []
        artifact = message.artifact if isinstance(message.artifact, dict) else {}
        made = artifact.get("uri")  # another application's tool may mean something else by it
        if artifact.get("kind") in _KINDS and isinstance(made, str) and made.startswith(HANDLE):
            return [made] if artifact["kind"] == kind.value else []
    elif not isinstance(message, HumanMessage):
        return []
    if isinstance(message.content, str):
        return []
    blocks = [block for block in message.content if isinstance(block, dict) and block.get("type") == kind.value]
    return [block["file_id"] for block in blocks if str(block.get("file_id", "")).startswith(HANDLE)]


def handles(messages: Sequence[AnyMessage], kind: MediaKind) -> list[str]:
    """Return the handles of all pictures, or videos, of the conversation in order of appearance: number 1 comes first.

    Pictures and videos are numbered apart: "picture 2" and "video 1".
    """
    return [handle for message in messages for handle in handles_of(message, kind)]


def choose(messages: Sequence[AnyMessage], kind: MediaKind, wanted: int | str | None) -> tuple[str, int]:
    """Find the picture or the video a call means.

    Args:
        messages: The conversation.
        kind: Picture or video.
        wanted: Its number from 1, its handle, or None for the latest.

    Returns:
        The handle and the number.

    Raises:
        MissingInputError: There is no such one in this conversation. A file path is never one: what a model wrote
            must not open files.
    """
    name, known = NAMES[kind], handles(messages, kind)
    if not known:
        raise MissingInputError(f"there is no {name} in this conversation yet: {_REMEDY[kind]}")
    if wanted is None:
        return known[-1], len(known)
    if isinstance(wanted, str) and wanted in known:
        return wanted, len(known) - known[::-1].index(wanted)
    number = int(wanted) if isinstance(wanted, int) or wanted.isdecimal() else 0
    if not 1 <= number <= len(known):
        have = f"only {name} 1" if len(known) == 1 else f"{name}s 1 to {len(known)}"
        raise MissingInputError(f"there is no {name} {str(wanted)[:40]!r}: the conversation has {have}")
    return known[number - 1], number


def said(arguments: Mapping[str, Any]) -> str:
    """Return what a call asks for in words; a video edit may change an object, the background, or both."""
    return " and ".join(str(arguments[name]) for name in ("command", "background") if arguments.get(name))


def drawn_region(messages: Sequence[AnyMessage]) -> Region | None:
    """Return the region the user drew last, or None.

    Raises:
        MissingInputError: A message carries a region that is none.
    """
    for message in reversed(messages):
        drawn = region_note(message) if isinstance(message, HumanMessage) else None
        if drawn:
            try:
                return Region.model_validate(drawn)
            except ValidationError as error:
                raise MissingInputError("the drawn region cannot be read: ask the user to draw it again") from error
    return None


def region_note(message: HumanMessage) -> Any:
    """Return the region that came with a message, unchecked: its own note, or the `extras` of its last picture."""
    blocks = [] if isinstance(message.content, str) else message.content
    extras = [block.get("extras") for block in blocks if isinstance(block, dict)]
    found = [extra["region"] for extra in extras if isinstance(extra, dict) and extra.get("region")]
    return noted(message.additional_kwargs, "region") or (found[-1] if found else None)


def noted(kept: Mapping[str, Any], name: str) -> Any:
    """Return a note of this library's in a message's extra data, or None; whoever sent it may have written anything."""
    notes = kept.get("vitron")
    return notes.get(name) if isinstance(notes, dict) else None


def signal_handle(messages: Sequence[AnyMessage], call_id: str | None, arguments: ToolArguments) -> str | None:
    """Return the handle of the signals that the planner left for a call, or None.

    None also when the call was edited after the planner wrote it: its digest differs, and an embedding of other words
    would steer the specialist wrong. The digest knows media by number; what is named otherwise, a planner with signals
    did not write.
    """
    for message in reversed(messages):
        signals = noted(message.response_metadata, "signals") if isinstance(message, AIMessage) else None
        entry = signals.get(call_id) if isinstance(signals, dict) else None
        if entry is not None:
            known = isinstance(entry, dict) and not isinstance(arguments.medium, str)
            fresh = known and entry.get("args_digest") == arguments_digest(arguments.invocation())
            return str(entry.get("handle")) if fresh else None
    return None
