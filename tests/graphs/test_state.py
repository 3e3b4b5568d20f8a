from typing import Any

import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from vitron_agent.graphs.state import MAX_TEXT, payload_path

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
