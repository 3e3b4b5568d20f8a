"""Ctrl-C in the middle of a turn, as in a notebook: the work stops, and the conversation goes on."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver

from tests.graphs.states import kinds
from vitron_agent.graphs import user_turn
from vitron_agent.graphs.nodes import error_of
from vitron_agent.testing import EchoSpecialist, call

RED, BLUE = (call("segment_image", command=f"the {colour} circle") for colour in ("red", "blue"))


def says(text: str, *pictures: str) -> Any:
    return {"messages": [user_turn(text, pictures)]}


def ctrl_c() -> None:
    """Do what a terminal or a notebook's stop button does, wherever it is called."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


STEPS = 500


class AtWork(threading.Event):
    """Set once work is well under way; `step` counts its steps."""

    step = 0


def slowly(echo: EchoSpecialist) -> AtWork:
    """Make an echo specialist take `STEPS` steps of 10 ms; the event is set once it is well at work.

    Not at its first step: Python loses a signal's wake-up where the main thread is just about to wait for the worker.
    """
    run, at_work = echo.run, AtWork()

    def slow(request: Any, progress: Any) -> Any:
        for step in range(STEPS):
            progress(step + 1, STEPS)
            at_work.step += 1
            if step == 20:
                at_work.set()
            time.sleep(0.01)
        return run(request)

    echo.run = slow  # type: ignore[method-assign]
    return at_work


def when(event: threading.Event, act: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=lambda: event.wait(20) and act())
    thread.start()
    return thread


@pytest.mark.parametrize(("calls", "mode"), [([RED], "values"), ([RED, BLUE], "values"), ([RED], "custom")])
def test_the_work_stops_and_the_conversation_goes_on(
    build, echo: EchoSpecialist, picture: str, config: Any, calls: list[Any], mode: str
) -> None:
    agent, planner = build(calls, "Here.", saver=InMemorySaver())
    at_work, before = slowly(echo), signal.getsignal(signal.SIGINT)
    interrupter = when(at_work, ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        list(agent.stream(says("cut it out", picture), config, stream_mode=mode))
    interrupter.join()
    assert at_work.step < STEPS  # nobody waits for the work
    assert signal.getsignal(signal.SIGINT) is before
    planner.replies = ["Yes?"]
    out = agent.invoke(says("hello?"), config)
    assert kinds(out) == f"human ai {'error ' * len(calls)}human ai"  # the lost calls are answered
    assert echo.requests == []


def test_a_planner_is_interrupted_between_two_words(build, config: Any) -> None:
    class Impatient(BaseCallbackHandler):
        heard = 0
        raise_error = True

        def on_llm_new_token(self, token: Any, **_: Any) -> None:
            self.heard += 1
            if self.heard == 3:
                ctrl_c()

    agent, planner = build(["word "] * 500, saver=InMemorySaver())
    impatient = Impatient()
    with pytest.raises(KeyboardInterrupt):
        agent.invoke(says("talk"), {**config, "callbacks": [impatient]})
    assert impatient.heard < 10
    planner.replies = ["Yes?"]
    assert agent.invoke(says("hello?"), config)["messages"][-1].text == "Yes?"


def test_an_interrupt_between_two_parts_lets_the_next_turn_run(build, echo, picture: str, config: Any) -> None:
    agent, planner = build([RED], "Here.", saver=InMemorySaver())
    agent.turns.patience = 1
    slowly(echo)

    def cell() -> None:
        for part in agent.stream(says("cut it out", picture), config, stream_mode="custom"):
            if part["type"] == "vitron.progress":
                ctrl_c()

    with pytest.raises(KeyboardInterrupt):  # pytest keeps the traceback, as a notebook does
        cell()
    planner.replies = ["Yes?"]
    assert kinds(agent.invoke(says("hello?"), config)) == "human ai error human ai"
    assert echo.requests == []


def test_a_turn_that_waits_is_interrupted_and_leaves_the_queue(build, config: Any) -> None:
    agent, _ = build("Hello.", saver=InMemorySaver())
    first = agent.stream(says("first"), config)
    next(first)
    waiting = threading.Timer(0.2, ctrl_c)
    waiting.start()
    with pytest.raises(KeyboardInterrupt):
        agent.invoke(says("second"), config)
    list(first)
    assert kinds(agent.get_state(config).values) == "human ai"
    assert kinds(agent.invoke(says("third"), config)) == "human ai human ai"


def test_a_programs_own_handler_is_asked_and_the_turn_ends_in_words(
    build, echo: EchoSpecialist, picture: str, config: Any
) -> None:
    agent, _ = build([RED], "Here.", saver=InMemorySaver())
    interrupter = when(slowly(echo), ctrl_c)
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        out = agent.invoke(says("cut it out", picture), config)
    finally:
        signal.signal(signal.SIGINT, before)
    interrupter.join()
    assert asked == [signal.SIGINT]
    assert error_of(out["messages"][-1])["type"] == "Cancelled"


def test_a_handler_that_was_changed_on_the_way_stays(build, echo, picture: str, config: Any) -> None:
    agent, _ = build([RED], saver=InMemorySaver())

    def second(number: int, frame: Any) -> None: ...

    interrupter = when(slowly(echo), ctrl_c)
    before = signal.signal(signal.SIGINT, lambda number, frame: signal.signal(signal.SIGINT, second))
    try:
        agent.invoke(says("cut it out", picture), config)
        assert signal.getsignal(signal.SIGINT) is second
    finally:
        signal.signal(signal.SIGINT, before)
    interrupter.join()


def test_other_threads_change_no_handler(build) -> None:
    before, seen = signal.getsignal(signal.SIGINT), []
    agent, _ = build(lambda messages: seen.append(signal.getsignal(signal.SIGINT)) or "Hello.")
    thread = threading.Thread(target=lambda: agent.invoke(says("hi")))
    thread.start()
    thread.join()
    assert seen == [before]
