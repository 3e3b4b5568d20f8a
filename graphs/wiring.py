"""The agent's wiring: ingest, repair, plan, one task per call, observe, and round again until the planner is done.

Nodes stand in nodes.py; which planner and tools these are is decided in `vitron_agent/build.py`.
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Send

from vitron_agent.errors import InputError, quoted
from vitron_agent.graphs import nodes
from vitron_agent.graphs.agent import Agent
from vitron_agent.graphs.calls import pending, refusal
from vitron_agent.graphs.review import review, tool_names
from vitron_agent.graphs.state import AgentState
from vitron_agent.graphs.view import check_planner, reads_handles, view_for
from vitron_agent.invocation import Module
from vitron_agent.media import NO_SOURCES, MediaSources, MediaStore
from vitron_agent.tools.memory import keep_all

ROUNDS = 8  # planner rounds in one turn


def make_agent(
    planner: BaseChatModel,
    tools: Sequence[BaseTool],
    store: MediaStore,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    rounds: int = ROUNDS,
    approve: Collection[Module | str] = (),
    sources: MediaSources = NO_SOURCES,
) -> Agent:
    """Wire a planner and tools into the loop and compile it.

    Args:
        planner: Any chat model; ours leaves signals with its calls, another one works by words alone.
        tools: The tools it may call, each a node of its own.
        store: Where pictures lie; the tools' store.
        checkpointer: Keeps conversations by thread id; None keeps nothing between calls.
        rounds: How often the planner may be asked in one turn, from 1.
        approve: Modules (or tool names) whose calls a person looks at before they run; see `review`.
        sources: Where users' pictures may come from besides the store and the messages; nowhere by default.

    Returns:
        The compiled graph: `invoke({"messages": [user_turn(...)]})` runs one turn.

    Raises:
        InputError: `planner` is none, `rounds` is none, `approve` names what is no module, or there is no checkpointer
            to wait in.
    """
    check_planner(planner)
    check_rounds(rounds)
    names = [tool.name for tool in tools]
    reviewed = tool_names(approve, names, keeps=checkpointer is not None)
    graph = StateGraph(AgentState)
    graph.add_node("ingest", partial(nodes.ingest, store=store, sources=sources))
    graph.add_node("repair", nodes.repair)
    graph.add_node(
        "plan",
        partial(
            nodes.plan,
            planner=planner.bind_tools(tools),
            view=view_for(planner, store),
            stops_itself=reads_handles(planner),
            make_room=getattr(planner, "forget", keep_all),  # `ChatVitron` has it
        ),
    )
    graph.add_node("reject", nodes.reject)
    graph.add_node("observe", nodes.observe)
    graph.add_node("give_up", nodes.give_up)
    if reviewed:
        graph.add_node("review", partial(review, names=reviewed))
    _add_tools(graph, tools, store)
    _add_edges(graph, names, rounds, reviewed)
    return Agent.over(graph.compile(checkpointer=checkpointer, name="vitron"), store, checkpointer)


def check_rounds(rounds: int) -> None:
    """Refuse a budget in which the planner could not be asked.

    Raises:
        InputError: It is no whole number from 1.
    """
    if not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 1:
        raise InputError(
            f"rounds={quoted(str(rounds), 40)} leaves no turn: give a whole number from 1, such as {ROUNDS}"
        )


def _add_tools(graph: StateGraph[AgentState], tools: Sequence[BaseTool], store: MediaStore) -> None:
    """Add a node for each tool; what it found is observed next."""
    for tool in tools:
        node = ToolNode(
            [tool],
            name=tool.name,
            handle_tool_errors=nodes.bad_arguments,
            wrap_tool_call=partial(nodes.keep_final, store=store),
            awrap_tool_call=partial(nodes.akeep_final, store=store),
        )
        graph.add_node(tool.name, node)
        graph.add_edge(tool.name, "observe")


def _add_edges(graph: StateGraph[AgentState], names: Sequence[str], rounds: int, reviewed: Collection[str]) -> None:
    """Say what may follow what; what does, the `_after_` functions decide."""
    targets = [*names, "reject"]
    graph.add_edge(START, "ingest")
    graph.add_conditional_edges("ingest", _after_ingest, ["repair", END])
    graph.add_edge("repair", "plan")
    after_plan = partial(_after_plan, names=names, rounds=rounds, reviewed=reviewed)
    graph.add_conditional_edges("plan", after_plan, [*targets, "give_up", END, *(["review"] if reviewed else [])])
    if reviewed:
        graph.add_conditional_edges("review", partial(_after_review, names=names), [*targets, "observe"])
    graph.add_edge("reject", "observe")
    graph.add_conditional_edges("observe", partial(_after_observe, names=names), [*targets, "plan", END])
    graph.add_edge("give_up", END)


def _after_ingest(state: AgentState) -> str:
    """Go on, unless the user's message was answered as unusable."""
    return END if isinstance(state["messages"][-1], AIMessage) else "repair"


def _after_plan(state: AgentState, *, names: Sequence[str], rounds: int, reviewed: Collection[str]) -> list[Send] | str:
    """Send the calls that can run now; end where there are none, and give up where the turn has used its rounds."""
    sends = _sends(state, names)
    if not sends:
        return END
    if state.get("rounds", 0) >= rounds:
        return "give_up"
    calls = getattr(state["messages"][-1], "tool_calls", [])
    return "review" if any(call["name"] in reviewed for call in calls) else sends


def _after_review(state: AgentState, *, names: Sequence[str]) -> list[Send] | str:
    """Send the calls that were let through; where none was, the planner hears why."""
    return _sends(state, names) or "observe"


def _after_observe(state: AgentState, *, names: Sequence[str]) -> list[Send] | str:
    """Send the calls that waited for another's picture; then ask the planner again, unless the turn was closed."""
    if isinstance(state["messages"][-1], AIMessage):
        return END
    return _sends(state, names) or "plan"


def _sends(state: AgentState, names: Sequence[str]) -> list[Send]:
    """Return one task per call, so that a crash repeats only what was not finished."""
    calls = pending(state["messages"])
    known = [call for call in calls.ready if call["name"] in names]
    refused = [refusal(call, nodes.unknown_tool(call["name"])) for call in calls.ready if call not in known]
    refused += [refusal(call, "the call before it failed") for call in calls.lost]
    refused += [refusal(call, str(call.get("error") or "it cannot be read")) for call in calls.unread]
    sends = [Send(call["name"], [{**call, "type": "tool_call"}]) for call in known]
    return [*sends, Send("reject", {"messages": refused})] if refused else sends
