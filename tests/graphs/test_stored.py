"""Conversations on a bad disk: no room, bits that flip, files that go. Errors are ours, and others go on."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from tests.faults import no_file_beyond
from vitron_agent.errors import InputError, StorageError
from vitron_agent.graphs import open_conversations, user_turn
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, call, paint

DRAW = call("generate_image", command="a red circle")
OTHER: Any = {"configurable": {"thread_id": "other", "seed": 0}}
NEWEST = "checkpoint_id = (SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = 'talk') AND thread_id = 'talk'"
DAMAGED = "this conversation is damaged where it is stored .*restore the database from a copy, or go on under another"


def says(text: str) -> Any:
    return {"messages": [user_turn(text)]}


def texts(state: Any) -> list[str]:
    return [m.text for m in state["messages"] if m.type in ("human", "ai") and m.text]


@pytest.fixture
def database(build: Callable[..., Any], tmp_path: Path, config: Any) -> Path:
    """Two conversations of one turn each in one file, with everything in the file itself."""
    path = tmp_path / "talks.sqlite"
    with open_conversations(path) as saver:
        for thread in (config, OTHER):
            build([DRAW], "Here.", saver=saver)[0].invoke(says("draw"), thread)
        saver.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def drawn(state: Any) -> str:
    """The handle of the picture of the first turn."""
    return next(m.artifact["uri"] for m in state["messages"] if m.type == "tool")


# No room.


@contextmanager
def full(connection: sqlite3.Connection) -> Iterator[None]:
    """SQLite's own full disk."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    yield
    connection.execute("PRAGMA max_page_count = 1000000")


@contextmanager
def cut_off(connection: sqlite3.Connection) -> Iterator[None]:
    """The system's: not even the log of what is to be written may grow."""
    with no_file_beyond(4096):
        yield


@pytest.mark.parametrize(("fault", "said"), [(full, "database or disk is full"), (cut_off, "disk I/O error")])
def test_a_disk_without_room_loses_the_turn_and_nothing_before_it(
    build, database: Path, store: MediaStore, config: Any, fault: Any, said: str
) -> None:
    with open_conversations(database) as saver:
        agent, _ = build("Well.", saver=saver)
        long = "long " * 1500
        with fault(saver.conn), pytest.raises(StorageError, match=f"conversations cannot be used .{said}."):  # noqa: PT012
            for _ in range(20):
                agent.invoke(says(long), config)
        state = agent.get_state(config).values
        assert texts(state)[:2] == ["draw", "Here."]
        assert store.get_image(drawn(state)).shape == (3, 64, 64)
        assert texts(agent.invoke(says("is there room now?"), config))[-2:] == ["is there room now?", "Well."]
    assert store.folder
    assert list((store.folder / "threads").iterdir()) == []  # nobody waits for a turn that failed
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_no_room_for_a_lock_is_an_error_of_ours(build, database: Path, store: MediaStore, config: Any) -> None:
    assert store.folder
    shutil.rmtree(store.folder / "threads")
    (store.folder / "threads").write_text("in the way")
    with open_conversations(database) as saver:
        agent, _ = build("Well.", saver=saver)
        with pytest.raises(StorageError, match=r"threads cannot be written .*: free or move the media folder"):
            agent.invoke(says("hi"), config)
        (store.folder / "threads").unlink()
        assert texts(agent.invoke(says("hi"), config)) == ["draw", "Here.", "hi", "Well."]


# Bits that flip. SQLite has no checksums: what flips inside a text passes for the text.


def cut(blob: bytes) -> bytes:
    return blob[: len(blob) // 2]


def no_text(blob: bytes) -> bytes:
    at = blob.index(b"channel_values")
    return blob[:at] + b"\xff" + blob[at + 1 :]


def another_name(blob: bytes) -> bytes:
    return blob.replace(b"channel_values", b"channel_valuez")


DAMAGES: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("checkpoints", "checkpoint", cut),
    ("checkpoints", "checkpoint", no_text),
    ("checkpoints", "checkpoint", another_name),
    ("checkpoints", "checkpoint", lambda blob: b""),
    ("checkpoints", "metadata", cut),
    ("writes", "value", cut),
]


def damage(path: Path, table: str, column: str, how: Callable[[bytes], bytes]) -> None:
    """Change what is stored of the first conversation: its newest step, or what all of its steps wrote."""
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = NEWEST if table == "checkpoints" else "thread_id = 'talk' AND length(value) > 1"
        for number, value in connection.execute(f"SELECT rowid, {column} FROM {table} WHERE {rows}").fetchall():
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (how(value), number))


def others_are_well(build: Callable[..., Any], path: Path, store: MediaStore, saver: Any) -> None:
    """Another conversation goes on, also one of the same file, and pictures are there."""
    agent, _ = build("Well.", saver=saver)
    state = agent.invoke(says("and you?"), OTHER)
    assert texts(state) == ["draw", "Here.", "and you?", "Well."]
    assert torch_equal(store, drawn(state))


def torch_equal(store: MediaStore, uri: str) -> bool:
    return bool((store.get_image(uri) == paint("a red circle")).all())


