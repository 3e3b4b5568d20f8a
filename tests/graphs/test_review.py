"""A person approves, edits or rejects calls before they run."""

from typing import Any

import pytest
import torch
from langchain_core.messages import ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from vitron_agent.errors import InputError
from vitron_agent.graphs import user_turn
from vitron_agent.graphs.review import tool_names
from vitron_agent.invocation import Module
from vitron_agent.media import MediaStore
from vitron_agent.signals import SignalEmbeddings, SignalStore, arguments_digest
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call
from vitron_agent.tools.arguments import EditArguments

EDIT = call("edit_image", command="replace the red circle with a blue circle")
DRAW = call("generate_image", command="a red circle")
SEGMENT = call("segment_image", command="the red circle")
APPROVE = {"type": "approve"}
REJECT = {"type": "reject", "message": "keep it red"}


def edit(name: str = "edit_image", **arguments: Any) -> dict[str, Any]:
    return {"type": "edit", "edited_action": {"name": name, "args": arguments}}


def decide(*decisions: Any) -> Command:
    return Command(resume={"decisions": list(decisions)})


def answers(state: Any) -> list[ToolMessage]:
    return [m for m in state["messages"] if isinstance(m, ToolMessage)]


@pytest.fixture
def turn(picture: str) -> Any:
    return {"messages": [user_turn("make it blue", [picture])]}


def test_an_approved_call_runs_once(build, echo: EchoSpecialist, turn: Any, config: Any) -> None:
    agent, planner = build([EDIT], "Blue.", saver=InMemorySaver(), approve=("C",))
    asked = agent.invoke(turn, config)["__interrupt__"][0].value
    assert [(a["name"], a["args"]) for a in asked["action_requests"]] == [("edit_image", EDIT["args"])]
    assert asked["review_configs"][0]["allowed_decisions"] == ["approve", "edit", "reject"]
    assert echo.requests == []
    out = agent.invoke(decide(APPROVE), config)
    assert (out["messages"][-1].text, len(planner.seen)) == ("Blue.", 2)
    assert [m.status for m in answers(out)] == ["success"]


def test_a_rejected_call_goes_back_to_the_planner_with_the_reason(build, echo, turn: Any, config: Any) -> None:
    agent, planner = build([EDIT], "As you wish.", saver=InMemorySaver(), approve=("edit_image",))
    agent.invoke(turn, config)
    out = agent.invoke(decide(REJECT), config)
    assert planner.seen[1][-1].content == "Result: not done: keep it red"
    assert (out["messages"][-1].text, echo.requests) == ("As you wish.", [])


def leave_signals(planner: ScriptedPlanner, store: MediaStore) -> str:
    """Let the planner leave signals for its edit, and return their handle."""
    digest = arguments_digest(EditArguments(**EDIT["args"]).invocation())
    handle = SignalStore(store).put(SignalEmbeddings(torch.ones(2, 4), torch.ones(2, 4)), digest)
    planner.signals = {0: {"handle": handle, "args_digest": digest}}
    return handle


@pytest.mark.parametrize("changed", [True, False])
def test_an_edited_call_never_runs_with_the_signals_of_the_old_one(
    build, store: MediaStore, echo: EchoSpecialist, turn: Any, config: Any, changed: bool
) -> None:
    agent, planner = build([EDIT], "Done.", saver=InMemorySaver(), approve=(Module.C,))
    handle = leave_signals(planner, store)
    agent.invoke(turn, config)
    command = "replace the red circle with a green star" if changed else EDIT["args"]["command"]
    out = agent.invoke(decide(edit(command=command)), config)
    assert out["messages"][1].tool_calls[0]["args"] == {"command": command}  # the conversation says what ran
    assert echo.requests[-1].command == command
    assert answers(out)[0].artifact["signals"] == (None if changed else handle)
    assert (echo.requests[-1].signals is None) == changed


