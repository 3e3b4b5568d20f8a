"""Message passing, measured: what specialists make of the words alone, of the embeddings alone, and of both.

After VITRON's figure 4: per suite the execution rate (the right calls were made and ran) and the task's score, on the
same cases in every arm, so that differences are taken case by case. Writing the page is results_page.py's business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vitron_agent.errors import InputError
from vitron_agent.evaluation import runner
from vitron_agent.evaluation.metrics import bootstrap, mean
from vitron_agent.evaluation.report import Row, mean_row, rate_row
from vitron_agent.evaluation.rows import ERRORS, Outcome
from vitron_agent.evaluation.silent import SilentCaller
from vitron_agent.evaluation.suites import SUITES
from vitron_agent.locations import loadable

ARMS: dict[str, tuple[bool, bool]] = {"text": (False, True), "embeddings": (True, False), "hybrid": (True, True)}
"""Name of the arm -> whether specialists get embeddings, and words."""
ABLATED = (
    *("generation", "segmentation-text", "segmentation-region", "edit", "tracking-text", "animation"),
    "words-lose-dictated",
)
"""Suites in which signals reach a specialist that has a mapper, one for each such tool, and what words cannot say."""


@dataclass(frozen=True)
class Change:
    """How an arm differs from another on the same cases.

    Attributes:
        suite: Which suite.
        name: What was measured.
        value: Difference of rates, or for an error the change as a share of the other arm's: -0.4 is 40% less.
        low: Lower end of the 95% interval.
        high: Upper end.
        n: Cases that both arms can be compared on.
    """

    suite: str
    name: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Ablation:
    """The whole measurement.

    Attributes:
        profile: What was measured.
        seed: Of cases and runs.
        limit: Cases per suite.
        rows: Arm -> rows, the same in every arm.
        changes: (arm, other arm) -> how they differ.
    """

    profile: str
    seed: int
    limit: int
    rows: dict[str, tuple[Row, ...]]
    changes: dict[tuple[str, str], tuple[Change, ...]]


def ablate(
    profile: str,
    suites: Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: runner.Progress = runner.ignore_progress,
) -> Ablation:
    """Run every suite in every arm.

    Args:
        profile: Its name.
        suites: Of `ABLATED`; None for all.
        limit: Cases per suite and arm, None for 100.
        seed: Another seed draws other cases.
        workers: Processes; 0 for none but this one.
        progress: Called after each case.

    Raises:
        InputError: A suite is unknown or has nothing to ablate, or the limit is below 1.
        CheckpointError: Weights are missing.
    """
    chosen, count = tuple(suites or ABLATED), 100 if limit is None else limit
    for name in chosen:
        if name not in ABLATED:
            raise InputError(f"suite {name[:60]!r} has no message passing to compare: choose from {', '.join(ABLATED)}")
    if count < 1:
        raise InputError(f"limit {count} is too low: evaluate at least 1 case per suite")
    loadable(profile)
    found: dict[str, dict[str, list[Outcome]]] = {arm: {} for arm in ARMS}
    with runner.worker_pool(workers) as run:
        for name in chosen:
            for arm, (signals, words) in ARMS.items():
                found[arm][name] = _outcomes(
                    run, profile, name, (signals, words), seed, count, f"{name}, {arm}", progress
                )
    planned = [name for name in chosen if not SUITES[name].dictated]
    if planned:
        silent = SilentCaller.fitted(runner.planner_of(profile), seed)
        for name in planned:
            found["embeddings"][name] = [unsaid(outcome, silent) for outcome in found["embeddings"][name]]
    rows = {arm: tuple(row for name in chosen for row in rows_of(name, found[arm][name])) for arm in ARMS}
    pairs = [("hybrid", "text"), ("hybrid", "embeddings")]
    changes = {
        (arm, other): tuple(c for name in chosen for c in changes_of(name, found[arm][name], found[other][name]))
        for arm, other in pairs
    }
    return Ablation(profile, seed, count, rows, changes)


def _outcomes(
    run: Callable[..., Any],
    profile: str,
    suite: str,
    arm: tuple[bool, bool],
    seed: int,
    count: int,
    title: str,
    progress: runner.Progress,
) -> list[Outcome]:
    jobs = runner.jobs_of(profile, suite, arm[0], seed, count, arm[1])
    outcomes = []
    for outcome in run(runner.work, jobs):
        outcomes.append(outcome)
        progress(title, len(outcomes), len(jobs))
    return outcomes


def unsaid(outcome: Outcome, silent: SilentCaller) -> Outcome:
    """What comes of a case where the module is read off embeddings: as it was, or the wrong call if that is wrong."""
    first = outcome.verdict.turns[0] if outcome.verdict.turns else None
    ways = {way[0].letter if way else "" for way in outcome.case.turns[0].ways}
    if first is None or silent.letter(outcome.case.turns[0]) in ways:
        return outcome
    wrong = replace(first, module=False, steps=())
    return replace(outcome, verdict=replace(outcome.verdict, turns=(wrong, *outcome.verdict.turns[1:])))


def executed(outcome: Outcome) -> bool:
    """Whether the right calls were made, could be read, and ran."""
    turns = outcome.verdict.turns
    return outcome.verdict.error is None and bool(turns) and all(turn.module and turn.well_formed for turn in turns)


def _errors(suite: str) -> tuple[str, ...]:
    return tuple(ERRORS) if SUITES[suite].dictated else ()


def _off(outcome: Outcome, name: str) -> float | None:
    return (outcome.first.errors or {}).get(name) if outcome.verdict.right else None


def rows_of(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """Execution rate, score, and how far off results by an example are."""
    found = [
        rate_row(suite, "execution rate", [executed(outcome) for outcome in outcomes]),
        rate_row(suite, "task right", [outcome.verdict.right for outcome in outcomes]),
    ]
    for name in _errors(suite):
        off = [error for outcome in outcomes if (error := _off(outcome, name)) is not None]
        found.append(mean_row(suite, ERRORS[name], off, "error"))
    return found


def changes_of(suite: str, arm: Sequence[Outcome], other: Sequence[Outcome]) -> list[Change]:
    """How two arms differ, case by case; errors on the cases that both did.

    Raises:
        ValueError: They do not hold the same cases.
    """
    if [outcome.case.name for outcome in arm] != [outcome.case.name for outcome in other]:
        raise ValueError(f"the arms of {suite} hold other cases: run both with one seed and one limit")
    pairs = list(zip(arm, other, strict=True))
    found = []
    for name, is_so in (("execution rate", executed), ("task right", lambda outcome: outcome.verdict.right)):
        steps = [float(is_so(a)) - float(is_so(b)) for a, b in pairs]
        found.append(Change(suite, name, mean(steps), *bootstrap(steps, mean), len(steps)))
    for name in _errors(suite):
        both = [(x, y) for a, b in pairs if (x := _off(a, name)) is not None and (y := _off(b, name)) is not None]
        low, high = bootstrap(both, _share)
        found.append(Change(suite, ERRORS[name], _share(both), low, high, len(both)))
    return found


def _share(both: Sequence[tuple[float, float]]) -> float:
    """How much less or more the first errors are, as a share of the second; NaN of nothing."""
    second = sum(pair[1] for pair in both)
    return sum(pair[0] for pair in both) / second - 1 if second else float("nan")
