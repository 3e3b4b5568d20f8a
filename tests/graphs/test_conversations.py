"""Conversations in a file are kept for whoever opens it next; test_crash.py kills those who write to it."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from vitron_agent.build import build_agent
from vitron_agent.graphs import open_conversations, user_turn
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


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "talk.sqlite").write_bytes(b"not a database, but long enough to look at" * 50)
    with pytest.raises(sqlite3.DatabaseError), open_conversations(tmp_path / "talk.sqlite"):
        pass
