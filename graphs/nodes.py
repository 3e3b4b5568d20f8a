"""The agent's nodes: functions from state to partial update, each testable alone.

The parts they need (planner, store) are keyword arguments, bound when the graph is wired. No node knows the wiring.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.prebuilt.tool_node import ToolCallRequest, ToolInvocationError
from langgraph.types import Command, Overwrite

from vitron_agent.errors import Cancelled, FinalError, InputError, quoted
from vitron_agent.graphs.calls import check_length, refusal, without_payloads
from vitron_agent.graphs.state import AgentState, MediaEntry
from vitron_agent.graphs.turn import by_reference, is_by_reference, result_by_reference
from vitron_agent.graphs.view import View
from vitron_agent.invocation import Module
from vitron_agent.media import NO_SOURCES, MediaSources, MediaStore
from vitron_agent.tools.conversation import NAMES, handles_of, noted
from vitron_agent.tools.making import not_done
from vitron_agent.tools.memory import attempts, keep_all
from vitron_agent.tools.stopping import Check, check_for

MAX_WRITTEN = 2_000_000  # characters of one reply, arguments included, at which a planner is interrupted

_TOOLS = {module.tool_name for module in Module}

Planner = Runnable[LanguageModelInput, BaseMessage]
Done = ToolMessage | Command[Any]


def ingest(state: AgentState, *, store: MediaStore, sources: MediaSources = NO_SOURCES) -> dict[str, Any]:
    """Take in the user's new messages: pictures and videos become handles, and what cannot be used is answered at once.

    An unusable message is replaced by a note, so that it cannot spoil the turns after it. New is what came behind the
    last answer, and in a history that an application keeps itself, whatever is not by reference yet.
    """
    messages = state.get("messages", [])
    if not messages:
        raise InputError("there is nothing to go on with on this thread: send a message first")
    last, said = _last_answer(messages), [(i, m) for i, m in enumerate(messages) if isinstance(m, HumanMessage)]
    fresh = [message for place, message in said if place > last or not is_by_reference(message)]
    update: list[AnyMessage] = []
    try:
        update += [by_reference(message, store, sources) for message in fresh]
    except FinalError as error:
        update = [HumanMessage("(This message could not be read.)", id=message.id) for message in fresh]
        update.append(failed(error))
    kept = {message.id: message for message in update}
    return {"messages": update, "media": _new_media(state, [kept.get(m.id, m) for m in messages]), "rounds": 0}


def repair(state: AgentState) -> dict[str, Any]:
    """Answer, in place, calls of an earlier turn that was cut off: an unanswered call would spoil the conversation."""
    messages = state["messages"]
    done = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    if not any(_unanswered(message, done) for message in messages):
        return {}
    fixed: list[AnyMessage] = []
    for message in messages:
        lost = _unanswered(message, done)
        fixed += [message, *(refusal(call, "it was interrupted") for call in lost)]
    return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), *fixed]}


def plan(
    state: AgentState,
    config: RunnableConfig,
    *,
    planner: Planner,
    view: View,
    stops_itself: bool = False,
    make_room: Callable[[], None] = keep_all,
) -> dict[str, Any]:
    """Ask the planner for the next step: text, or calls. Where memory does not suffice, once more, if nothing was said.

    Args:
        state: The conversation.
        config: Holds the event that stops the turn.
        planner: A chat model with the tools bound.
        view: Shapes the messages for a planner that cannot read handles.
        stops_itself: Whether the planner takes `cancelled`, and so can be stopped where it writes nothing to see.
        make_room: Makes the planner let go of what it can have again.
    """
    check = check_for(config)
    watch = StopAtToken(check)
    options: dict[str, Any] = {"cancelled": partial(_says_stop, check)} if stops_itself else {}
    watched = merge_configs(config, {"callbacks": [watch]})
    try:
        for attempt in attempts("the planner", make_room, again=lambda: not watch.heard):
            with attempt:
                check()
                reply = planner.invoke(view(state["messages"]), watched, **options)
        kept = without_payloads(reply) if isinstance(reply, AIMessage) else reply
    except FinalError as error:
        kept = failed(error)
    return {"messages": [kept], "rounds": state.get("rounds", 0) + 1}


class StopAtToken(BaseCallbackHandler):
    """Stops any chat model between two tokens, also one that would never end.

    Attributes:
        heard: Whether it has written any.
    """

    raise_error = True
    run_inline = True
    heard = False

    def __init__(self, check: Check) -> None:
        """Stop when `check` raises."""
        self._check, self._written = check, 0

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **kwargs: Any) -> None:
        """Look whether to stop."""
        self.heard = True
        self._check()
        pieces = getattr(getattr(chunk, "message", None), "tool_call_chunks", [])
        self._written += len(str(token)) + sum(len(piece["args"] or "") for piece in pieces)
        check_length(self._written, MAX_WRITTEN)


def _says_stop(check: Check) -> bool:
    try:
        check()
    except Cancelled:
        return True
    return False


def reject(state: AgentState) -> dict[str, Any]:
    """Take in the answers to calls that cannot run; they were sent here instead of to a tool (see `refusal`)."""
    return {"messages": state["messages"]}


def unknown_tool(name: str) -> str:
    """Return why a call of no tool at hand is not done."""
    if name in _TOOLS:
        return f"{name} is not at hand here"
    return f"there is no tool {name[:60]!r}"


def observe(state: AgentState) -> dict[str, Any]:
    """Take the tools' results in: the table of media, and a last word where a call failed for good."""
    update: dict[str, Any] = {"media": _new_media(state, state["messages"])}
    last = _last_answer(state["messages"])
    answers = [message for message in state["messages"][last + 1 :] if isinstance(message, ToolMessage)]
    errors = [error for message in answers if (error := _final_error(message))]
    if errors:
        open_calls = _unanswered(state["messages"][last], {message.tool_call_id for message in answers})
        rest = [refusal(call, "the turn has ended") for call in open_calls]
        update["messages"] = [*rest, _closing(errors[0]["type"], errors[0]["message"])]
    return update


