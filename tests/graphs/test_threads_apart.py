"""One conversation cannot reach into another, and damage to a picture is said, never shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from vitron_agent.errors import InputError, StorageError
from vitron_agent.graphs import open_conversations, user_turn
from vitron_agent.graphs.nodes import error_of
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, call

MINE: Any = {"configurable": {"thread_id": "mine", "seed": 0}}
THEIRS: Any = {"configurable": {"thread_id": "theirs", "seed": 0}}
DRAW, SEGMENT = call("generate_image", command="a red circle"), call("segment_image", command="the red circle")


def says(text: str) -> Any:
    return {"messages": [user_turn(text)]}


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseCheckpointSaver[Any]]:
    if request.param == "memory":
        yield InMemorySaver()
        return
    with open_conversations(tmp_path / "talks.sqlite") as opened:
        yield opened


def test_a_step_of_another_conversation_is_none_of_this_one(build, saver: BaseCheckpointSaver[Any]) -> None:
    agent, _ = build("Hello.", saver=saver)
    agent.invoke(says("this is my secret"), THEIRS)
    step = agent.get_state(THEIRS).config["configurable"]["checkpoint_id"]
    foreign: Any = {"configurable": {**MINE["configurable"], "checkpoint_id": step}}
    assert agent.get_state(foreign).values == {}
    assert list(agent.get_state_history(MINE)) == []
    assert "secret" not in repr(list(agent.get_state_history(foreign)))
    with pytest.raises(InputError, match="nothing to go on with"):
        agent.invoke(None, foreign)
    assert [m.text for m in agent.invoke(says("hi"), foreign)["messages"]] == ["hi", "Hello."]
    assert [m.text for m in agent.get_state(THEIRS).values["messages"]] == ["this is my secret", "Hello."]


def test_stopping_one_conversation_stops_no_other(build, saver: BaseCheckpointSaver[Any]) -> None:
    agent, _ = build([DRAW], "Here.", saver=saver)
    turn = agent.stream(says("draw"), THEIRS)
    next(turn)
    assert not agent.stop("mine")
    list(turn)
    assert agent.get_state(THEIRS).values["messages"][-1].text == "Here."


def spoil(store: MediaStore, uri: str) -> None:
    """Flip one bit in the middle of a stored picture."""
    assert store.folder
    (path,) = store.folder.rglob(f"{uri.removeprefix('sha256:')}.png")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_picture_that_was_damaged_is_said_and_a_new_one_is_made(
    build, store: MediaStore, echo: EchoSpecialist, saver: BaseCheckpointSaver[Any], tmp_path: Path
) -> None:
    agent, _ = build([DRAW], "Here.", [SEGMENT], [DRAW], "Here it is again.", saver=saver)
    uri = agent.invoke(says("draw"), MINE)["messages"][2].artifact["uri"]
    spoil(store, uri)
    computed = len(echo.requests)
    last = agent.invoke(says("cut it out"), MINE)["messages"][-1]
    assert error_of(last)["type"] == "StorageError"
    assert f"{uri} is damaged in the media store" in last.text
    assert len(echo.requests) == computed  # no specialist saw it
    with pytest.raises(StorageError, match="is damaged"):
        store.export(uri, tmp_path / "shown.png")  # nor does a user
    assert not (tmp_path / "shown.png").exists()
    again = agent.invoke(says("draw it once more"), {"configurable": {"thread_id": "afresh", "seed": 0}})
    assert again["messages"][2].artifact["uri"] == uri  # the same recipe: its receipt is no good, and it is made anew
    assert store.get_image(uri).shape == (3, 64, 64)
