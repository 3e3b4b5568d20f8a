from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from vitron_agent.graphs import user_turn
from vitron_agent.graphs.calls import pending

HANDLE = "sha256:" + "0" * 64


def reply(*calls: tuple[str, dict[str, Any]]) -> AIMessage:
    made = [{"name": name, "args": args, "id": str(i)} for i, (name, args) in enumerate(calls)]
    return AIMessage("", tool_calls=made)


def answer(number: int, status: str = "success", image: bool = False) -> ToolMessage:
    artifact = {"kind": "image", "uri": HANDLE} if image else None
    return ToolMessage("Result: done.", tool_call_id=str(number), status=status, artifact=artifact)


def ids(calls: list[Any]) -> str:
    return "".join(call["id"] for call in calls)


GENERATE, SEGMENT, EDIT = ("generate_image", {}), ("segment_image", {}), ("edit_image", {})
FIRST: tuple[str, dict[str, Any]] = ("segment_image", {"picture": 1})
SECOND: tuple[str, dict[str, Any]] = ("segment_image", {"picture": 2})


@pytest.mark.parametrize(
    ("calls", "answers", "ready", "lost"),
    [
        ([GENERATE, GENERATE], [], "01", ""),
        ([SEGMENT, SEGMENT], [], "01", ""),
        ([GENERATE, SEGMENT], [], "0", ""),
        ([GENERATE, SEGMENT], [answer(0, image=True)], "1", ""),
        ([GENERATE, SEGMENT], [answer(0, "error")], "", "1"),
        ([GENERATE, EDIT, SEGMENT], [], "0", ""),
        ([GENERATE, EDIT, SEGMENT], [answer(0, image=True)], "1", ""),
        ([SEGMENT, EDIT], [], "01", ""),
        ([EDIT, FIRST], [], "01", ""),
        ([EDIT, SECOND], [], "0", ""),
        ([EDIT, SECOND], [answer(0, image=True)], "1", ""),
        ([GENERATE, GENERATE, EDIT], [answer(0, "error"), answer(1, image=True)], "2", ""),
        ([GENERATE], [answer(0, image=True)], "", ""),
    ],
)
def test_which_calls_can_run(calls: list, answers: list[AnyMessage], ready: str, lost: str) -> None:
    found = pending([user_turn("x", [HANDLE]), reply(*calls), *answers])
    assert (ids(found.ready), ids(found.lost), found.unread) == (ready, lost, [])


def test_no_reply_no_calls() -> None:
    found = pending([HumanMessage("x")])
    assert (found.ready, found.lost, found.unread) == ([], [], [])


def test_unreadable_calls_are_listed_until_they_are_answered() -> None:
    broken = {"name": "x", "args": "{", "id": "9", "error": "no JSON", "type": "invalid_tool_call"}
    message = AIMessage("", invalid_tool_calls=[broken])
    assert ids(pending([message]).unread) == "9"
    assert pending([message, answer(9, "error")]).unread == []
