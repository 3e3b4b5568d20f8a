"""Rows are counted from verdicts: what is missing counts against, and means stand on what they say."""

import pytest

from vitron_agent.evaluation.cases import Case
from vitron_agent.evaluation.films import FilmCheck
from vitron_agent.evaluation.judge import StepVerdict, TurnVerdict, Verdict
from vitron_agent.evaluation.made import MadeCheck
from vitron_agent.evaluation.plans import PlanVerdict
from vitron_agent.evaluation.report import Row
from vitron_agent.evaluation.rows import (
    Outcome,
    animation_rows,
    film_question_rows,
    film_rows,
    made_rows,
    tracking_rows,
)
from vitron_agent.evaluation.sheets import Sample


def _outcome(kind: str, *steps: StepVerdict, answer: bool = True) -> Outcome:
    verdict = Verdict((TurnVerdict(True, True, steps, answer),))
    plan, sample = PlanVerdict(True, True, True), Sample("", (), verdict.right)
    return Outcome(Case("case", kind, ()), verdict, plan, (0.5,), sample, {})


def _by_name(rows: list[Row]) -> dict[str, Row]:
    return {row.name.strip(): row for row in rows}


def test_a_track_that_was_not_made_counts_nothing() -> None:
    outcomes = [_outcome("x", StepVerdict(True, tracked=0.9)), _outcome("x", StepVerdict(False))]
    rows = _by_name(tracking_rows(0.75)("tracking-alike", outcomes))
    assert (rows["J&F"].value, rows["J&F"].target, rows["J&F"].n) == (pytest.approx(0.45), 0.75, 2)
    assert rows["J&F above 0.75"].value == 0.5


def test_edits_of_videos_are_counted_by_kind_with_their_means() -> None:
    outcomes = [
        _outcome("recolour", StepVerdict(True, film=FilmCheck(True, True, 40.0))),
        _outcome("recolour", StepVerdict(False, film=FilmCheck(False, False, 20.0))),
        _outcome("both", StepVerdict(True, film=FilmCheck(True, True, None))),
        _outcome("background", StepVerdict(False)),  # no video came
    ]
    rows = _by_name(film_rows("video-edit", outcomes))
    assert (rows["does what was asked"].value, rows["does what was asked"].target) == (0.5, 0.8)
    assert (rows["recolour"].value, rows["both"].value, rows["background"].value) == (0.5, 1.0, 0.0)
    clean, motion = rows["PSNR untouched, where done"], rows["motion kept, where a video came"]
    assert (clean.value, clean.n, clean.met) == (40.0, 1, True)
    assert (motion.value, motion.n, motion.target) == (pytest.approx(2 / 3), 3, 0.9)


def test_videos_of_words_are_counted_in_parts_and_by_kind() -> None:
    outcomes = [
        _outcome("left", StepVerdict(True, made=MadeCheck(True, True, True))),
        _outcome("left", StepVerdict(False, made=MadeCheck(True, False, True))),
        _outcome("grow", StepVerdict(False, made=MadeCheck(True, True, False))),
        _outcome("grow", StepVerdict(False)),  # no video came
    ]
    rows = _by_name(made_rows("video-generation", outcomes))
    for name in ("object and background right", "motion right"):
        assert (rows[name].value, rows[name].n, rows[name].target) == (0.5, 4, 0.85)
    assert (rows["everything"].value, rows["left"].value, rows["grow"].value) == (0.25, 0.5, 0.0)


def test_videos_of_pictures_are_counted_in_parts_with_the_mean_of_their_first_frames() -> None:
    outcomes = [
        _outcome("left", StepVerdict(True, made=MadeCheck(True, True, True, first_psnr=32.0))),
        _outcome("left", StepVerdict(False, made=MadeCheck(False, True, True, first_psnr=20.0))),
        _outcome("left", StepVerdict(False)),  # no video came
    ]
    rows = _by_name(animation_rows("animation", outcomes))
    first, kept, moved = (
        rows[n] for n in ("PSNR of the first frame, where a video came", "object kept", "motion right")
    )
    assert (first.value, first.n, first.target, first.met) == (26.0, 2, 28.0, False)
    assert (kept.value, kept.n, kept.target) == (pytest.approx(1 / 3), 3, 0.9)
    assert (moved.value, moved.n, moved.target) == (pytest.approx(2 / 3), 3, 0.85)
    assert rows["everything"].value == pytest.approx(1 / 3)


def test_questions_about_motion_stand_apart() -> None:
    outcomes = [_outcome("way"), _outcome("where end", answer=False), _outcome("colour"), _outcome("where start")]
    rows = _by_name(film_question_rows("video-questions", outcomes))
    assert (rows["answered right"].value, rows["answered right"].target) == (0.75, 0.92)
    assert (rows["about motion and events"].value, rows["about motion and events"].n) == (0.5, 2)
    assert (rows["about the first frame"].value, rows["about the first frame"].n) == (1.0, 2)
