"""One conversation under stress: turns at once, stopping, time travel, and databases that fail."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

from tests.graphs.states import kinds
from vitron_agent.errors import BusyError, InputError, StorageError
from vitron_agent.graphs import Agent, open_conversations, user_turn
from vitron_agent.graphs.nodes import error_of
from vitron_agent.media import Region
from vitron_agent.testing import EchoSpecialist, call

DRAW = call("generate_image", command="a red circle")
SEGMENT = call("segment_image", command="the red circle")
EDIT = call("edit_image", command="replace the red circle with a blue circle")


def says(text: str, *pictures: str) -> Any:
    return {"messages": [user_turn(text, pictures)]}


STEPS = 400


class AtWork(threading.Event):
    """Set once work has begun; `step` counts its steps."""

    step = 0


def slowly(echo: EchoSpecialist) -> AtWork:
    """Make an echo specialist take `STEPS` steps of 10 ms."""
    run, at_work = echo.run, AtWork()

    def slow(request: Any, progress: Any) -> Any:
        for step in range(STEPS):
            progress(step + 1, STEPS)
            at_work.set()
            at_work.step += 1
            time.sleep(0.01)
        return run(request)

    echo.run = slow  # type: ignore[method-assign]
    return at_work


def test_turns_at_once_on_one_thread_are_all_kept(build, config: Any) -> None:
    agent, _ = build(lambda messages: f"You said {messages[-1].text}.", saver=InMemorySaver())
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda i: agent.invoke(says(f"word{i}"), config), range(6)))
    texts = [m.text for m in agent.get_state(config).values["messages"]]
    assert sorted(texts[::2]) == [f"word{i}" for i in range(6)]
    assert texts[1::2] == [f"You said {text}." for text in texts[::2]]


async def test_turns_at_once_are_all_kept_asynchronously(build, config: Any) -> None:
    agent, _ = build(lambda messages: f"You said {messages[-1].text}.", saver=InMemorySaver())
    await asyncio.gather(*(agent.ainvoke(says(f"word{i}"), config) for i in range(6)))
    texts = [m.text for m in (await agent.aget_state(config)).values["messages"]]
    assert texts[::2] == [f"word{i}" for i in range(6)]  # also in their order
    assert len(texts) == 12


def test_agents_over_one_checkpointer_take_turns_too(build, config: Any) -> None:
    saver = InMemorySaver()
    agents = [build("Hello.", saver=saver)[0] for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda i: agents[i % 3].invoke(says(f"word{i}"), config), range(6)))
    assert len(agents[0].get_state(config).values["messages"]) == 12


def test_who_waits_too_long_is_told_and_nothing_is_lost(build, config: Any) -> None:
    agent, _ = build("Hello.", saver=InMemorySaver())
    agent.turns.patience = 0.05
    open_turn = agent.stream(says("first"), config)
    next(open_turn)
    with pytest.raises(BusyError, match="thread 'talk' is still at work"):
        agent.invoke(says("second"), config)
    list(open_turn)
    assert agent.invoke(says("third"), config)["messages"][-1].text == "Hello."


class Slow(BaseCallbackHandler):
    """Takes 10 ms for each of the planner's tokens."""

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        time.sleep(0.01)


def stop_when(event: threading.Event, agent: Agent) -> threading.Thread:
    thread = threading.Thread(target=lambda: event.wait(20) and agent.stop("talk"))
    thread.start()
    return thread


def test_stop_ends_a_specialist_within_a_step(build, echo: EchoSpecialist, picture: str, config: Any) -> None:
    agent, planner = build([SEGMENT, EDIT, call("edit_image", command="remove it", picture=2)], saver=InMemorySaver())
    at_work = slowly(echo)
    stopper = stop_when(at_work, agent)
    out = agent.invoke(says("do it all", picture), config)
    stopper.join()
    assert at_work.step < STEPS
    assert kinds(out) == "human ai error error error ai"
    assert error_of(out["messages"][-1])["type"] == "Cancelled"
    assert "the turn was stopped" in out["messages"][-1].text
    planner.replies = ["Here I am."]
    assert agent.invoke(says("still there?"), config)["messages"][-1].text == "Here I am."
    assert not agent.stop("talk")


async def test_stop_ends_a_specialist_asynchronously(build, echo: EchoSpecialist, picture: str, config: Any) -> None:
    agent, _ = build([SEGMENT], saver=InMemorySaver())
    stopper = stop_when(slowly(echo), agent)
    out = await agent.ainvoke(says("cut it out", picture), config)
    stopper.join()
    assert kinds(out) == "human ai error ai"


