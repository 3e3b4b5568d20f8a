"""Requests by an example: what words leave out is measured through the real graph and tools, and rows report it."""

import random
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from vitron_agent.evaluation.drive import CaseRecord, drive, picture_of
from vitron_agent.evaluation.judge import judge
from vitron_agent.evaluation.likeness import MEASURES, like_case, like_cases
from vitron_agent.evaluation.plans import judge_plan
from vitron_agent.evaluation.rows import Outcome, like_rows
from vitron_agent.evaluation.sheets import Sample
from vitron_agent.graphs import make_agent
from vitron_agent.graphs.agent import Agent
from vitron_agent.media import MediaKind, MediaStore
from vitron_agent.shapes.clip import Clip, frames_of
from vitron_agent.shapes.scene import Scene
from vitron_agent.shapes.tasks import Conversation
from vitron_agent.shapes.tasks_like import LIKE_TASKS, sample_like
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.testing import ScriptedPlanner
from vitron_agent.tools import Residents, Toolbox, make_tools

from .conftest import IdealSpecialist, script


@dataclass
class Exact:
    """An editor and animator that makes exactly what the example asks for, whatever the words leave out."""

    outcome: Scene | Clip
    name: str = "exact"
    revision: str = "0"

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        if isinstance(self.outcome, Clip):
            return SpecialistResult(MediaKind.VIDEO, video=frames_of(self.outcome))
        image = torch.where(request.mask, picture_of(self.outcome), request.image)
        return SpecialistResult(MediaKind.IMAGE, image=image, mask=request.mask)


def agent_of(talk: Conversation, store: MediaStore, editor: object) -> Agent:
    """The real graph with a planner that makes the right call, and an editor."""
    ideal = IdealSpecialist()
    residents = Residents({"seem": lambda: ideal, "gligen_inpaint": lambda: editor, "i2vgen_xl": lambda: editor})
    return make_agent(ScriptedPlanner(replies=script(talk)), make_tools(Toolbox(store, residents)), store)


def draw(kind: str, index: int) -> Conversation:
    return sample_like(random.Random(f"likeness {kind} {index}"), "heldout", kind)


def outcome_of(talk: Conversation, record: CaseRecord) -> Outcome:
    case = like_case(talk, "case")
    return Outcome(case, judge(case, record), judge_plan(case, record), (0.1,), Sample("", (), True), {})


@pytest.mark.parametrize("kind", LIKE_TASKS)
def test_who_makes_exactly_the_example_is_not_off(kind: str, store: MediaStore) -> None:
    for index in range(2):
        talk = draw(kind, index)
        outcome = talk.turns[1].facts.get("clip", talk.turns[1].facts["after"])
        record = drive(agent_of(talk, store, Exact(outcome)), store, like_case(talk, "case"))
        found = outcome_of(talk, record)
        assert found.verdict.right, (talk, record)
        assert (found.plan.module, found.plan.command) == (True, True)
        assert found.first.errors is not None
        assert set(found.first.errors) == set(MEASURES[kind])
        assert found.first.errors.get("shade", 0) < 0.03
        assert found.first.errors.get("place", 0) < 0.02
        assert found.first.errors.get("size", 0) < 0.15  # at the mask's edge a star's points may be cut
        assert found.first.errors.get("speed", 0) < 0.1
        assert found.first.errors.get("reach", 0) < 0.02


@pytest.mark.parametrize(("kind", "measure", "least"), [("shade", "shade", 0.05), ("size", "size", 0.04)])
def test_who_goes_by_the_words_alone_is_off_by_what_they_leave_out(
    kind: str, measure: str, least: float, store: MediaStore
) -> None:
    errors = []
    for index in range(5):
        talk = draw(kind, index)
        found = outcome_of(talk, drive(agent_of(talk, store, IdealSpecialist()), store, like_case(talk, "case")))
        assert found.first.errors is not None, talk
        errors.append(found.first.errors[measure])
    assert sum(errors) / len(errors) > least


def test_what_was_not_done_has_no_error_and_counts_against(store: MediaStore) -> None:
    done, not_done = draw("shade", 0), draw("shade", 1)
    records = [
        drive(agent_of(talk, store, Exact(talk.turns[1].facts[key])), store, like_case(talk, "case"))
        for talk, key in ((done, "after"), (not_done, "before"))
    ]
    outcomes = [outcome_of(talk, record) for talk, record in zip((done, not_done), records, strict=True)]
    rows = {row.name.strip(): row for row in like_rows("words-lose", outcomes)}
    assert rows["shade: done"].value == 0.5
    off = rows["shade: shade off, RGB distance"]
    assert (off.n, off.unit) == (1, "error")
    assert off.value < 0.03
    assert rows["shade: shade off, RGB distance, median"].value == off.value


def test_cases_come_of_each_kind_in_turn_and_are_held_out() -> None:
    cases = like_cases(2 * len(LIKE_TASKS), 0)
    assert [case.kind for case in cases] == [*LIKE_TASKS, *LIKE_TASKS]
    assert like_cases(3, 0) == cases[:3]
    assert like_cases(3, 1) != cases[:3]


def test_an_edit_of_another_picture_is_wrong(store: MediaStore, tmp_path: Path) -> None:
    talk = draw("picture", 0)
    first = talk.turns[1].invocation
    assert first is not None
    reply = talk.turns[1]
    other = Conversation(
        (
            talk.turns[0],
            type(reply)("assistant", reply.text, invocation=first.model_copy(update={"media": 1}), facts=reply.facts),
            *talk.turns[2:],
        ),
        talk.task,
        talk.template_ids,
    )
    editor = Exact(talk.turns[1].facts["after"])
    found = outcome_of(talk, drive(agent_of(other, store, editor), store, like_case(talk, "case")))
    assert not found.verdict.right
    assert found.plan.command is False
