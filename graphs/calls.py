"""Which calls of a reply can run now. Calls run side by side, except where one needs what another makes.

A planner may write "draw a circle" and "make it blue" as two calls of one reply. The second works on the latest
picture, so it waits for the first; with videos it is the same. This file knows modules' inputs and outputs, no tools.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, InvalidToolCall, ToolCall, ToolMessage

from vitron_agent.errors import FinalError
from vitron_agent.graphs.state import MAX_TEXT
from vitron_agent.invocation import Module
from vitron_agent.media import MediaKind
from vitron_agent.tools.conversation import NAMES, handles
from vitron_agent.tools.making import not_done

_MAKES = {module.tool_name: module.output for module in Module if module.output in NAMES}
_NEEDS = {module.tool_name: module.inputs[0] for module in Module if module.inputs}


@dataclass(frozen=True)
class Pending:
    """The unanswered calls of the last reply.

    Attributes:
        ready: can run now, side by side.
        lost: cannot run any more, since the call that was to make their picture or video failed.
        unread: calls that could not be read; `error` says why.
    """

    ready: list[Any]
    lost: list[Any]
    unread: list[Any]


def pending(messages: Sequence[AnyMessage]) -> Pending:
    """Sort the unanswered calls of the last reply; all empty where there are none."""
    last = max((i for i, message in enumerate(messages) if isinstance(message, AIMessage)), default=None)
    if last is None:
        return Pending([], [], [])
    reply = messages[last]
    assert isinstance(reply, AIMessage)
    status = {m.tool_call_id: m.status for m in messages[last + 1 :] if isinstance(m, ToolMessage)}
    known = {kind: len(handles(messages, kind)) for kind in NAMES}
    ready: list[Any] = []
    lost: list[Any] = []
    waiting: set[MediaKind] = set()  # what calls before this one are still to make
    failed: set[MediaKind] = set()  # where the last call that was to make one failed
    for call in reply.tool_calls:
        done, made = status.get(str(call["id"])), _MAKES.get(call["name"])
        needed = _newest(call, known)
        if done is None and needed in failed:
            lost.append(call)
        elif done is None and needed not in waiting:
            ready.append(call)
        if made is not None:
            if done is None:
                waiting.add(made)
            (failed.add if done == "error" else failed.discard)(made)
    return Pending(ready, lost, [call for call in reply.invalid_tool_calls if call["id"] not in status])


def _newest(call: Any, known: Mapping[MediaKind, int]) -> MediaKind | None:
    """Whether a call works on the latest picture (or video), or on one that is not there yet; None if it does not."""
    kind = _NEEDS.get(call["name"])
    if kind is None:
        return None
    wanted = call["args"].get(NAMES[kind])
    return kind if wanted is None or (isinstance(wanted, int) and wanted > known[kind]) else None


def refusal(call: Any, reason: str) -> ToolMessage:
    """Return the answer to a call that was not done."""
    return ToolMessage(not_done(ValueError(reason)), tool_call_id=call["id"], name=call["name"], status="error")


def check_length(characters: int, limit: int = MAX_TEXT) -> None:
    """Refuse a reply that does not end.

    Raises:
        FinalError: It has more characters than `limit`.
    """
    if characters > limit:
        raise FinalError(f"the planner wrote more than {limit:,} characters and came to no end: ask for less at once")


def without_payloads(reply: AIMessage) -> AIMessage:
    """Return a reply whose calls are small: arguments too long for any tool are cut, and the call counts as unreadable.

    A planner that runs away must not fill the stored conversation.

    Raises:
        FinalError: What it says is too long.
    """
    check_length(len(str(reply.content)))
    sound = [call for call in reply.tool_calls if _length(call) <= MAX_TEXT]
    unread = [_cut(call) if _length(call) > MAX_TEXT else call for call in reply.invalid_tool_calls]
    unread += [_cut(call) for call in reply.tool_calls if call not in sound]
    if sound == reply.tool_calls and unread == reply.invalid_tool_calls:
        return reply
    return reply.model_copy(update={"tool_calls": sound, "invalid_tool_calls": unread})


def _length(call: ToolCall | InvalidToolCall) -> int:
    return len(json.dumps(call["args"], default=str))


def _cut(call: ToolCall | InvalidToolCall) -> InvalidToolCall:
    said = f"its arguments have {_length(call):,} characters: say it shorter"
    start = json.dumps(call["args"], default=str)[:200]
    return InvalidToolCall(
        name=str(call["name"])[:200], args=start, id=call["id"], error=said, type="invalid_tool_call"
    )
