"""The time of day may jump, far ahead or back: nothing waits longer, nothing is lost, nothing is done twice."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import id as names
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from vitron_agent.errors import BusyError
from vitron_agent.graphs import open_conversations, user_turn
from vitron_agent.graphs.clock import go_on_after
from vitron_agent.graphs.turns import Turns
from vitron_agent.testing import EchoSpecialist, call

YEAR = 365 * 86_400.0
SEGMENT = call("segment_image", command="the red circle")


def says(text: str, *pictures: str) -> Any:
    return {"messages": [user_turn(text, pictures)]}


def texts(state: Any) -> list[str]:
    return [m.text for m in state["messages"]]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the time of day, some seconds away from what it is."""
    now, now_ns = time.time, time.time_ns

    def shift(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: now() + seconds)
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(seconds * 1e9))

    return shift


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forget the last checkpoint's time, as a process does that has just begun."""
    return lambda: monkeypatch.setattr(names, "_last_v6_timestamp", None)


@pytest.mark.parametrize("ahead", [60.0, YEAR])
def test_a_turn_after_the_clock_was_set_back_is_not_lost(
    build, tmp_path: Path, config: Any, set_clock, new_process, ahead: float
) -> None:
    for shift, text in ((ahead, "first"), (0, "second"), (-YEAR, "third")):
        new_process()
        set_clock(shift)
        with open_conversations(tmp_path / "talk.sqlite") as saver:
            agent, _ = build("Hello.", saver=saver)
            agent.invoke(says(text), config)
            state = agent.get_state(config)
    assert texts(state.values) == ["first", "Hello.", "second", "Hello.", "third", "Hello."]


async def test_an_awaited_turn_is_not_lost_either(build, tmp_path: Path, config: Any, set_clock, new_process) -> None:
    for shift, text in ((YEAR, "first"), (0, "second")):
        new_process()
        set_clock(shift)
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "talk.sqlite")) as saver:
            agent, _ = build("Hello.", saver=saver)
            await agent.ainvoke(says(text), config)
            state = await agent.aget_state(config)
    assert texts(state.values) == ["first", "Hello.", "second", "Hello."]


def test_a_change_from_outside_is_not_lost_and_an_earlier_place_can_still_be_gone_on_from(
    build, tmp_path: Path, config: Any, set_clock, new_process
) -> None:
    set_clock(YEAR)
    with open_conversations(tmp_path / "talk.sqlite") as saver:
        agent, _ = build("Hello.", saver=saver)
        agent.invoke(says("first"), config)
        new_process()
        set_clock(0)
        agent.update_state(config, {"rounds": 7})
        assert agent.get_state(config).values["rounds"] == 7
        new_process()
        start = next(s for s in agent.get_state_history(config) if not s.values.get("messages"))
        agent.invoke(says("another"), start.config)
        assert texts(agent.get_state(config).values) == ["another", "Hello."]


def test_names_that_are_no_times_are_left_alone(monkeypatch: pytest.MonkeyPatch, new_process) -> None:
    class Stored:
        checkpoint = {"id": "mine-1"}

    new_process()
    go_on_after(Stored())  # type: ignore[arg-type]
    Stored.checkpoint["id"] = "a3c1f7de-2b5e-4c7a-9d1f-0123456789ab"  # of random numbers
    go_on_after(Stored())  # type: ignore[arg-type]
    go_on_after(None)
    assert names._last_v6_timestamp is None


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_jump_in_the_middle_of_a_turn_changes_nothing(
    build, echo: EchoSpecialist, picture: str, tmp_path: Path, config: Any, set_clock, jump: float
) -> None:
    run = echo.run

    def jumping(request: Any, progress: Any) -> Any:
        set_clock(jump)
        return run(request, progress)

    echo.run = jumping  # type: ignore[method-assign]
    with open_conversations(tmp_path / "talk.sqlite") as saver:
        agent, _ = build([SEGMENT], "Here.", saver=saver)
        out = agent.invoke(says("cut it out", picture), config)
        answer = out["messages"][-2]
        assert (answer.status, out["messages"][-1].text) == ("success", "Here.")
        assert 0 <= answer.artifact["seconds"] < 60  # measured by a clock that nobody sets
        set_clock(0)
        other: Any = {"configurable": {"thread_id": "other", "seed": 0}}
        build([SEGMENT], "Here.", saver=saver)[0].invoke(says("cut it out", picture), other)
    assert len(echo.requests) == 1  # the receipt holds
    assert list((tmp_path / "media" / "threads").iterdir()) == []  # and so do the locks: none is left


def test_who_waits_for_a_turn_waits_no_longer_and_no_less(set_clock) -> None:
    turns = Turns(patience=3600)
    with turns.enter("a", {}) as first, turns.enter("a", {}) as second:
        assert first.ready()
        for jump in (YEAR, -YEAR):
            set_clock(jump)
            assert not second.ready()  # and no BusyError
        first.leave()
        assert second.ready()
    impatient = Turns(patience=0)
    with impatient.enter("a", {}) as first, impatient.enter("a", {}) as second:
        assert first.ready()
        set_clock(-YEAR)
        with pytest.raises(BusyError):
            second.ready()