def test_a_picture_that_was_edited_into_a_call_drops_the_signals(
    build, store: MediaStore, echo: EchoSpecialist, turn: Any, picture: str, config: Any
) -> None:
    agent, planner = build([EDIT], "Done.", saver=InMemorySaver(), approve=(Module.C,))
    leave_signals(planner, store)
    agent.invoke(turn, config)
    out = agent.invoke(decide(edit(**EDIT["args"], picture=picture)), config)
    assert (answers(out)[0].status, answers(out)[0].artifact["signals"]) == ("success", None)
    assert echo.requests[-1].signals is None


def test_calls_are_decided_together_and_only_those_that_were_named(build, turn: Any, config: Any) -> None:
    agent, _ = build([EDIT, SEGMENT, DRAW], "Done.", saver=InMemorySaver(), approve=("A", "C"))
    asked = agent.invoke(turn, config)["__interrupt__"][0].value
    assert [a["name"] for a in asked["action_requests"]] == ["edit_image", "generate_image"]
    out = agent.invoke(decide(REJECT, APPROVE), config)
    assert {m.name: m.status for m in answers(out)} == {
        "edit_image": "error",
        "segment_image": "error",  # it was to work on the edited picture
        "generate_image": "success",
    }


def test_other_modules_run_at_once(build, turn: Any, config: Any) -> None:
    agent, _ = build([SEGMENT], "Here.", saver=InMemorySaver(), approve=("C",))
    assert agent.invoke(turn, config)["messages"][-1].text == "Here."


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("yes", "1 decisions"),
        ({"decisions": []}, "1 decisions"),
        ({"decisions": [APPROVE, APPROVE]}, "1 decisions"),
        ({"decisions": [{"type": "maybe"}]}, "'maybe': it must be one of approve, edit, reject"),
        ({"decisions": [{"type": "edit"}]}, "an edit needs"),
    ],
)
def test_an_answer_that_cannot_be_understood_is_asked_for_again(
    build, turn: Any, config: Any, answer: Any, said: str
) -> None:
    agent, planner = build([EDIT], "Blue.", saver=InMemorySaver(), approve=("C",))
    agent.invoke(turn, config)
    asked = agent.invoke(Command(resume=answer), config)["__interrupt__"][0].value
    assert said in asked["error"]
    assert agent.invoke(decide(APPROVE), config)["messages"][-1].text == "Blue."
    assert len(planner.seen) == 2


def test_an_edit_to_nonsense_is_an_answer(build, turn: Any, config: Any) -> None:
    agent, _ = build([EDIT], "Sorry.", saver=InMemorySaver(), approve=("C",))
    agent.invoke(turn, config)
    out = agent.invoke(decide(edit("rm", command="x")), config)
    assert answers(out)[0].content == "Result: not done: there is no tool 'rm'"


def test_a_new_message_instead_of_a_decision_drops_the_call(build, echo, turn: Any, config: Any) -> None:
    agent, _ = build([EDIT], "Never mind.", saver=InMemorySaver(), approve=("C",))
    agent.invoke(turn, config)
    out = agent.invoke({"messages": [user_turn("forget it")]}, config)
    assert answers(out)[0].content == "Result: not done: it was interrupted"
    assert out["messages"][-1].text == "Never mind."
    assert echo.requests == []


def test_what_to_approve_is_checked_when_the_agent_is_built(build) -> None:
    with pytest.raises(InputError, match="'X' cannot be approved: choose of generate_image"):
        build("x", saver=InMemorySaver(), approve=("X",))
    with pytest.raises(InputError, match="give a checkpointer"):
        build("x", approve=("C",))
    with pytest.raises(InputError, match="'3' cannot be approved"):
        build("x", saver=InMemorySaver(), approve=(3,))


def test_modules_letters_and_names_are_the_same() -> None:
    known = ["generate_image", "edit_image"]
    same = [
        tool_names(chosen, known, keeps=True) for chosen in ((Module.C,), ("C",), ("edit_image",), "C", "edit_image")
    ]
    assert same == [frozenset({"edit_image"})] * 5
