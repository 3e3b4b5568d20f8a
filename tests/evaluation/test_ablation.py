"""The ablation: the same cases in every arm, specialists that hear what the arm allows, a page with its numbers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vitron_agent.errors import InputError
from vitron_agent.evaluation import runner
from vitron_agent.evaluation.ablation import ARMS, Ablation, Change, ablate, changes_of, executed, unsaid
from vitron_agent.evaluation.cases import Case, Step, Turn
from vitron_agent.evaluation.judge import StepVerdict, TurnVerdict, Verdict
from vitron_agent.evaluation.plans import PlanVerdict
from vitron_agent.evaluation.report import rate_row
from vitron_agent.evaluation.results_page import change_text, page, plot, write_page
from vitron_agent.evaluation.rows import Outcome
from vitron_agent.evaluation.sheets import Sample
from vitron_agent.evaluation.silent import SilentCaller
from vitron_agent.evaluation.wordless import NEUTRAL, Wordless
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import MediaKind
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.testing import ScriptedPlanner

DICTATED = "words-lose-dictated"


def outcome(number: int, right: bool = True, ran: bool = True, **errors: float) -> Outcome:
    step = StepVerdict(right, errors=errors or None)
    verdict = Verdict((TurnVerdict(True, ran, (step,) if ran else (), True),))
    return Outcome(
        Case(f"case-{number}", "shade", ()), verdict, PlanVerdict(True, ran, True), (0.1,), Sample("", (), right), {}
    )


class Listener:
    """Keeps what it is asked."""

    name, revision = "listener", "1"

    def __init__(self) -> None:
        self.heard: list[SpecialistRequest] = []

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        self.heard.append(request)
        return SpecialistResult(MediaKind.IMAGE, image=torch.zeros(3, 4, 4, dtype=torch.uint8))


def test_a_wordless_specialist_hears_boxes_and_the_tools_own_questions_only() -> None:
    inner = Listener()
    deaf = Wordless(inner)
    layout = (GroundedPhrase(phrase="red star", box=(0.1, 0.1, 0.5, 0.5)),)
    deaf.run(SpecialistRequest("a red star", layout=layout, seed=3))
    deaf.run(SpecialistRequest("the background"))
    first, second = inner.heard
    assert (first.command, first.layout[0].phrase, first.layout[0].box, first.seed) == (
        NEUTRAL,
        NEUTRAL,
        layout[0].box,
        3,
    )
    assert second.command == "the background"
    assert (deaf.name, deaf.revision) == ("listener", "1-wordless")


def test_changes_are_taken_case_by_case() -> None:
    text = [outcome(0, shade=0.2), outcome(1, shade=0.1), outcome(2, right=False), outcome(3, shade=0.4)]
    hybrid = [outcome(0, shade=0.1), outcome(1, shade=0.05), outcome(2, shade=9.0), outcome(3, ran=False, right=False)]
    found = {change.name: change for change in changes_of(DICTATED, hybrid, text)}
    assert found["execution rate"].value == -0.25
    assert found["task right"].value == 0.0
    shade = found["shade off, RGB distance"]
    assert (shade.value, shade.n) == (pytest.approx(-0.5), 2)  # of the two cases that both did
    assert shade.low == shade.high == pytest.approx(-0.5)
    assert found["speed off, factor less 1"].n == 0
    with pytest.raises(ValueError, match="other cases"):
        changes_of(DICTATED, hybrid, text[:3])


def test_a_call_that_never_ran_is_not_executed() -> None:
    assert executed(outcome(0, right=False))
    assert not executed(outcome(0, ran=False))
    broken = Outcome(
        Case("x", "shade", ()), Verdict((), "boom"), PlanVerdict(False, False, None), (), Sample("", (), False), {}
    )
    assert not executed(broken)


def test_every_arm_runs_the_same_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[runner.Job] = []

    def work(job: runner.Job) -> Outcome:
        asked.append(job)
        return outcome(job.index, shade=0.1 if job.signals and job.words else 0.2)

    monkeypatch.setattr(runner, "work", work)
    seen: list[tuple[str, int, int]] = []
    found = ablate("tiny", [DICTATED], 4, 7, 0, lambda *step: seen.append(step))
    arms = {(job.signals, job.words) for job in asked}
    assert arms == set(ARMS.values())
    assert len({tuple(j.case for j in asked if (j.signals, j.words) == arm) for arm in arms}) == 1
    assert seen[-1] == (f"{DICTATED}, hybrid", 4, 4)
    (shade,) = (c for c in found.changes["hybrid", "text"] if c.name.startswith("shade"))
    assert shade.value == pytest.approx(-0.5)
    assert (found.limit, found.seed) == (4, 7)


class Mistaken:
    """Takes every request for one that calls module B."""

    def letter(self, turn: Turn) -> str:
        return "B"


def test_without_words_a_wrong_module_is_not_executed() -> None:
    silent: Any = Mistaken()
    for letter, right in (("B", True), ("C", False)):
        asked = Case("case-1", "edit", (Turn("do it", ways=((Step(letter),),)),))
        found = unsaid(replace(outcome(1), case=asked), silent)
        assert (executed(found), found.verdict.right) == (right, right)
    assert not executed(unsaid(replace(outcome(1, ran=False, right=False), case=asked), silent))


def test_what_the_module_is_read_off_is_asked_of_the_arm_without_words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "work", lambda job: replace(outcome(job.index), case=job.case))
    monkeypatch.setattr(runner, "planner_of", lambda profile: None)
    monkeypatch.setattr(SilentCaller, "fitted", lambda planner, seed: Mistaken())
    found = ablate("tiny", ["generation"], 3, 7, 0)
    rates = {arm: next(row.value for row in rows if row.name == "execution rate") for arm, rows in found.rows.items()}
    assert rates == {"text": 1, "embeddings": 0, "hybrid": 1}


def test_suites_without_signals_and_bad_limits_are_refused() -> None:
    with pytest.raises(InputError, match="'questions' has no message passing to compare: choose from generation"):
        ablate("tiny", ["questions"])
    with pytest.raises(InputError, match="limit 0"):
        ablate("tiny", limit=0)


def measured(right: Sequence[bool] = (True, False)) -> Ablation:
    rows = {arm: (rate_row("edit", "execution rate", [True]), rate_row("edit", "task right", right)) for arm in ARMS}
    sure, unsure = Change("edit", "task right", 0.3, 0.1, 0.5, 20), Change("edit", "none", float("nan"), 0, 0, 0)
    return Ablation("tiny", 5, 20, rows, {("hybrid", "text"): (sure, unsure)})


def test_the_page_holds_the_numbers_and_says_what_they_are(tmp_path: Path) -> None:
    path = write_page(measured(), tmp_path / "docs")
    text = path.read_text(encoding="utf-8")
    assert "evaluate --ablation --limit 20 --seed 5" in text
    assert "| edit | task right | 2 | 50.0% (9.5-90.5) | 50.0% (9.5-90.5) | 50.0% (9.5-90.5) |" in text
    assert "| edit | task right | 20 | +30.0% (+10.0 to +50.0) | beyond its interval |" in text
    assert "| edit | none | 0 | - |  |" in text
    assert "![" in text
    assert (tmp_path / "docs" / "results.png").is_file()
    assert text == page(measured())
    (tmp_path / "docs" / "synergy.md").touch()
    assert write_page(measured(), tmp_path / "docs").read_text(encoding="utf-8").startswith(text)
    assert "(synergy.md)" in path.read_text(encoding="utf-8").removeprefix(text)
    few = replace(measured(), changes={("hybrid", "text"): (Change("edit", "task right", 0.3, 0.3, 0.3, 2),)})
    assert "beyond" not in page(few)
    assert change_text(Change("x", "y", -0.4, -0.5, -0.3, 9)) == "-40.0% (-50.0 to -30.0)"


def test_the_bars_are_as_high_as_the_rates() -> None:
    high, low = (plot(measured(right)) for right in ((True,) * 4, (True, False, False, False)))
    blue = [
        sum(count for count, colour in picture.getcolors(1 << 20) if colour == (50, 120, 200))
        for picture in (high, low)
    ]
    assert blue[0] > blue[1] > 0


def test_words_are_withheld_from_the_profiles_specialists(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(runner, "build_agent", lambda *a, **k: given.append(k["specialists"]))
    monkeypatch.setattr(runner, "_specialist", lambda profile, name: Listener())
    monkeypatch.setattr(runner, "_store", lambda: None)
    for words in (False, True):
        runner._built("tiny", True, words, ScriptedPlanner(replies=[]))
    assert set(given[0]) == {"gligen", "gligen_inpaint", "seem", "i2vgen_xl"}
    assert all(isinstance(make(), Wordless) for make in given[0].values())
    assert given[1] == {}
