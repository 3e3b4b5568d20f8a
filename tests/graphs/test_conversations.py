"""Conversations in a file are kept for whoever opens it next; test_crash.py kills those who write to it."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from vitron_agent.build import build_agent
from vitron_agent.graphs import make_agent, open_conversations, user_turn
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner

CONFIG: Any = {"configurable": {"thread_id": "talk"}}


def say(path: Path, text: str) -> list[str]:
    """Say one thing in the conversation; return all that was said."""
    with open_conversations(path) as saver:
        specialists = dict.fromkeys(("gligen", "gligen_inpaint", "seem"), EchoSpecialist)
        planner = ScriptedPlanner(replies=["Hello."])
        store = MediaStore(path.parent / "media")
        agent = build_agent(store=store, checkpointer=saver, planner=planner, specialists=specialists)
        return [message.text for message in agent.invoke({"messages": [user_turn(text)]}, CONFIG)["messages"]]


def test_a_conversation_goes_on_where_it_ended(tmp_path: Path) -> None:
    say(tmp_path / "talk.sqlite", "good morning")
    assert say(tmp_path / "talk.sqlite", "good evening") == ["good morning", "Hello.", "good evening", "Hello."]


def test_steps_do_not_wait_for_the_disk_and_the_file_is_closed(tmp_path: Path) -> None:
    with open_conversations(tmp_path / "talk.sqlite") as saver:
        connection = saver.conn
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


@pytest.mark.parametrize("thread", ["talk", "each"])
def test_turns_of_two_processes_at_once_are_all_kept(tmp_path: Path, thread: str) -> None:
    """On one thread they queue up by a lock file; on two, SQLite has each step wait for the other's."""
    here, path = Path(__file__).parent, tmp_path / "talk.sqlite"
    with open_conversations(path) as saver:
        assert saver.conn.execute("PRAGMA busy_timeout").fetchone()[0] >= 5000  # milliseconds
    root = str(here.parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    pair = warm.start(here / "pair.py", path, tmp_path / "media", thread, "8", cwd=root, env=environment)
    assert pair.wait() == 0
    kept = {name: texts_of(path, name) for name in (("a", "b") if thread == "each" else (thread,))}
    said = [text for texts in kept.values() for text in texts[::2]]
    assert sorted(said) == sorted(f"{name}{turn}" for name in "ab" for turn in range(8))
    for texts in kept.values():
        assert texts[1::2] == [f"You said {text}." for text in texts[::2]]
        assert [text for text in texts[::2] if text[0] == "a"] == sorted(text for text in texts[::2] if text[0] == "a")
    assert list((tmp_path / "media" / "threads").iterdir()) == []


def texts_of(path: Path, thread: str) -> list[str]:
    """All that was said in a conversation."""
    with open_conversations(path) as saver:
        agent = make_agent(ScriptedPlanner(), [], MediaStore(path.parent / "media"), saver)
        state = agent.get_state({"configurable": {"thread_id": thread}})
        return [message.text for message in state.values["messages"]]


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "talk.sqlite").write_bytes(b"not a database, but long enough to look at" * 50)
    with pytest.raises(sqlite3.DatabaseError), open_conversations(tmp_path / "talk.sqlite"):
        pass
