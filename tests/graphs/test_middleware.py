"""The agent over LangChain's `create_agent`: what our graph promises holds there too."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from tests.graphs.states import kinds
from vitron_agent.errors import CheckpointError
from vitron_agent.graphs import Agent, user_turn
from vitron_agent.graphs.middleware import make_langchain_agent
from vitron_agent.graphs.nodes import error_of
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call
from vitron_agent.tools import Residents, Toolbox, make_tools

SEGMENT = call("segment_image", command="the red circle")
EDIT = call("edit_image", command="replace the red circle with a blue circle")
Make = Callable[..., tuple[Agent, ScriptedPlanner]]


@pytest.fixture
def make(store: MediaStore, echo: EchoSpecialist) -> Make:
    def build(*replies: Any, **more: Any) -> tuple[Agent, ScriptedPlanner]:
        planner = ScriptedPlanner(replies=list(replies))
        residents = Residents({name: lambda: echo for name in ("gligen", "gligen_inpaint", "seem")})
        return make_langchain_agent(planner, make_tools(Toolbox(store, residents)), store, **more), planner

    return build


@pytest.fixture
def turn(picture: str) -> Any:
    return {"messages": [user_turn("make it blue", [picture])]}


def test_a_chain_goes_round(make: Make, turn: Any, picture: str) -> None:
    agent, _ = make([SEGMENT], [EDIT], "Done.")
    out = agent.invoke(turn)
    assert kinds(out) == "human ai success ai success ai"
    assert [entry["origin"] for entry in out["media"]] == ["user", "edit_image"]
    assert out["rounds"] == 3


async def test_it_runs_asynchronously(make: Make, turn: Any) -> None:
    out = await make([SEGMENT], "Done.")[0].ainvoke(turn)
    assert kinds(out) == "human ai success ai"


def test_an_unusable_message_is_answered(make: Make) -> None:
    agent, planner = make("Hello.")
    assert "the request is empty" in agent.invoke({"messages": [HumanMessage(" ")]})["messages"][-1].text
    assert planner.seen == []


def test_a_final_error_ends_the_turn_in_words(make: Make, echo: EchoSpecialist, turn: Any) -> None:
    agent, planner = make([SEGMENT], "again")
    echo.error = CheckpointError("weights are truncated")
    out = agent.invoke(turn)
    assert out["messages"][-1].text == "I could not do that: weights are truncated"
    assert len(planner.seen) == 1
    agent, _ = make(CheckpointError("planner weights are gone"))
    assert error_of(agent.invoke(turn)["messages"][-1])["type"] == "CheckpointError"


def test_rounds_are_counted(make: Make, turn: Any) -> None:
    agent, planner = make([SEGMENT], rounds=3)
    out = agent.invoke(turn)
    assert len(planner.seen) == 3
    assert "more than 3 steps" in out["messages"][-1].text


def test_bad_calls_are_answered(make: Make, turn: Any) -> None:
    bad = [{"name": "segment_image", "args": "{broken"}, call("rm"), call("segment_image", command="x" * 10**6)]
    out = make(bad, "Sorry.")[0].invoke(turn)
    assert kinds(out).split()[-1] == "ai"
    assert [m.status for m in out["messages"] if isinstance(m, ToolMessage)] == ["error"] * 3
    assert sum(len(str(m)) for m in out["messages"]) < 10_000


def test_a_turn_that_was_cut_off_is_repaired(make: Make, echo: EchoSpecialist, turn: Any, config: Any) -> None:
    agent, _ = make([SEGMENT], "Fine.", checkpointer=InMemorySaver())
    echo.error = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        agent.invoke(turn, config)
    out = agent.invoke({"messages": [user_turn("hello?")]}, config)
    assert kinds(out) == "human ai error human ai"


@pytest.mark.parametrize(("decision", "status"), [({"type": "approve"}, "success"), ({"type": "reject"}, "error")])
def test_calls_wait_for_approval(make: Make, turn: Any, config: Any, decision: Any, status: str) -> None:
    agent, _ = make([EDIT], "Done.", checkpointer=InMemorySaver(), approve=("C",))
    assert agent.invoke(turn, config)["__interrupt__"]
    out = agent.invoke(Command(resume={"decisions": [decision]}), config)
    assert kinds(out) == f"human ai {status} ai"
