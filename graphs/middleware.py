"""The agent in LangChain's own form: `create_agent` with one middleware of ours around planner and tools.

The nodes are those of our graph. What `create_agent` cannot do is let a call wait for another's picture: all calls of
one reply run at once here. `vitron_agent.build.create_vitron_agent` is the one for users.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse, hook_config
from langchain.agents.middleware import AgentState as LangChainState
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs, set_config_context
from langchain_core.runnables.utils import coro_with_context
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_config
from langgraph.graph.message import add_messages
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.runtime import Runtime

from vitron_agent.errors import FinalError
from vitron_agent.graphs import nodes
from vitron_agent.graphs.agent import Agent
from vitron_agent.graphs.calls import refusal, without_payloads
from vitron_agent.graphs.review import review, tool_names
from vitron_agent.graphs.state import Media
from vitron_agent.graphs.view import View, check_planner, view_for
from vitron_agent.graphs.wiring import ROUNDS, check_rounds
from vitron_agent.invocation import Module
from vitron_agent.media import NO_SOURCES, MediaSources, MediaStore
from vitron_agent.tools.memory import Attempt, attempts, keep_all
from vitron_agent.tools.stopping import check_for

Update = dict[str, Any] | None


class VitronState(LangChainState[Any], total=False):
    """The state of `create_agent`, with what ours keeps besides messages."""

    media: Media
    rounds: int


class VitronMiddleware(AgentMiddleware[VitronState, None, Any]):
    """Ingest and repair before a turn, a budget of rounds, approval of calls, and errors that end a turn in words."""

    state_schema = VitronState

    def __init__(
        self,
        store: MediaStore,
        view: View,
        rounds: int = ROUNDS,
        approve: Collection[str] = frozenset(),
        sources: MediaSources = NO_SOURCES,
    ) -> None:
        """Set up.

        Args:
            store: Where pictures lie.
            view: Shapes the messages for the planner.
            rounds: How often the planner may be asked in one turn, from 1.
            approve: Tools whose calls a person looks at; see `review`.
            sources: Where users' pictures may come from besides the store and the messages.

        Raises:
            InputError: `rounds` is none.
        """
        super().__init__()
        check_rounds(rounds)
        self._store, self._view, self._rounds, self._approve = store, view, rounds, approve
        self._sources = sources

    @hook_config(can_jump_to=["end"])
    def before_agent(self, state: VitronState, runtime: Runtime[None]) -> Update:
        """Take in the user's new messages, and answer calls of a turn that was cut off."""
        update = nodes.ingest(_ours(state), store=self._store, sources=self._sources)
        if any(isinstance(message, AIMessage) for message in update["messages"]):
            return {**update, "jump_to": "end"}
        messages: Any = add_messages(_ours(state)["messages"], update["messages"])
        return {**update, **nodes.repair({"messages": messages})}

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: VitronState, runtime: Runtime[None]) -> Update:
        """Take the tools' results in; end the turn where a call failed for good."""
        if not isinstance(state["messages"][-1], ToolMessage):
            return None
        update = nodes.observe(_ours(state))
        return {**update, "jump_to": "end"} if update.get("messages") else update

    @hook_config(can_jump_to=["end", "model"])
    def after_model(self, state: VitronState, runtime: Runtime[None]) -> Update:
        """Count the round; let a person review calls; answer those that cannot be read."""
        rounds = state.get("rounds", 0) + 1
        reply = state["messages"][-1]
        assert isinstance(reply, AIMessage)
        if (reply.tool_calls or reply.invalid_tool_calls) and rounds >= self._rounds:
            return {**nodes.give_up({"messages": state["messages"], "rounds": rounds}), "jump_to": "end"}
        answers = [refusal(call, str(call.get("error") or "it cannot be read")) for call in reply.invalid_tool_calls]
        answers += review(_ours(state), names=self._approve).get("messages", [])
        answered = {message.tool_call_id for message in answers if isinstance(message, ToolMessage)}
        update: dict[str, Any] = {"messages": answers, "rounds": rounds}
        nothing_left = all(call["id"] in answered for call in reply.tool_calls)
        return {**update, "jump_to": "model"} if answered and nothing_left else update

    def wrap_model_call(
        self, request: ModelRequest[None], handler: Callable[[ModelRequest[None]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Show the planner the conversation in its own form; its final error is the turn's last word."""
        try:
            shown = request.override(messages=self._view(request.messages))
            for attempt in _attempt(request):
                with attempt, set_config_context(_watched()) as context:
                    response = context.run(handler, shown)
            return _small(response)
        except FinalError as error:
            return ModelResponse(result=[nodes.failed(error)])

    async def awrap_model_call(
        self, request: ModelRequest[None], handler: Callable[[ModelRequest[None]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Do as `wrap_model_call`, awaited."""
        try:
            shown = request.override(messages=self._view(request.messages))
            for attempt in _attempt(request):
                with attempt, set_config_context(_watched()) as context:
                    response = await coro_with_context(_awaited(handler, shown), context, create_task=True)
            return _small(response)
        except FinalError as error:
            return ModelResponse(result=[nodes.failed(error)])

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], nodes.Done]) -> nodes.Done:
        """Keep a final error as a call's answer, for `before_model` to end the turn with."""
        return nodes.keep_final(request, handler, store=self._store)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[nodes.Done]]
    ) -> nodes.Done:
        """Do as `wrap_tool_call`, awaited."""
        return await nodes.akeep_final(request, handler, store=self._store)


def make_langchain_agent(
    planner: BaseChatModel,
    tools: Sequence[BaseTool],
    store: MediaStore,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    rounds: int = ROUNDS,
    approve: Collection[Module | str] = (),
    middleware: Sequence[AgentMiddleware[Any, Any]] = (),
    sources: MediaSources = NO_SOURCES,
) -> Agent:
    """Make an agent with LangChain's `create_agent`.

    Args:
        planner: Any chat model.
        tools: The tools it may call.
        store: Where pictures lie; the tools' store.
        checkpointer: Keeps conversations by thread id; None keeps nothing.
        rounds: How often the planner may be asked in one turn, from 1.
        approve: Modules (or tool names) whose calls a person looks at before they run.
        middleware: Further middleware, inside ours.
        sources: Where users' pictures may come from besides the store and the messages; nowhere by default.

    Raises:
        InputError: `planner` is none, `rounds` is none, `approve` names what is no module, or there is no checkpointer
            to wait in.
    """
    check_planner(planner)
    reviewed = tool_names(approve, [tool.name for tool in tools], keeps=checkpointer is not None)
    ours = VitronMiddleware(store, view_for(planner, store), rounds, reviewed, sources)
    graph = create_agent(planner, tools, middleware=[ours, *middleware], checkpointer=checkpointer, name="vitron")
    return Agent.over(graph, store, checkpointer)


def _ours(state: VitronState) -> Any:
    """Return the state for our nodes."""
    return {"messages": state["messages"], "media": state.get("media", []), "rounds": state.get("rounds", 0)}


def _watched() -> RunnableConfig:
    """Return the run's config, which `create_agent` hands to no model by itself, with a look at it at every token.

    Raises:
        Cancelled: The turn was stopped already.
    """
    config = get_config()
    check = check_for(config)
    check()
    return merge_configs(config, {"callbacks": [nodes.StopAtToken(check)]})


async def _awaited(
    handler: Callable[[ModelRequest[None]], Awaitable[ModelResponse[Any]]], request: ModelRequest[None]
) -> ModelResponse[Any]:
    """Do as `handler`: whatever can be awaited becomes a coroutine, which a task can be made of."""
    return await handler(request)


def _attempt(request: ModelRequest[None]) -> Iterator[Attempt]:
    """Return the planner's one try: what it has already shown is not known here, so there is no second."""
    return attempts("the planner", getattr(request.model, "forget", keep_all), again=lambda: False)


def _small(response: ModelResponse[Any]) -> ModelResponse[Any]:
    """Return a response whose calls are small."""
    result: list[BaseMessage] = [without_payloads(m) if isinstance(m, AIMessage) else m for m in response.result]
    return ModelResponse(result=result, structured_response=response.structured_response)