def give_up(state: AgentState) -> dict[str, Any]:
    """Close a turn that used up its rounds: answer the open calls and say so."""
    last = state["messages"][-1]
    rounds = state.get("rounds", 0)
    reason = f"the turn has used its {rounds} rounds"
    answers = [refusal(call, reason) for call in _unanswered(last, set())]
    text = f"I stop here: this took more than {rounds} steps. Please ask for fewer things at once."
    notes = {"vitron": {"error": _error("RoundsError", reason)}}
    return {"messages": [*answers, AIMessage(text, response_metadata=notes)]}


def bad_arguments(error: Exception) -> str:
    """Return what the planner reads when arguments do not fit the schema.

    Raises:
        Exception: `error` itself, if it is any other: a fault of ours must not pass for a result.
    """
    if not isinstance(error, ToolInvocationError):
        raise error
    source = error.filtered_errors or error.source.errors()
    if not source:
        return not_done(ValueError("arguments: they do not fit"))
    where = ".".join(p for p in map(str, source[0]["loc"]) if "[" not in p)
    what = str(source[0]["msg"]).removeprefix("Value error, ")
    if source[0]["type"] not in ("value_error", "missing"):  # pydantic's own words do not say what was given
        what += f", not {quoted(str(source[0]['input']), 40)}"
    return not_done(ValueError(f"{where}: {what}" if where else what))


def keep_final(request: ToolCallRequest, execute: Callable[[ToolCallRequest], Done], *, store: MediaStore) -> Done:
    """Run a call; pictures in its result become handles.

    A final error becomes an answered call with a note for `observe`, which ends the turn with it.
    """
    try:
        done = execute(request)
        return result_by_reference(done, store) if isinstance(done, ToolMessage) else done
    except FinalError as error:
        return _failed_call(request, error)


async def akeep_final(
    request: ToolCallRequest, execute: Callable[[ToolCallRequest], Awaitable[Done]], *, store: MediaStore
) -> Done:
    """Do as `keep_final`, awaited."""
    try:
        done = await execute(request)
        return await asyncio.to_thread(result_by_reference, done, store) if isinstance(done, ToolMessage) else done
    except FinalError as error:
        return _failed_call(request, error)


def _failed_call(request: ToolCallRequest, error: FinalError) -> ToolMessage:
    call, note = request.tool_call, {"error": _error(type(error).__name__, str(error))}
    return ToolMessage(not_done(error), tool_call_id=call["id"], name=call["name"], status="error", artifact=note)


def _final_error(answer: ToolMessage) -> dict[str, str] | None:
    """Return the note that `keep_final` left in an answer; tools that are none of ours may return anything."""
    artifact = answer.artifact if answer.status == "error" else None
    found = artifact.get("error") if isinstance(artifact, dict) else None
    return found if isinstance(found, dict) and found.keys() >= {"type", "message"} else None


def media_table(messages: Sequence[AnyMessage]) -> list[MediaEntry]:
    """Return the pictures and videos of a conversation with their numbers and where each came from."""
    table: list[MediaEntry] = []
    count = Counter[str]()
    for message in messages:
        origin = str(message.name) if isinstance(message, ToolMessage) else "user"
        for kind, name in NAMES.items():
            for handle in handles_of(message, kind):
                count[name] += 1
                table.append({"kind": name, "number": count[name], "uri": handle, "origin": origin})
    return table


def _new_media(state: AgentState, messages: Sequence[AnyMessage]) -> list[MediaEntry] | Overwrite:
    """Return the pictures that are not in the state's table yet: numbers are given once, in order.

    Where messages with pictures were removed from outside, the table is written anew: tools and planner count what is
    still there, and so must whoever reads the table.
    """
    known, table = state.get("media", []), media_table(messages)
    return table[len(known) :] if table[: len(known)] == known else Overwrite(table)


def failed(error: FinalError) -> AIMessage:
    """Return the assistant's last word of a turn that failed for good."""
    return _closing(type(error).__name__, str(error))


def error_of(message: AnyMessage) -> dict[str, str] | None:
    """Return type and message of the error that closed a turn, or None if it ended well."""
    found = noted(message.response_metadata, "error") if isinstance(message, AIMessage) else None
    return found if isinstance(found, dict) else None


def _closing(kind: str, text: str) -> AIMessage:
    return AIMessage(f"I could not do that: {text}", response_metadata={"vitron": {"error": _error(kind, text)}})


def _error(kind: str, text: str) -> dict[str, str]:
    return {"type": kind, "message": text}


def _unanswered(message: AnyMessage, done: set[str]) -> list[Any]:
    """Return the calls of one message, readable or not, that have no answer yet."""
    if not isinstance(message, AIMessage):
        return []
    return [call for call in [*message.tool_calls, *message.invalid_tool_calls] if call["id"] not in done]


def _last_answer(messages: Sequence[AnyMessage]) -> int:
    """Return the index of the last assistant message, or -1."""
    return max((index for index, message in enumerate(messages) if isinstance(message, AIMessage)), default=-1)
