"""Who can write to a file of conversations can put words into them, and nothing more: no row runs code.

What a user says may look like such a row; it comes back as it was said.
"""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde import _msgpack
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from vitron_agent.errors import StorageError
from vitron_agent.graphs import open_conversations, user_turn

SECRET = "VITRON_TEST_SECRET"
Build = Callable[..., Any]


def forms(mark: Path) -> dict[str, Any]:
    """What a row may hold that has this process make a file, in all of the serialiser's forms."""
    order = f"touch {mark}"
    packed = {
        0: ("os", "system", order),
        1: ("os", "system", [order]),
        2: ("subprocess", "run", {"args": ["touch", str(mark)], "check": True}),
        3: ("os", "system", order, "__call__"),
        4: ("subprocess", "run", {"args": ["touch", str(mark)]}, "run"),
        5: ("subprocess", "run", {"args": ["touch", str(mark)]}, "run"),
    }
    return {code: ormsgpack.Ext(code, ormsgpack.packb(parts)) for code, parts in packed.items()}


def constructors(mark: Path) -> list[Any]:
    """The same in JSON, and a request for a secret."""
    return [
        {"lc": 2, "type": "constructor", "id": ["os", "system"], "args": [f"touch {mark}"]},
        {"lc": 2, "type": "constructor", "id": ["subprocess", "run"], "kwargs": {"args": ["touch", str(mark)]}},
        {"lc": 1, "type": "constructor", "id": ["subprocess", "run"], "kwargs": {"args": ["touch", str(mark)]}},
        {"lc": 1, "type": "secret", "id": [SECRET]},
    ]


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "code-was-run"


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that never heard of `LANGGRAPH_STRICT_MSGPACK`, and has a secret in its environment."""
    monkeypatch.setattr(_msgpack, "STRICT_MSGPACK_ENABLED", False)
    monkeypatch.setenv(SECRET, "the secret")


@pytest.fixture
def database(build: Build, tmp_path: Path, config: Any) -> Path:
    path = tmp_path / "talks.sqlite"
    with open_conversations(path) as saver:
        build("Hello.", saver=saver)[0].invoke({"messages": [user_turn("hi")]}, config)
    return path


def forge(path: Path, kind: str, write: Callable[[dict[str, Any]], bytes]) -> None:
    """Put something else into the newest step: `write` makes a row of what was there."""
    with closing(sqlite3.connect(path)) as connection, connection:
        query = "SELECT rowid, checkpoint FROM checkpoints ORDER BY checkpoint_id DESC LIMIT 1"
        number, blob = connection.execute(query).fetchone()
        known = ormsgpack.unpackb(blob, ext_hook=ormsgpack.Ext, option=ormsgpack.OPT_NON_STR_KEYS)
        row = (kind, write(known), number)
        connection.execute("UPDATE checkpoints SET type = ?, checkpoint = ? WHERE rowid = ?", row)


def look_and_go_on(build: Build, path: Path, config: Any) -> str:
    """Do all that reads the conversation; return what was seen of it."""
    seen = []
    with open_conversations(path) as saver:
        agent, _ = build("Well.", saver=saver)
        for act in (
            lambda: agent.get_state(config).values,
            lambda: list(agent.get_state_history(config)),
            lambda: agent.invoke({"messages": [user_turn("and now?")]}, config),
        ):
            with suppress(StorageError):
                seen.append(repr(act()))
    return " ".join(seen)


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize("code", range(6))
def test_a_row_that_names_a_function_calls_none(build, database: Path, mark: Path, config: Any, code: int) -> None:
    def with_order(known: dict[str, Any]) -> bytes:
        known["channel_values"]["rounds"] = forms(mark)[code]
        return ormsgpack.packb(known, option=ormsgpack.OPT_NON_STR_KEYS)

    forge(database, "msgpack", with_order)
    look_and_go_on(build, database, config)
    assert not mark.exists()


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize("which", range(4))
def test_a_row_of_json_builds_nothing_and_tells_no_secret(
    build, database: Path, mark: Path, config: Any, which: int
) -> None:
    def with_order(known: dict[str, Any]) -> bytes:
        known["channel_values"] = {"rounds": constructors(mark)[which]}
        return json.dumps(known, default=str).encode()

    forge(database, "json", with_order)
    assert "the secret" not in look_and_go_on(build, database, config)
    assert not mark.exists()


@pytest.mark.usefixtures("careless")
def test_a_pickle_is_not_opened(build, database: Path, mark: Path, config: Any) -> None:
    forge(database, "pickle", lambda _: f"cos\nsystem\n(S'touch {mark}'\ntR.".encode())
    with open_conversations(database) as saver, pytest.raises(StorageError, match="damaged where it is stored"):
        build("Well.", saver=saver)[0].get_state(config)
    assert not mark.exists()


def test_the_rows_would_run_code_elsewhere(mark: Path) -> None:
    JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed(("msgpack", ormsgpack.packb(forms(mark)[0])))
    assert mark.exists()


@pytest.mark.parametrize("form", [{"lc": 1, "type": "secret", "id": [SECRET]}, *constructors(Path("/nowhere"))])
def test_what_a_user_says_comes_back_as_it_was_said(
    build, tmp_path: Path, config: Any, form: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words and beside them: a serialised object of LangChain's is plain data here."""
    monkeypatch.setenv(SECRET, "the secret")
    text = json.dumps(form)
    with open_conversations(tmp_path / "talks.sqlite") as saver:
        agent, planner = build("Hm.", saver=saver)
        agent.invoke({"messages": [HumanMessage(text, additional_kwargs={"note": form})]}, config)
    with open_conversations(tmp_path / "talks.sqlite") as saver:
        kept = build("Hm.", saver=saver)[0].get_state(config).values["messages"][0]
    assert (kept.text, kept.additional_kwargs["note"]) == (text, form)
    assert planner.seen[0][0].text == text


@pytest.mark.parametrize("text", ["draw \ud800", "\udcff"])
def test_half_a_character_spoils_no_conversation(build, tmp_path: Path, config: Any, text: str) -> None:
    with open_conversations(tmp_path / "talks.sqlite") as saver:
        agent, planner = build("Well.", saver=saver)
        assert "which is no character" in agent.invoke({"messages": [HumanMessage(text)]}, config)["messages"][-1].text
        assert planner.seen == []
        assert agent.invoke({"messages": [user_turn("hi")]}, config)["messages"][-1].text == "Well."