def test_stop_ends_the_planner_between_two_tokens(build, config: Any) -> None:
    config = {**config}
    agent, planner = build(["word "] * 500, saver=InMemorySaver())
    heard = 0
    config["callbacks"] = [Slow()]
    for _ in agent.stream(says("talk"), config, stream_mode="messages", version="v2"):
        heard += 1
        if heard == 3:
            assert agent.stop("talk")
    state = agent.get_state(config).values
    assert heard < 100  # what was under way when the third word was read
    assert error_of(state["messages"][-1])["type"] == "Cancelled"
    planner.replies = ["Yes?"]
    assert kinds(agent.invoke(says("hello"), config)) == "human ai human ai"


def test_an_event_of_the_callers_stops_too(build, echo: EchoSpecialist, picture: str) -> None:
    agent, _ = build([SEGMENT])
    stop = threading.Event()
    at_work = slowly(echo)
    threading.Thread(target=lambda: at_work.wait(20) and stop.set()).start()
    out = agent.invoke(says("cut it out", picture), {"configurable": {"stop": stop}})
    assert error_of(out["messages"][-1])["type"] == "Cancelled"


def test_a_closed_stream_stops_its_work(build, echo: EchoSpecialist, picture: str, config: Any) -> None:
    agent, planner = build([SEGMENT], "Here.", saver=InMemorySaver())
    at_work = slowly(echo)
    for part in agent.stream(says("cut it out", picture), config, stream_mode="custom"):
        if part["type"] == "vitron.progress":
            break
    del part
    assert at_work.step < STEPS
    planner.replies = ["Yes?"]
    assert agent.invoke(says("hello"), config)["messages"][-1].text == "Yes?"


async def test_a_cancelled_task_stops_its_work_and_the_thread_goes_on(
    build, echo: EchoSpecialist, picture: str, config: Any
) -> None:
    agent, planner = build([SEGMENT], "Here.", saver=InMemorySaver())
    at_work = slowly(echo)
    task = asyncio.create_task(agent.ainvoke(says("cut it out", picture), config))
    await asyncio.to_thread(at_work.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    planner.replies = ["Yes?"]
    out = await agent.ainvoke(says("hello"), config)
    assert kinds(out) == "human ai error human ai"  # the lost call is answered before the new message
    assert echo.requests == []  # its work never came to an end


def test_a_fork_from_a_checkpoint_leaves_the_rest_as_it_was(build, echo, picture: str, config: Any) -> None:
    agent, planner = build([SEGMENT], [EDIT], "Blue.", saver=InMemorySaver())
    first = agent.invoke(says("make it blue", picture), config)
    computed = len(echo.requests)
    before_edit = next(s for s in agent.get_state_history(config) if s.next == ("edit_image",))
    again = agent.invoke(None, before_edit.config)  # replayed: the same call, from its receipt
    assert again["messages"][-2].artifact["uri"] == first["messages"][-2].artifact["uri"]
    assert len(echo.requests) == computed
    start = next(s for s in agent.get_state_history(config) if s.next == ("plan",) and len(s.values["messages"]) == 3)
    planner.replies = [[call("edit_image", command="remove the red circle")], "Gone."]
    planner._turn = 0
    fork = agent.invoke(None, start.config)
    assert [m.text for m in fork["messages"] if isinstance(m, AIMessage)][-1] == "Gone."
    assert fork["messages"][2] == first["messages"][2]  # what came before is there, and unchanged
    old = [s for s in agent.get_state_history(config) if s.values.get("messages") == first["messages"]]
    assert old
    assert old[0].values["media"] == first["media"]


@pytest.mark.parametrize("command", [None, Command(resume={"decisions": []})])
def test_an_unknown_thread_has_nothing_to_go_on_with(build, command: Any, config: Any) -> None:
    agent, _ = build("Hello.", saver=InMemorySaver())
    assert agent.get_state(config).values == {}
    with pytest.raises(InputError, match="nothing to go on with on this thread"):
        agent.invoke(command, config)
    assert agent.invoke(says("hi"), config)["messages"][-1].text == "Hello."


def test_a_conversation_must_be_named(build) -> None:
    with pytest.raises(InputError, match="which conversation"):
        build("Hello.", saver=InMemorySaver())[0].invoke(says("hi"))


@pytest.mark.parametrize("saver", [InMemorySaver(), None])
def test_a_seed_that_is_none_is_named_before_anything_runs(build, saver: Any) -> None:
    agent, planner = build([DRAW], "Here.", saver=saver)
    for seed in ("abc", 1.5, float("nan"), 2**70, -(2**63)):
        with pytest.raises(InputError, match=r"seed .*: give"):
            agent.invoke(says("draw"), {"configurable": {"thread_id": "talk", "seed": seed}})
    assert planner.seen == []
    for number, seed in enumerate((None, "7", -3, 2**63 - 1)):
        state = agent.invoke(says("draw"), {"configurable": {"thread_id": f"talk {number}", "seed": seed}})
        assert error_of(state["messages"][-1]) is None


def test_a_name_that_cannot_be_written_down_is_refused(build) -> None:
    with pytest.raises(InputError, match="half a character"):
        build("Hello.", saver=InMemorySaver())[0].invoke(says("hi"), {"configurable": {"thread_id": "\ud800"}})


def test_looking_into_conversations_that_are_not_kept_says_how_to_keep_them(build, config: Any) -> None:
    agent, _ = build("Hello.")
    for look in (
        lambda: agent.get_state(config),
        lambda: list(agent.get_state_history(config)),
        lambda: agent.update_state(config, {"messages": []}),
    ):
        with pytest.raises(InputError, match="build it with a checkpointer"):
            look()


async def test_looking_asks_which_conversation(build) -> None:
    agent, _ = build("Hello.", saver=InMemorySaver())
    for look in (lambda: agent.get_state({}), lambda: agent.update_state({}, {"messages": []})):
        with pytest.raises(InputError, match="which conversation"):
            look()
    with pytest.raises(InputError, match="which conversation"):
        await agent.aget_state({})


def test_only_plain_data_comes_back_from_a_file(build, tmp_path: Path, config: Any) -> None:
    """Who can write to the database must not be able to make us build objects."""
    with open_conversations(tmp_path / "talks.sqlite") as saver:
        agent, _ = build("Hello.", saver=saver)
        agent.invoke(says("hi"), config)
        region = Region.from_box(0.1, 0.1, 0.5, 0.5)
        agent.update_state(config, {"media": [region]}, as_node="observe")
        assert agent.get_state(config).values["media"] == [region.model_dump(mode="json")]


@pytest.mark.parametrize("key", ["x') OR '1'='1", 'source") --'])
def test_a_filter_of_the_history_is_no_way_into_the_database(build, tmp_path: Path, config: Any, key: str) -> None:
    with open_conversations(tmp_path / "talks.sqlite") as saver:
        agent, _ = build("Hello.", saver=saver)
        agent.invoke(says("hi"), config)
        with pytest.raises(InputError, match="Invalid filter key"):
            list(agent.get_state_history(config, filter={key: 1}))


def overwrite(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at : at + 64] = b"garbage!" * 8
    path.write_bytes(data)


@pytest.fixture
def database(build: Callable[..., Any], tmp_path: Path, picture: str, config: Any) -> Path:
    """A conversation of one turn, on disk."""
    path = tmp_path / "talk.sqlite"
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        build([SEGMENT], "Here.", saver=SqliteSaver(connection))[0].invoke(says("cut it out", picture), config)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def test_a_locked_database_is_an_error_of_ours_and_passes(build, database: Path, config: Any) -> None:
    with (
        closing(sqlite3.connect(database, check_same_thread=False, timeout=0.05)) as connection,
        closing(sqlite3.connect(database)) as other,
    ):
        agent, _ = build("Hello.", saver=SqliteSaver(connection))
        assert kinds(agent.get_state(config).values) == "human ai success ai"
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="stored conversations cannot be used .database is locked."):
            agent.invoke(says("hi"), config)
        other.rollback()
        assert kinds(agent.invoke(says("hi"), config)).endswith("human ai")


