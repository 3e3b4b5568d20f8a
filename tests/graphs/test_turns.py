"""The queue of turns by itself; tests/graphs/test_agent.py has it around a graph."""

import threading
from pathlib import Path

import pytest

from vitron_agent.errors import BusyError
from vitron_agent.graphs.turns import Turns


def test_turns_on_one_thread_run_in_their_order(tmp_path: Path) -> None:
    turns = Turns(tmp_path)
    with turns.enter("a", {}) as first, turns.enter("a", {}) as second, turns.enter("a", {}) as third:
        assert [first.ready(), second.ready(), third.ready()] == [True, False, False]
        first.leave()
        assert [third.ready(), second.ready()] == [False, True]


def test_turns_on_other_threads_do_not_wait() -> None:
    turns = Turns()
    with turns.enter("a", {}) as a, turns.enter("b", {}) as b, turns.enter(None, {}) as c, turns.enter(None, {}) as d:
        assert all(turn.ready() for turn in (a, b, c, d))


def test_a_lock_file_holds_other_processes_off_and_goes_away(tmp_path: Path) -> None:
    mine, theirs = Turns(tmp_path), Turns(tmp_path)  # an own open file each, as in two processes
    with mine.enter("a", {}) as first, theirs.enter("a", {}) as second:
        assert (first.ready(), second.ready()) == (True, False)
        first.leave()
        assert second.ready()
    assert list(tmp_path.iterdir()) == []


def test_who_waits_too_long_is_told() -> None:
    turns = Turns(patience=0)
    with turns.enter("a", {}) as first, turns.enter("a", {}) as second:
        assert first.ready()
        with pytest.raises(BusyError, match="thread 'a' is still at work on another turn: wait, stop that turn"):
            second.ready()


def test_leaving_stops_what_still_works_for_it_but_not_the_callers_event() -> None:
    given = threading.Event()
    turns = Turns()
    with turns.enter("a", {}) as own, turns.enter("b", {"configurable": {"stop": given}}) as lent:
        assert lent.stop is given
    assert (own.stop.is_set(), given.is_set()) == (True, False)