@pytest.mark.parametrize(("table", "column", "how"), DAMAGES)
def test_a_damaged_row_is_an_error_of_its_conversation_alone(
    build, database: Path, store: MediaStore, config: Any, table: str, column: str, how: Callable[[bytes], bytes]
) -> None:
    damage(database, table, column, how)
    with open_conversations(database) as saver:
        agent, planner = build("Well.", saver=saver)
        for act in (
            lambda: agent.get_state(config),
            lambda: list(agent.get_state_history(config)),
            lambda: agent.invoke(says("hi"), config),
            lambda: agent.update_state(config, {"rounds": 3}, as_node="observe"),
        ):
            with pytest.raises(StorageError, match=DAMAGED) as caught:
                act()
            assert "\n" not in str(caught.value)
        assert planner.seen == []
        others_are_well(build, database, store, saver)


async def test_a_damaged_row_is_as_clear_when_awaited(build, database: Path, config: Any) -> None:
    damage(database, "checkpoints", "checkpoint", another_name)
    async with AsyncSqliteSaver.from_conn_string(str(database)) as saver:
        agent, _ = build("Well.", saver=saver)
        with pytest.raises(StorageError, match=DAMAGED):
            await agent.aget_state(config)
        with pytest.raises(StorageError, match=DAMAGED):
            await agent.ainvoke(says("hi"), config)
        with pytest.raises(StorageError, match=DAMAGED):
            [snapshot async for snapshot in agent.aget_state_history(config)]
        with pytest.raises(InputError, match="Invalid filter key"):
            [snapshot async for snapshot in agent.aget_state_history(OTHER, filter={"x') OR '1'='1": 1})]
        assert texts(await agent.ainvoke(says("and you?"), OTHER)) == ["draw", "Here.", "and you?", "Well."]


def test_another_error_of_a_turn_is_no_damage(build, database: Path, echo: EchoSpecialist, config: Any) -> None:
    with open_conversations(database) as saver:
        agent, _ = build([call("generate_image", command="a star")], saver=saver)
        echo.error = ValueError("a mistake of the specialist's")
        with pytest.raises(ValueError, match="a mistake of the specialist's"):
            agent.invoke(says("again"), config)


@pytest.mark.parametrize("at", [0, 4096])
def test_a_damaged_file_leaves_other_files_and_all_pictures(
    build, database: Path, store: MediaStore, config: Any, at: int
) -> None:
    whole = database.with_name("copy.sqlite")
    shutil.copy(database, whole)
    data = bytearray(database.read_bytes())
    data[at : at + 64] = b"garbage!" * 8
    database.write_bytes(data)
    with closing(sqlite3.connect(database, check_same_thread=False)) as connection:
        agent, _ = build("Well.", saver=SqliteSaver(connection))
        with pytest.raises(StorageError, match="restore it from a copy"):
            agent.invoke(says("hi"), config)
    assert database.read_bytes()[at : at + 64] == b"garbage!" * 8  # it is left for whoever can mend it
    with open_conversations(whole) as saver:
        others_are_well(build, whole, store, saver)


def test_a_file_that_may_only_be_read_is_read_and_says_so_when_it_is_written(
    build, database: Path, store: MediaStore, config: Any
) -> None:
    before = database.read_bytes()
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, check_same_thread=False)
    with closing(connection):
        agent, planner = build("Well.", saver=SqliteSaver(connection))
        with pytest.raises(StorageError, match="readonly database"):
            agent.invoke(says("hi"), config)
        assert texts(agent.get_state(config).values) == ["draw", "Here."]
        assert list(store.get_image(drawn(agent.get_state(config).values)).shape) == [3, 64, 64]
    assert database.read_bytes() == before
    with open_conversations(database) as saver:
        others_are_well(build, database, store, saver)


# Files that go.


@pytest.mark.parametrize("log", ["gone", "garbage", "empty"])
def test_a_lost_log_loses_the_last_turns_and_no_more(
    build, database: Path, store: MediaStore, tmp_path: Path, config: Any, log: str
) -> None:
    """A file that is copied or restored without its `-wal` stands as it was when that was last taken in."""
    restored = tmp_path / "restored.sqlite"
    with open_conversations(database) as saver:
        assert "second" in texts(build("Well.", saver=saver)[0].invoke(says("second"), config))
        assert database.with_name("talks.sqlite-wal").stat().st_size > 0
        shutil.copy(database, restored)
    if log != "gone":
        restored.with_name("restored.sqlite-wal").write_bytes(b"" if log == "empty" else b"garbage!" * 1000)
    with open_conversations(restored) as saver:
        agent, _ = build("Well.", saver=saver)
        assert texts(agent.get_state(config).values) == ["draw", "Here."]
        assert texts(agent.invoke(says("third"), config)) == ["draw", "Here.", "third", "Well."]
        others_are_well(build, restored, store, saver)


def test_the_rows_are_as_the_damages_above_take_them(database: Path) -> None:
    """The tests above change something."""
    with closing(sqlite3.connect(database)) as connection:
        ((blob, facts),) = connection.execute(f"SELECT checkpoint, metadata FROM checkpoints WHERE {NEWEST}")
    assert b"channel_values" in blob
    assert json.loads(facts)["source"] == "loop"
