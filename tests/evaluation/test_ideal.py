"""An ideal agent is judged right in every task, through the real graph and tools; an erring one is not."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from vitron_agent.evaluation.drive import drive
from vitron_agent.evaluation.heldout import case_of, heldout_cases
from vitron_agent.evaluation.judge import judge
from vitron_agent.evaluation.plans import judge_plan
from vitron_agent.graphs.agent import Agent
from vitron_agent.media import MediaStore
from vitron_agent.shapes.tasks import TASKS, TRACK_ALIKE, Conversation, sample_conversation


@pytest.mark.parametrize("task", [*TASKS, TRACK_ALIKE])
def test_the_ideal_agent_is_right(task: str, ideal_agent: Callable[[Conversation], Agent], store: MediaStore) -> None:
    for index in range(4):
        conversation = sample_conversation(random.Random(f"ideal {task} {index}"), "heldout", task)
        case = case_of(conversation, f"{task} {index}")
        record = drive(ideal_agent(conversation), store, case)
        verdict, plan = judge(case, record), judge_plan(case, record)
        assert verdict.right, (case, record, verdict)
        assert (plan.well_formed, plan.module, plan.command is not False) == (True, True, True), (case, record)


@pytest.mark.parametrize(
    "task", ["draw", "segment", "edit", "ask", "chain", "track", "edit_video", "ask_video", "film", "animate"]
)
def test_an_agent_that_answers_another_request_is_wrong(
    task: str, ideal_agent: Callable[[Conversation], Agent], store: MediaStore
) -> None:
    other = sample_conversation(random.Random(f"other {task}"), "heldout", "draw" if task != "draw" else "ask")
    case = heldout_cases(task, 1, 0)[0]
    record = drive(ideal_agent(other), store, case)
    assert not judge(case, record).right
    assert not judge_plan(case, record).command


def test_an_agent_that_only_talks_is_wrong_where_a_call_is_due(
    scripted_agent: Callable[[list[Any]], Agent], store: MediaStore
) -> None:
    case = heldout_cases("edit", 1, 0)[0]
    verdict = judge(case, drive(scripted_agent(["Done: it is all changed."]), store, case))
    assert not verdict.right
    assert not verdict.turns[0].module


def test_heldout_cases_are_the_same_every_time_and_differ_by_seed() -> None:
    def texts(seed: int) -> list[str]:
        return [case.turns[0].say for case in heldout_cases("draw", 5, seed)]

    assert texts(0) == texts(0)
    assert texts(0) != texts(1)


def test_only_accepted_cases_come() -> None:
    cases = heldout_cases("chain", 3, 0, lambda case: case.requests == 3)
    assert [case.requests for case in cases] == [3, 3, 3]


def test_the_mark_of_a_region_is_not_typed() -> None:
    cases = heldout_cases("segment_region", 20, 0)
    assert all(not case.turns[0].say.endswith("<objs>") for case in cases)
    assert all(case.turns[0].region is not None for case in cases)
