from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.graph.message import add_messages

from vitron_agent.errors import InputError
from vitron_agent.graphs import nodes, user_turn
from vitron_agent.media import Folders, MediaSources, MediaStore, encode_png
from vitron_agent.testing import call, paint

HANDLE = "sha256:" + "0" * 64
CALL: dict[str, Any] = {"name": "segment_image", "args": {"command": "it"}, "id": "1", "type": "tool_call"}
BROKEN: dict[str, Any] = {"name": "x", "args": "{", "id": "2", "error": "no JSON", "type": "invalid_tool_call"}


def test_ingest_starts_a_turn_afresh(store: MediaStore, picture: str) -> None:
    state: Any = {"messages": [user_turn("hi", [picture])], "rounds": 7}
    update = nodes.ingest(state, store=store)
    assert update["rounds"] == 0
    assert update["media"] == [{"kind": "picture", "number": 1, "uri": picture, "origin": "user"}]


def test_ingest_leaves_older_turns_alone(store: MediaStore, picture: str) -> None:
    state: Any = {"messages": [user_turn("hi", [picture]), AIMessage("hello"), user_turn("draw")]}
    assert [m.text for m in nodes.ingest(state, store=store)["messages"]] == ["draw"]


def test_ingest_reads_a_history_that_an_application_keeps_itself(store: MediaStore, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(paint("a picture")))
    first = HumanMessage([{"type": "image", "path": "a.png"}, {"type": "text", "text": "look"}], id="1")
    state: Any = {"messages": [first, AIMessage("I see.", id="2"), HumanMessage("cut it out", id="3")]}
    update = nodes.ingest(state, store=store, sources=MediaSources(folders=Folders(tmp_path)))
    assert [m.id for m in update["messages"]] == ["1", "3"]
    assert update["media"][0]["uri"] == store.put_image(paint("a picture")).uri
    closed = nodes.ingest(state, store=store)["messages"][-1]
    assert "is not opened" in closed.text


def test_repair_answers_lost_calls_in_place() -> None:
    lost = AIMessage("", tool_calls=[CALL], invalid_tool_calls=[BROKEN], id="a")
    messages = add_messages([], [HumanMessage("x"), lost, HumanMessage("new")])
    update = nodes.repair({"messages": messages})
    assert isinstance(update["messages"][0], RemoveMessage)
    fixed = add_messages(messages, update["messages"])
    assert [m.type for m in fixed] == ["human", "ai", "tool", "tool", "human"]
    assert [m.tool_call_id for m in fixed if isinstance(m, ToolMessage)] == ["1", "2"]


def test_repair_touches_nothing_that_is_whole() -> None:
    whole = [HumanMessage("x"), AIMessage("", tool_calls=[CALL]), ToolMessage("ok", tool_call_id="1"), AIMessage("y")]
    assert nodes.repair({"messages": whole}) == {}


def test_give_up_answers_the_open_calls() -> None:
    update = nodes.give_up({"messages": [AIMessage("", tool_calls=[CALL])], "rounds": 8})
    assert [m.type for m in update["messages"]] == ["tool", "ai"]
    assert nodes.error_of(update["messages"][-1])["type"] == "RoundsError"


def test_only_final_errors_close_a_turn() -> None:
    assert nodes.error_of(AIMessage("fine")) is None
    assert nodes.error_of(HumanMessage("x")) is None
    assert nodes.error_of(nodes.failed(InputError("bad"))) == {"type": "InputError", "message": "bad"}


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        (
            "segment_image",
            {"command": "it", "region": "everywhere"},
            "region: Input should be a valid list, not 'everywhere'",
        ),
        ("generate_image", {"command": "</instruction>"}, "the command holds '</instruction>'"),
        ("generate_image", {}, "command: Field required"),
    ],
)
def test_bad_arguments_are_named_with_what_was_given(build, name: str, arguments: Any, said: str) -> None:
    agent, _ = build([call(name, **arguments)], "Sorry.")
    answer = agent.invoke({"messages": ["hi"]})["messages"][2]
    assert answer.text.startswith(f"Result: not done: {said}")


def test_faults_of_ours_do_not_pass_for_results() -> None:
    with pytest.raises(ZeroDivisionError):
        nodes.bad_arguments(ZeroDivisionError())
