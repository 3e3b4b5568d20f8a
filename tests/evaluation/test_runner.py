"""The runner, in this process, over scripted agents: no weights."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vitron_agent.errors import CheckpointError, InputError
from vitron_agent.evaluation import evaluate, runner, suite_names
from vitron_agent.evaluation.suites import SUITES
from vitron_agent.graphs.agent import Agent
from vitron_agent.media import MediaStore
from vitron_agent.parts import Part
from vitron_agent.profiles import find_profile
from vitron_agent.specialists.base import Specialist
from vitron_agent.testing import call


@pytest.fixture
def talker(monkeypatch: pytest.MonkeyPatch, scripted_agent: Callable[[list[Any]], Agent], store: MediaStore) -> None:
    """An agent that only ever says hello."""
    monkeypatch.setattr(
        runner, "_agent", lambda profile, signals, frames, words: scripted_agent(["Hello, this is a picture."])
    )
    monkeypatch.setattr(runner, "_store", lambda: store)
    monkeypatch.setattr(runner, "_dictated", lambda profile: SimpleNamespace(call=None))
    monkeypatch.setattr(
        runner, "_dictated_agent", lambda profile, signals, words: scripted_agent(["Hello, this is mine."])
    )


@pytest.mark.usefixtures("talker")
def test_an_evaluation_writes_table_data_and_sheets(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    out = tmp_path / "out"
    report = evaluate(
        "tiny",
        ["refusals", "edit"],
        5,
        out,
        workers=0,
        progress=lambda name, done, total: seen.append((name, done, total)),
    )
    assert {row.suite for row in report.rows["on"]} == {"refusals", "edit"}
    done = report.row("edit", "does what was asked")
    assert done is not None
    assert (done.value, done.n) == (0.0, 5)
    none = report.row("refusals", "right module, or rightly none")
    assert none is not None
    assert none.value == 1.0
    assert seen[-1] == ("edit, signals on", 5, 5)
    assert {path.name for path in out.iterdir()} == {"report.json", "refusals-signals-on.png", "edit-signals-on.png"}
    saved = json.loads((out / "report.json").read_text())
    assert saved["rows"]["on"][0]["suite"] == "refusals"
    failure = next(entry for entry in saved["failures"] if entry["suite"] == "edit")
    assert failure["turns"][0]["text"] == "Hello, this is a picture."


@pytest.mark.usefixtures("talker")
def test_both_settings_are_run_only_where_they_can_differ() -> None:
    report = evaluate("tiny", ["generation", "refusals"], 3, signals="both", workers=0)
    assert {row.suite for row in report.rows["on"]} == {"generation", "refusals"}
    assert {row.suite for row in report.rows["off"]} == {"generation"}


@pytest.mark.usefixtures("talker")
@pytest.mark.parametrize("name", list(SUITES))
def test_every_suite_runs_and_makes_rows(name: str) -> None:
    report = evaluate("tiny", [name], 3, workers=0)
    judged = [row.n for row in report.rows["on"] if row.unit in ("rate", "iou")]
    assert {"invocation": 6, "dialogues": 2}.get(name, 3) in judged  # cases: replies are cheap, dialogues dear
    assert len(report.rows["on"]) >= 3


def test_plans_alone_are_judged_without_running_tools(
    monkeypatch: pytest.MonkeyPatch, scripted_agent: Callable[[list[Any]], Agent], store: MediaStore
) -> None:
    draw = [[call("generate_image", command="a star")]]
    monkeypatch.setattr(runner, "_agent", lambda profile, signals, frames, words: scripted_agent(draw))
    monkeypatch.setattr(runner, "_store", lambda: store)
    row = evaluate("tiny", ["invocation"], 10, workers=0).row("invocation", "right module, or rightly none")
    assert row is not None
    assert row.n == 20
    assert 0 < row.value < 1


def test_specialists_alone_need_no_planner(monkeypatch: pytest.MonkeyPatch, ideal_specialist: Specialist) -> None:
    monkeypatch.setattr(runner, "_specialist", lambda profile, name: ideal_specialist)
    report = evaluate("tiny", ["gligen-alone"], 3, workers=0)
    row = report.row("gligen-alone", "colour and shape of every object")
    assert row is not None
    assert (row.value, row.n) == (1.0, 3)


def test_trials_without_weights_are_left_out_with_a_line(
    monkeypatch: pytest.MonkeyPatch, ideal_specialist: Specialist
) -> None:
    tiny = find_profile("tiny")
    extra = Part("zeroscope", "makes videos", ("zeroscope/nowhere.safetensors",), "us", 1, "Apache-2.0")
    monkeypatch.setattr(runner, "loadable", lambda name: replace(tiny, extras=(extra,)))
    monkeypatch.setattr(runner, "_specialist", lambda profile, name: ideal_specialist)
    report = evaluate("tiny", ["gligen-alone", "zeroscope-alone"], 1, workers=0)
    assert {row.suite for row in report.rows["on"]} == {"gligen-alone"}
    assert report.left_out == ("zeroscope-alone is left out: the profile has no weights of zeroscope",)


def test_wrong_names_and_limits_are_refused() -> None:
    with pytest.raises(InputError, match="'juggling' is unknown: choose from invocation"):
        evaluate("tiny", ["juggling"])
    with pytest.raises(InputError, match="limit 0"):
        evaluate("tiny", limit=0)
    with pytest.raises(InputError, match="no-such-profile"):
        evaluate("no-such-profile")
    with pytest.raises(CheckpointError, match="vitron-7b"):
        evaluate("vitron-7b")


def test_the_pool_maps_over_processes_in_order() -> None:
    with runner.worker_pool(1) as run:
        assert list(run(abs, [-2, 1, -3])) == [2, 1, 3]


def test_the_names_are_all_different() -> None:
    assert len(set(suite_names())) == len(suite_names())


def test_a_suite_says_whether_the_planner_sees_frames(
    monkeypatch: pytest.MonkeyPatch, scripted_agent: Callable[[list[Any]], Agent], store: MediaStore
) -> None:
    asked: list[bool] = []

    def agent(profile: str, signals: bool, sees_frames: bool, words: bool) -> Agent:
        asked.append(sees_frames)
        return scripted_agent(["It moves left."])

    monkeypatch.setattr(runner, "_agent", agent)
    monkeypatch.setattr(runner, "_store", lambda: store)
    evaluate("tiny", ["video-questions", "video-questions-mean"], 2, workers=0)
    assert asked == [True, True, False, False]


def test_the_mean_alone_is_asked_of_a_planner_without_frames(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: MediaStore
) -> None:
    monkeypatch.setattr(runner, "_store", lambda: store)
    seen: list[int] = []

    def built(profile: str, *, planner: Any, **parts: Any) -> None:
        seen.append(planner.planner.processor.video_tokens)

    monkeypatch.setattr(runner, "build_agent", built)
    runner._agent.__wrapped__("tiny", True, True)
    runner._agent.__wrapped__("tiny", True, False)
    assert seen == [80, 16]


def test_videos_take_fewer_cases_by_themselves() -> None:
    for name in ("video-questions", "video-generation", "animation", "video-chains"):
        assert len(runner.jobs_of("tiny", name, True, 0, None)) == 150
    assert len(runner.jobs_of("tiny", "video-questions", True, 0, 3)) == 3
    assert len(runner.jobs_of("tiny", "questions", True, 0, None)) == 200