def test_a_read_only_database_is_an_error_of_ours(build, database: Path, config: Any) -> None:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, check_same_thread=False)) as connection:
        agent, _ = build("Hello.", saver=SqliteSaver(connection))
        with pytest.raises(StorageError, match="readonly database"):
            agent.invoke(says("hi"), config)
        assert kinds(agent.get_state(config).values) == "human ai success ai"


@pytest.mark.parametrize("at", [0, 4096])
def test_a_corrupt_database_is_an_error_of_ours(build, database: Path, at: int, config: Any) -> None:
    overwrite(database, at)
    with closing(sqlite3.connect(database, check_same_thread=False)) as connection:
        agent, _ = build("Hello.", saver=SqliteSaver(connection))
        with pytest.raises(StorageError, match="stored conversations cannot be used"):
            agent.get_state(config)
        with pytest.raises(StorageError, match="stored conversations cannot be used"):
            agent.invoke(says("hi"), config)


def test_a_full_disk_ends_the_turn_in_words(build, picture: str, config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitron_agent.media import contents as contents_module

    def full(path: str, data: bytes, sync: bool) -> None:
        raise OSError(28, "No space left on device")

    agent, planner = build([SEGMENT], [EDIT], saver=InMemorySaver())
    with monkeypatch.context() as broken:
        run = agent.stream(says("make it blue", picture), config, stream_mode="updates")
        while "segment_image" not in next(run):
            pass
        broken.setattr(contents_module, "write_file", full)
        list(run)
    messages = agent.get_state(config).values["messages"]
    answers = [m for m in messages if isinstance(m, ToolMessage)]
    assert [m.status for m in answers] == ["success", "error"]
    assert "No space left on device" in messages[-1].text
    planner.replies = ["Welcome back."]
    assert agent.invoke(says("is there room now?"), config)["messages"][-1].text == "Welcome back."
