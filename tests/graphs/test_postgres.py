"""Conversations in a real PostgreSQL: kept, forked, shared by processes, and whole after a lost connection."""

import asyncio
import base64
import importlib.util
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from tests import warm
from tests.graphs.states import kinds
from vitron_agent.errors import StorageError
from vitron_agent.graphs import user_turn
from vitron_agent.graphs.calls import pending
from vitron_agent.graphs.state import payload_path
from vitron_agent.media import MediaStore, Region, encode_png
from vitron_agent.testing import EchoSpecialist, call

HERE = Path(__file__).parent
SEGMENT = call("segment_image", command="the red circle")
ROWS = """
    SELECT blob FROM checkpoint_blobs WHERE thread_id = %(thread)s AND blob IS NOT NULL
    UNION ALL SELECT blob FROM checkpoint_writes WHERE thread_id = %(thread)s
    UNION ALL SELECT convert_to(row::text, 'UTF8') FROM checkpoints row WHERE thread_id = %(thread)s
"""
EDIT = call("edit_image", command="replace the red circle with a blue circle")


def sibling(name: str) -> Any:
    """Load a module that lies beside this one."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SERVER = sibling("postgres_server")
pytestmark = pytest.mark.skipif(SERVER.why_not() is not None, reason=str(SERVER.why_not()))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with SERVER.server() as address:
        with PostgresSaver.from_conn_string(address) as saver:
            saver.setup()
        yield address


@pytest.fixture
def config(request: pytest.FixtureRequest) -> Any:
    return {"configurable": {"thread_id": request.node.name, "seed": 0}}


@pytest.fixture
def saver(address: str) -> Iterator[PostgresSaver]:
    with PostgresSaver.from_conn_string(address) as saver:
        yield saver


def pooled(address: str, **options: Any) -> ConnectionPool[Any]:
    """Return a pool with the connections that LangGraph asks for."""
    kwargs = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    return ConnectionPool(address, kwargs=kwargs, min_size=1, open=False, **options)


def says(text: str, *pictures: str) -> Any:
    return {"messages": [user_turn(text, pictures)]}


def end_sessions(address: str) -> None:
    """End every session but our own, as an administrator would, or a crash."""
    with psycopg.connect(address) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


def test_a_conversation_outlives_its_connection(build, address: str, picture: str, config: Any) -> None:
    with PostgresSaver.from_conn_string(address) as saver:
        first = build([SEGMENT], [EDIT], "Blue.", saver=saver)[0].invoke(says("make it blue", picture), config)
    with PostgresSaver.from_conn_string(address) as saver:
        agent, planner = build("A picture.", saver=saver)
        assert agent.get_state(config).values == first  # strictly read: every type and artifact as it was
        second = agent.invoke(says("what is it now?"), config)
    assert second["messages"][:-2] == first["messages"]
    assert planner.seen[0][:-1] == first["messages"]
    assert [entry["origin"] for entry in second["media"]] == ["user", "edit_image"]


def test_only_plain_data_comes_back(build, saver: PostgresSaver, config: Any) -> None:
    """Who can write to the database must not be able to make us build objects."""
    agent, _ = build("Hello.", saver=saver)
    agent.invoke(says("hi"), config)
    region = Region.from_box(0.1, 0.1, 0.5, 0.5)
    agent.update_state(config, {"media": [region]}, as_node="observe")
    assert agent.get_state(config).values["media"] == [region.model_dump(mode="json")]


def test_a_fork_leaves_the_rest_as_it_was(build, saver, echo: EchoSpecialist, picture: str, config: Any) -> None:
    agent, planner = build([SEGMENT], [EDIT], "Blue.", saver=saver)
    first = agent.invoke(says("make it blue", picture), config)
    computed = len(echo.requests)
    before_edit = next(s for s in agent.get_state_history(config) if s.next == ("edit_image",))
    again = agent.invoke(None, before_edit.config)  # replayed: the same call, from its receipt
    assert again["messages"][-2].artifact["uri"] == first["messages"][-2].artifact["uri"]
    assert len(echo.requests) == computed
    start = next(s for s in agent.get_state_history(config) if s.next == ("plan",) and len(s.values["messages"]) == 3)
    planner.replies, planner._turn = [[call("edit_image", command="remove the red circle")], "Gone."], 0
    fork = agent.invoke(None, start.config)
    assert [m.text for m in fork["messages"] if isinstance(m, AIMessage)][-1] == "Gone."
    assert fork["messages"][:3] == first["messages"][:3]
    old = [s for s in agent.get_state_history(config) if s.values.get("messages") == first["messages"]]
    assert old[0].values["media"] == first["media"]


def test_turns_at_once_over_two_connections_are_all_kept(build, address: str, config: Any) -> None:
    with PostgresSaver.from_conn_string(address) as one, PostgresSaver.from_conn_string(address) as other:
        agents = [build(lambda m: f"You said {m[-1].text}.", saver=saver)[0] for saver in (one, other)]
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda i: agents[i % 2].invoke(says(f"word{i}"), config), range(6)))
        texts = [m.text for m in agents[0].get_state(config).values["messages"]]
    assert sorted(texts[::2]) == [f"word{i}" for i in range(6)]
    assert texts[1::2] == [f"You said {text}." for text in texts[::2]]


def test_turns_of_two_processes_at_once_are_all_kept(build, saver, address: str, tmp_path: Path, config: Any) -> None:
    root, thread = str(HERE.parents[1]), config["configurable"]["thread_id"]
    environment = {**os.environ, "PYTHONPATH": root}
    pair = warm.start(HERE / "pair.py", address, tmp_path / "media", thread, "8", cwd=root, env=environment)
    assert pair.wait() == 0
    texts = [m.text for m in build("x", saver=saver)[0].get_state(config).values["messages"]]
    assert sorted(texts[::2]) == sorted(f"{name}{turn}" for name in "ab" for turn in range(8))
    assert texts[1::2] == [f"You said {text}." for text in texts[::2]]


async def test_turns_at_once_are_all_kept_asynchronously(build, address: str, config: Any) -> None:
    async with AsyncPostgresSaver.from_conn_string(address) as saver:
        agent, _ = build("Hello.", saver=saver)
        await asyncio.gather(*(agent.ainvoke(says(f"word{i}"), config) for i in range(6)))
        texts = [m.text for m in (await agent.aget_state(config)).values["messages"]]
    assert texts[::2] == [f"word{i}" for i in range(6)]
    assert len(texts) == 12


def ends_sessions(echo: EchoSpecialist, address: str) -> None:
    """Let the specialist's next run end all sessions before it returns its result."""
    run = echo.run

    def last_of_the_session(request: Any, progress: Any) -> Any:
        echo.run = run  # type: ignore[method-assign]
        end_sessions(address)
        return run(request, progress)

    echo.run = last_of_the_session  # type: ignore[method-assign]


