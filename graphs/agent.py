"""`Agent`: a compiled graph that takes one turn at a time on a thread, can be stopped, and fails in our own terms.

It is LangGraph's `CompiledStateGraph` with `stream` and `astream` (which everything else goes through) made safe. This
file does not know what the graph is made of.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Self
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from vitron_agent.errors import InputError, VitronError, is_text, quoted
from vitron_agent.graphs.clock import go_on_after, newest, outlasting
from vitron_agent.graphs.interrupt import interruptible
from vitron_agent.graphs.state import AgentState
from vitron_agent.graphs.stored import database_errors, in_our_terms, reading
from vitron_agent.graphs.turn import taken_in
from vitron_agent.graphs.turns import Turn, Turns
from vitron_agent.media import MediaStore
from vitron_agent.tools.base import seed_of
from vitron_agent.tools.stopping import STOP

CHECKPOINTER = "__pregel_checkpointer"  # where LangGraph hands a graph inside another one the outer checkpointer
POLL = 0.01  # seconds between two looks at whether it is one's turn

_TURNS: "WeakKeyDictionary[BaseCheckpointSaver[Any], Turns]" = WeakKeyDictionary()  # agents may share conversations


class Agent(CompiledStateGraph[AgentState, None, AgentState, AgentState]):
    """A compiled graph whose conversations are safe.

    - Turns on one thread queue up, also between processes that share a media folder.
    - `stop(thread_id)` ends the running turn within one specialist step or one word of the planner's; so does Ctrl-C.
    - Pictures and videos in an input become handles before LangGraph stores or traces it.
    - A clock that was set back loses no turn.
    - A forked process is refused: it would share a database connection, and may wait for locks of threads it lacks.
    - What is wrong with a request or with the stored conversations is raised as an error of ours.
    """

    def __init__(self, *, turns: Turns, media_store: MediaStore, **parts: Any) -> None:
        """Take a compiled graph's parts; `Agent.over` is the way to one."""
        super().__init__(**parts)
        self.turns = turns
        self.media_store = media_store

    @classmethod
    def over(
        cls,
        graph: "CompiledStateGraph[Any, Any, Any, Any]",
        store: MediaStore,
        saver: BaseCheckpointSaver[Any] | None,
    ) -> Self:
        """Make an agent of a compiled graph.

        Args:
            graph: The graph.
            store: Where its pictures lie.
            saver: The checkpointer it was compiled with. The graph itself may hold a copy, one for each compilation
                (strict serialisation makes them), and agents that share a checkpointer must know it.
        """
        turns = Turns(store.folder / "threads" if outlasting(saver) and store.folder else None)
        if isinstance(saver, BaseCheckpointSaver):
            turns = _TURNS.setdefault(saver, turns)
        parts = {name: part for name, part in vars(graph).items() if name != "__orig_class__"}
        return cls(turns=turns, media_store=store, **parts)

    def stop(self, thread_id: str) -> bool:
        """Stop the turn that runs on a thread; from any Python thread.

        The turn ends by itself soon after, every call answered, and says that it was stopped; the next turn goes on
        from there. Turns that wait behind it are not stopped.

        Args:
            thread_id: As in the config of that turn.

        Returns:
            Whether a turn was running.
        """
        turn = self.turns.first(_key(thread_id, ""))
        if turn is not None:
            turn.stop.set()
        return turn is not None

    def stream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Iterator[Any]:
        """Run one turn and yield its parts; see `CompiledStateGraph.stream`.

        Raises:
            InputError: No thread id where there is a checkpointer, or none that can be stored; a seed that is no whole
                number; an input that is no conversation; nothing to resume on this thread; or a fork of the process
                that built the agent.
            BusyError: The thread was at work on other turns for too long.
            StorageError: The stored conversations cannot be read or written, or the input brings a tool's result that
                the media store does not have.
        """
        config = merge_configs(self.config, config)
        seed_of(config)
        with self._safely(config), self.turns.enter(self._thread(config), config) as turn:
            while not turn.ready():
                time.sleep(POLL)
            if saver := outlasting(self.checkpointer):
                with reading():
                    go_on_after(saver.get_tuple(newest(config)))
            parts = super().stream(taken_in(input, self.media_store), _with_stop(config, turn), **options)
            for part in interruptible(parts, turn):
                try:
                    yield part
                except GeneratorExit:
                    turn.abandon()  # before LangGraph waits for its workers
                    raise

    async def astream(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> AsyncIterator[Any]:
        """Run one turn and yield its parts, awaited; see `stream`."""
        config = merge_configs(self.config, config)
        seed_of(config)
        async with self._asafely(config):
            with self.turns.enter(self._thread(config), config) as turn:
                while not turn.ready():
                    await asyncio.sleep(POLL)
                if saver := outlasting(self.checkpointer):
                    with reading():
                        go_on_after(await saver.aget_tuple(newest(config)))
                given = await asyncio.to_thread(taken_in, input, self.media_store)
                run: Any = super().astream(given, _with_stop(config, turn), **options)
                async with contextlib.aclosing(run) as parts:
                    async for part in parts:
                        try:
                            yield part
                        except GeneratorExit:
                            turn.abandon()
                            raise

    def get_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """Return a conversation as it stands; an unknown thread has no values.

        Raises:
            InputError: The agent keeps no conversations, or no thread is named.
            StorageError: The stored conversations cannot be read.
        """
        with self._safely(config):
            self._check_kept(config)
            return super().get_state(config, subgraphs=subgraphs)

    async def aget_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """Return a conversation as it stands, awaited; see `get_state`."""
        async with self._asafely(config):
            self._check_kept(config)
            return await super().aget_state(config, subgraphs=subgraphs)

    def get_state_history(self, config: RunnableConfig, **options: Any) -> Iterator[StateSnapshot]:
        """Yield a conversation as it stood after each step, the newest first.

        Raises:
            InputError: The agent keeps no conversations, no thread is named, or a filter is none.
            StorageError: The stored conversations cannot be read.
        """
        with self._safely(config), reading():
            self._check_kept(config)
            yield from super().get_state_history(config, **options)

    async def aget_state_history(self, config: RunnableConfig, **options: Any) -> AsyncIterator[StateSnapshot]:
        """Yield a conversation as it stood after each step, awaited; see `get_state_history`."""
        async with self._asafely(config):
            with reading():
                self._check_kept(config)
                async for snapshot in super().aget_state_history(config, **options):
                    yield snapshot

    def bulk_update_state(self, config: RunnableConfig, supersteps: Sequence[Any]) -> RunnableConfig:
        """Change a conversation from outside (see `CompiledStateGraph.update_state`).

        Raises:
            InputError: The agent keeps no conversations, or no thread is named.
            StorageError: The stored conversations cannot be read or written.
        """
        with self._safely(config):
            self._check_kept(config)
            if saver := outlasting(self.checkpointer):
                go_on_after(saver.get_tuple(newest(merge_configs(self.config, config))))
            return super().bulk_update_state(config, supersteps)

    async def abulk_update_state(self, config: RunnableConfig, supersteps: Sequence[Any]) -> RunnableConfig:
        """Change a conversation from outside, awaited; see `bulk_update_state`."""
        async with self._asafely(config):
            self._check_kept(config)
            if saver := outlasting(self.checkpointer):
                go_on_after(await saver.aget_tuple(newest(merge_configs(self.config, config))))
            return await super().abulk_update_state(config, supersteps)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Show the state machine in a notebook, as Mermaid text: LangGraph's own way asks a server for a picture."""
        drawing = self.get_graph().draw_mermaid()
        return {"text/plain": repr(self), "text/markdown": f"```mermaid\n{drawing}```\n"}

    def _thread(self, config: RunnableConfig) -> str | None:
        """Return what a run queues under."""
        chosen = config.get("configurable", {})
        thread_id = chosen.get("thread_id")
        if thread_id is None:
            if isinstance(self.checkpointer, BaseCheckpointSaver):
                raise InputError(
                    'which conversation? Name it: config={"configurable": {"thread_id": "..."}}, any text you like'
                )
            return None
        key = _key(thread_id, chosen.get("checkpoint_ns", ""))
        if not is_text(key):
            raise InputError(f"thread id {quoted(key, 60)} holds half a character: name the conversation otherwise")
        return key

    @contextlib.contextmanager
    def _safely(self, config: RunnableConfig) -> Iterator[None]:
        """Refuse to work in a fork; raise what is wrong with the stored conversations as errors of ours."""
        self.turns.check_process()
        with in_our_terms():
            try:
                yield
            except Exception as error:
                if self._may_be_damaged(error, config):
                    with reading():
                        super().get_state(_place(config))
                raise

    @contextlib.asynccontextmanager
    async def _asafely(self, config: RunnableConfig) -> AsyncIterator[None]:
        """Do as `_safely`, awaited."""
        self.turns.check_process()
        with in_our_terms():
            try:
                yield
            except Exception as error:
                if self._may_be_damaged(error, config):
                    with reading():
                        await super().aget_state(_place(config))
                raise

    def _may_be_damaged(self, error: Exception, config: RunnableConfig) -> bool:
        """Whether an error may come from what is stored: then the conversation is read once more, by itself."""
        is_told = isinstance(error, (VitronError, *database_errors()))
        return (
            not is_told and outlasting(self.checkpointer) is not None and "thread_id" in _place(config)["configurable"]
        )

    def _check_kept(self, config: RunnableConfig) -> None:
        """Refuse to look into a conversation where none is kept, or none is named."""
        merged = merge_configs(self.config, config)
        if self.checkpointer is None and CHECKPOINTER not in merged.get("configurable", {}):
            raise InputError("this agent keeps no conversations: build it with a checkpointer")
        self._thread(merged)


def _key(thread_id: Any, namespace: str) -> str:
    """Return what turns on a thread queue under; a subgraph's runs queue apart from its parent's."""
    return f"{thread_id}|{namespace}" if namespace else str(thread_id)


def _place(config: RunnableConfig) -> RunnableConfig:
    """Return the config of the stored step that a run begins at."""
    chosen = config.get("configurable", {})
    return {"configurable": {key: chosen[key] for key in ("thread_id", "checkpoint_id") if key in chosen}}


def _with_stop(config: RunnableConfig, turn: Turn) -> RunnableConfig:
    """Return the config with the turn's event in it, for tools and planner to look at."""
    return {**config, "configurable": {**config.get("configurable", {}), STOP: turn.stop}}
