"""Runs an evaluation: cases through the agent on several processes, rows, sample sheets and the list of failures.

Each process has its own agent, media store and single-threaded torch: two processes use two cores better than one
process with two threads does at this size.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import torch
from langchain_core.language_models import BaseChatModel

from vitron_agent.build import build_agent, build_planner, build_specialist
from vitron_agent.errors import InputError
from vitron_agent.evaluation import specialists
from vitron_agent.evaluation.cases import Case
from vitron_agent.evaluation.dictated import DictatedPlanner
from vitron_agent.evaluation.drive import drive
from vitron_agent.evaluation.judge import judge
from vitron_agent.evaluation.plans import judge_plan
from vitron_agent.evaluation.report import Report, Row
from vitron_agent.evaluation.rows import Outcome
from vitron_agent.evaluation.samples import account_of, sample_of
from vitron_agent.evaluation.sheets import Sample, save_sheet
from vitron_agent.evaluation.suites import DEFAULT_COUNT, SUITES
from vitron_agent.evaluation.trials import Trial
from vitron_agent.evaluation.wordless import Wordless
from vitron_agent.graphs.agent import Agent
from vitron_agent.locations import loadable
from vitron_agent.media import MediaStore
from vitron_agent.parts import Profile
from vitron_agent.planner import VitronPlanner
from vitron_agent.planner.chat import ChatVitron
from vitron_agent.specialists.base import Specialist

SignalChoice = Literal["on", "off", "both"]
WORDED = ("gligen", "gligen_inpaint", "seem", "i2vgen_xl")
"""Specialists of the tiny profile that are told words."""
Progress = Callable[[str, int, int], None]
"""Called as (suite and setting, cases done, cases in all)."""


def suite_names() -> tuple[str, ...]:
    """All suites in the report's order."""
    return (*SUITES, *specialists.TRIALS)


def ignore_progress(suite: str, done: int, total: int) -> None:
    """Watch nothing."""


@dataclass(frozen=True)
class Job:
    """One case, or one index of a specialist's trials, for a worker.

    Attributes:
        profile: Whose weights.
        suite: Name of the suite.
        signals: Whether specialists get the planner's embeddings.
        seed: Of the evaluation.
        index: Of the case.
        case: None for a specialist's trial.
        words: Whether specialists get the planner's words.
    """

    profile: str
    suite: str
    signals: bool
    seed: int
    index: int
    case: Case | None = None
    words: bool = True


@lru_cache(maxsize=1)
def _store() -> MediaStore:
    """This process's media store; the folder goes when the process ends."""
    torch.set_num_threads(1)
    folder = tempfile.TemporaryDirectory(prefix="vitron-evaluation-")
    _FOLDERS.append(folder)  # kept, or it would be removed at once
    return MediaStore(Path(folder.name))


_FOLDERS: list[Any] = []


@lru_cache(maxsize=3)
def _agent(profile: str, signals: bool, sees_frames: bool = True, words: bool = True) -> Agent:
    planner = build_planner(profile, _store(), signals)
    if not sees_frames:
        assert isinstance(planner, ChatVitron)  # as all planners of profiles
        planner = planner.model_copy(update={"planner": planner.planner.without_frames()})
    return _built(profile, signals, words, planner)


def _built(profile: str, signals: bool, words: bool, planner: BaseChatModel) -> Agent:
    """The agent around a planner; without words, around specialists that do not hear them."""
    deaf = {} if words else {name: partial(_wordless, profile, name) for name in WORDED}
    return build_agent(profile, use_signals=signals, store=_store(), planner=planner, specialists=deaf)


def _wordless(profile: str, name: str) -> Specialist:
    return Wordless(_specialist(profile, name))


def planner_of(profile: str) -> VitronPlanner:
    """A profile's planner, without its chat model.

    Raises:
        CheckpointError: Its weights are missing, damaged or of another shape.
    """
    planner = build_planner(profile, _store())
    assert isinstance(planner, ChatVitron)  # as all planners of profiles
    return planner.planner


@lru_cache(maxsize=1)
def _dictated(profile: str) -> DictatedPlanner:
    return DictatedPlanner(planner_of(profile))


@lru_cache(maxsize=3)
def _dictated_agent(profile: str, signals: bool, words: bool = True) -> Agent:
    planner = ChatVitron(planner=_dictated(profile), store=_store(), use_signals=signals)
    return _built(profile, signals, words, planner)


def _agent_for(job: Job, case: Case) -> Agent:
    """The agent that answers a case; where the right call is dictated, it knows it."""
    suite = SUITES[job.suite]
    if not suite.dictated:
        return _agent(job.profile, job.signals, suite.sees_frames, job.words)
    (step,) = case.turns[0].ways[0]
    assert step.like is not None  # only requests by an example are dictated
    _dictated(job.profile).call = step.like.call
    return _dictated_agent(job.profile, job.signals, job.words)


@lru_cache(maxsize=4)
def _specialist(profile: str, name: str) -> Specialist:
    torch.set_num_threads(1)
    return build_specialist(name, profile)