def test_a_pool_that_checks_does_not_notice_a_session_lost_between_turns(build, address: str, config: Any) -> None:
    with pooled(address, check=ConnectionPool.check_connection) as pool:
        agent, _ = build("Hello.", saver=PostgresSaver(pool))
        agent.invoke(says("hi"), config)
        end_sessions(address)
        assert kinds(agent.invoke(says("hi again"), config)) == "human ai human ai"


def test_a_lost_session_is_an_error_of_ours_and_passes(build, address: str, echo, picture: str, config: Any) -> None:
    with pooled(address) as pool:
        agent, planner = build("Hello.", [SEGMENT], saver=PostgresSaver(pool))
        agent.invoke(says("hi", picture), config)
        ends_sessions(echo, address)
        with pytest.raises(StorageError, match="stored conversations cannot be used .*: .*connect to it again"):
            agent.invoke(says("cut it out"), config)
        planner.replies = ["Yes?"]
        out = agent.invoke(says("still there?"), config)  # by the pool's next connection
        assert kinds(out).startswith("human ai human ")
        assert kinds(out).endswith(" human ai")
        assert not pending(out["messages"]).ready


async def test_a_lost_connection_needs_another_saver(build, address: str, config: Any) -> None:
    async with AsyncPostgresSaver.from_conn_string(address) as lost:
        agent, _ = build("Hello.", saver=lost)
        await agent.ainvoke(says("hi"), config)
        end_sessions(address)
        for _ in range(2):  # found out, and known
            with pytest.raises(StorageError, match="connect to it again"):
                await agent.ainvoke(says("still there?"), config)
            with pytest.raises(StorageError, match="connect to it again"):
                await agent.aget_state(config)
    async with AsyncPostgresSaver.from_conn_string(address) as saver:
        agent, _ = build("Yes?", saver=saver)
        assert kinds(await agent.ainvoke(says("still there?"), config)) == "human ai human ai"


def test_the_tables_hold_no_pixels(build, saver: PostgresSaver, address: str, store: MediaStore, config: Any) -> None:
    side, turns = 256, 4
    noise = torch.randint(0, 256, (turns, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    agent, _ = build(*([[SEGMENT], "Here."] * turns), saver=saver)
    for pixels in noise:
        png = base64.b64encode(encode_png(pixels)).decode()
        image = {"type": "image", "base64": png, "mime_type": "image/png"}
        message = HumanMessage([image, {"type": "text", "text": "cut it out"}])
        state = agent.invoke({"messages": [message]}, config)
    assert payload_path(state) is None
    with psycopg.connect(address) as connection:
        rows = connection.execute(ROWS, {"thread": config["configurable"]["thread_id"]}).fetchall()
    assert len(rows) > turns
    assert not [row for (row,) in rows if b"iVBORw0KGgo" in row]  # how every PNG begins, in base64
    assert sum(len(row) for (row,) in rows) < 3 * side * side  # the conversation is smaller than one of its pictures
