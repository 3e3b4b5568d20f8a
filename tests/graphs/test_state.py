from typing import Any

import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.graph.message import REMOVE_ALL_MESSAGES, add_messages

from vitron_agent.graphs.state import MAX_TEXT, merged, payload_path

GOOD: Any = {
    "messages": [
        HumanMessage([{"type": "image", "file_id": "sha256:00"}, {"type": "text", "text": "hi"}], id="1"),
        AIMessage("", tool_calls=[{"name": "x", "args": {"box": [0.1, 0.2]}, "id": "1"}]),
        ToolMessage("ok", tool_call_id="1", artifact={"uri": "sha256:00", "seconds": 0.5, "signals": None}),
    ],
    "media": [{"kind": "picture", "number": 1, "uri": "sha256:00", "origin": "user"}],
    "rounds": 1,
}


def test_a_state_of_handles_is_plain() -> None:
    assert payload_path(GOOD) is None


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (ToolMessage("x", tool_call_id="1", artifact={"image": torch.zeros(3)}), "state.messages[0].artifact.image"),
        (ToolMessage("x", tool_call_id="1", artifact={"png": b"..."}), "state.messages[0].artifact.png"),
        (AIMessage("x", response_metadata={"v": [torch.zeros(1)]}), "state.messages[0].response_metadata.v[0]"),
        (HumanMessage([{"type": "image", "base64": "A" * (MAX_TEXT + 1)}]), "state.messages[0].content[0].base64"),
    ],
)
def test_what_does_not_belong_there_is_named(message: Any, path: str) -> None:
    found = payload_path({"messages": [message]})
    assert found is not None
    assert found.split(" ")[0] == path


WRITES: Any = [
    [HumanMessage("draw", id="1"), AIMessage("", id="2")],
    [ToolMessage("ok", tool_call_id="x", id="3")],
    [AIMessage("drawn", id="2")],  # in place of the one before
    AIMessage("alone", id="4"),
    [RemoveMessage(id="3")],
    [RemoveMessage(id=REMOVE_ALL_MESSAGES), HumanMessage("draw", id="1"), ToolMessage("no", tool_call_id="x", id="5")],
    [HumanMessage("again", id="6")],
]


@pytest.mark.parametrize("cut", range(len(WRITES) + 1))
def test_writes_are_merged_the_same_in_whatever_batches_they_come(cut: int) -> None:
    one_by_one: Any = []
    for write in WRITES:
        one_by_one = add_messages(one_by_one, write)
    assert merged(merged([], WRITES[:cut]), WRITES[cut:]) == one_by_one
    assert [message.id for message in one_by_one] == ["1", "5", "6"]