def work(job: Job) -> Outcome | list[Trial]:
    """Do one job, in whatever process this is."""
    if job.case is None:
        return specialists.TRIALS[job.suite](lambda name: _specialist(job.profile, name), job.index, job.seed)
    suite = SUITES[job.suite]
    record = drive(_agent_for(job, job.case), _store(), job.case, suite.plan_only)
    seconds = tuple(turn.seconds for turn in record.turns)
    plan = judge_plan(job.case, record)
    verdict = judge(job.case, record)
    right = plan.module and plan.command is not False if suite.plan_only else verdict.right
    sample, account = sample_of(job.case, record, right), account_of(job.case, record, right)
    return Outcome(job.case, verdict, plan, seconds, sample, account)


def evaluate(
    profile: str,
    suites: Sequence[str] | None = None,
    limit: int | None = None,
    out: Path | None = None,
    seed: int = 0,
    signals: SignalChoice = "on",
    workers: int | None = None,
    progress: Progress = ignore_progress,
) -> Report:
    """Evaluate a profile. Trials of an extra whose weights are missing are left out, and the report says so.

    Args:
        profile: Its name.
        suites: Names from `suite_names`; None for all.
        limit: Cases per suite, None for 200, or 150 about videos.
        out: Folder for report.json and one sample sheet per suite; None writes nothing.
        seed: Another seed draws other cases.
        signals: Whether specialists get the planner's embeddings; "both" measures both.
        workers: Processes; None for one per core, at most two; 0 for none but this one.
        progress: Called after each case.

    Raises:
        InputError: A suite is unknown, or the limit is below 1.
        CheckpointError: Weights are missing.
    """
    chosen = tuple(suites) if suites else suite_names()
    for name in chosen:
        if name not in suite_names():
            raise InputError(f"suite {name[:60]!r} is unknown: choose from {', '.join(suite_names())}")
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit} is too low: evaluate at least 1 case per suite")
    chosen, left_out = _with_weights(loadable(profile), chosen)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    rows: dict[str, list[Row]] = {"on": [], "off": []} if signals == "both" else {signals: []}
    failures: list[dict[str, Any]] = []
    count = min(2, os.cpu_count() or 1) if workers is None else workers
    with worker_pool(count) as run:
        for name in chosen:
            for setting in _settings(name, signals):
                jobs = jobs_of(profile, name, setting == "on", seed, limit)
                results = []
                for result in run(work, jobs):
                    results.append(result)
                    progress(f"{name}, signals {setting}", len(results), len(jobs))
                found, samples, missed = _summary(name, results)
                rows[setting] += found
                failures += [{"suite": name, "signals": setting, **entry} for entry in missed]
                if out is not None:
                    save_sheet(samples, out / f"{name}-signals-{setting}.png")
                    _save(Report(profile, seed, _frozen(rows), _since(start), tuple(failures), left_out), out)
    return Report(profile, seed, _frozen(rows), _since(start), tuple(failures), left_out)


def _since(start: float) -> float:
    return time.perf_counter() - start


def _with_weights(profile: Profile, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The suites that can be run, and a line for each that cannot: trials of an extra whose weights are not there."""
    absent = {part.name for part in profile.extras if profile.missing(part)}
    lacking = [name for name in names if specialists.NEEDS.get(name) in absent]
    lines = [f"{name} is left out: the profile has no weights of {specialists.NEEDS[name]}" for name in lacking]
    return tuple(name for name in names if name not in lacking), tuple(lines)


@contextmanager
def worker_pool(workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """A `map` over processes, or over nothing but this one."""
    if not workers:
        yield map
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield pool.map


def _settings(suite: str, signals: SignalChoice) -> tuple[str, ...]:
    """The settings in which a suite runs: one where signals make no difference."""
    if signals != "both":
        return (signals,)
    return ("on", "off") if suite in SUITES and SUITES[suite].uses_signals else ("on",)


def jobs_of(profile: str, suite: str, signals: bool, seed: int, limit: int | None, words: bool = True) -> list[Job]:
    """The cases of a suite in one setting, or the trials of a specialist alone."""
    if suite in specialists.TRIALS:
        return [Job(profile, suite, signals, seed, index) for index in range(limit or DEFAULT_COUNT)]
    cases = SUITES[suite].cases(limit or SUITES[suite].count, seed)
    return [Job(profile, suite, signals, seed, index, case, words) for index, case in enumerate(cases)]


def _summary(suite: str, results: list[Any]) -> tuple[list[Row], list[Sample], list[dict[str, Any]]]:
    """Rows, samples for the sheet (failures first, they teach more), and what went wrong."""
    if suite in specialists.TRIALS:
        trials = [trial for found in results for trial in found]
        samples = sorted((trial.sample for trial in trials), key=lambda sample: sample.right)
        return specialists.rows(suite, trials), _mixed(samples), []
    samples = sorted((outcome.sample for outcome in results), key=lambda sample: sample.right)
    missed = [outcome.account for outcome in results if not outcome.account["right"]]
    return SUITES[suite].rows(suite, results), _mixed(samples), missed


def _mixed(samples: list[Sample]) -> list[Sample]:
    """Twelve wrong ones at most, the rest right ones."""
    wrong = [sample for sample in samples if not sample.right][:12]
    return [*[sample for sample in samples if sample.right][: 24 - len(wrong)], *wrong]


def _frozen(rows: dict[str, list[Row]]) -> dict[str, tuple[Row, ...]]:
    return {setting: tuple(found) for setting, found in rows.items()}


def _save(report: Report, out: Path) -> None:
    (out / "report.json").write_text(json.dumps(report.to_json(), indent=1, default=str), encoding="utf-8")
