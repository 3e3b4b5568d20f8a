"""A person looks at calls before they run: approves, edits or rejects them.

The graph pauses with LangGraph's `interrupt`, in the form of LangChain's human-in-the-loop middleware, so that user
interfaces made for that work here too:

    {"action_requests": [{"name": ..., "args": {...}, "description": ...}], "review_configs": [...]}

and goes on with one decision for each call, in their order:

    Command(resume={"decisions": [{"type": "approve"},
                                  {"type": "edit", "edited_action": {"name": ..., "args": {...}}},
                                  {"type": "reject", "message": "not this one"}]})

An edited call stands in the conversation as it ran. Its signals belong to other arguments, and the tools see that by
the digest. Decisions that cannot be understood are asked for again; the thread stays paused.
"""

from collections.abc import Collection, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.types import interrupt

from vitron_agent.errors import InputError, quoted
from vitron_agent.graphs.calls import refusal
from vitron_agent.graphs.state import AgentState
from vitron_agent.invocation import Module

DECISIONS = ("approve", "edit", "reject")


def tool_names(modules: Collection[Module | str], known: Sequence[str], keeps: bool) -> frozenset[str]:
    """Return the tools that modules, module letters or tool names stand for.

    Args:
        modules: Whose calls wait for a person.
        known: The names of all tools.
        keeps: Whether conversations are kept, so that a call can wait.

    Raises:
        InputError: One of them is none of the known tools, or nothing is kept.
    """
    if modules and not keeps:
        raise InputError("calls can only wait for approval where conversations are kept: give a checkpointer")
    letters = {module.letter: module.tool_name for module in Module}
    several = (modules,) if isinstance(modules, str) else modules  # the name of one is not four letters
    names = [m.tool_name if isinstance(m, Module) else letters.get(m, m) for m in several]
    for name in names:
        if name not in known:
            raise InputError(
                f"{quoted(str(name), 60)} cannot be approved: choose of {', '.join(known)}, or their letters"
            )
    return frozenset(names)


def review(state: AgentState, *, names: Collection[str]) -> dict[str, Any]:
    """Pause until a person has decided about the last reply's calls of the named tools; then apply the decisions.

    Returns:
        The reply with its edits, and an answer to each rejected call.
    """
    reply = state["messages"][-1]
    if not isinstance(reply, AIMessage):
        return {}
    calls = [call for call in reply.tool_calls if call["name"] in names]
    if not calls:
        return {}
    asked = _request(calls)
    decisions = None
    while decisions is None:  # each turn of this loop is a pause of its own; earlier answers are replayed
        answer = interrupt(asked)
        try:
            decisions = _decisions(answer, len(calls))
        except InputError as error:
            asked = {**_request(calls), "error": str(error)}
    decided = {call["id"]: decision for call, decision in zip(calls, decisions, strict=True)}
    edited = [_edited(call, decided.get(call["id"])) for call in reply.tool_calls]
    rejected: list[AnyMessage] = [
        refusal(call, decided[call["id"]].get("message") or "the user does not want it")
        for call in calls
        if decided[call["id"]]["type"] == "reject"
    ]
    changed = [reply.model_copy(update={"tool_calls": edited})] if edited != reply.tool_calls else []
    return {"messages": [*changed, *rejected]}


def _request(calls: Sequence[Any]) -> dict[str, Any]:
    """Return what the person is asked."""
    return {
        "action_requests": [
            {"name": c["name"], "args": c["args"], "description": f"{c['name']}: {c['args'].get('command')}"}
            for c in calls
        ],
        "review_configs": [
            {"action_name": name, "allowed_decisions": list(DECISIONS)} for name in sorted({c["name"] for c in calls})
        ],
    }


def _decisions(answer: Any, count: int) -> list[dict[str, Any]]:
    """Return the decisions in an answer.

    Raises:
        InputError: They are not what was asked for.
    """
    found = answer.get("decisions") if isinstance(answer, dict) else None
    if not isinstance(found, list) or len(found) != count:
        raise InputError(f'answer {{"decisions": [...]}} with {count} decisions, one for each call in order')
    for decision in found:
        kind = decision.get("type") if isinstance(decision, dict) else None
        if kind not in DECISIONS:
            raise InputError(f"a decision's type is {str(kind)[:40]!r}: it must be one of {', '.join(DECISIONS)}")
        action = decision.get("edited_action")
        if kind == "edit" and not (isinstance(action, dict) and isinstance(action.get("args"), dict)):
            raise InputError('an edit needs {"edited_action": {"name": ..., "args": {...}}}')
    return found


def _edited(call: Any, decision: dict[str, Any] | None) -> Any:
    """Return a call as it shall run; its id, and so its place in the conversation, stays."""
    if decision is None or decision["type"] != "edit":
        return call
    action = decision["edited_action"]
    return {**call, "name": str(action.get("name") or call["name"]), "args": action["args"]}
