import importlib
import json
from dataclasses import replace
from typing import Any

import pytest

from vitron_agent.profiles import TINY
from vitron_agent.training import RECIPES


class FakeReport:
    def to_json(self) -> dict[str, Any]:
        return {"profile": "tiny"}

    def print(self) -> None:
        print("a table")


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Catch what the evaluation is asked for."""
    asked: list[tuple[Any, ...]] = []
    module = importlib.import_module("vitron_agent.evaluation")
    monkeypatch.setattr(module, "evaluate", lambda *a, progress: asked.append(a) or FakeReport())
    return asked


def test_evaluate_hands_over(script, run, evaluation: list) -> None:
    result = run("evaluate", "--suite", "chat", "--limit", "5", "--no-signals", "--json")
    assert json.loads(result.stdout) == {"profile": "tiny"}
    assert evaluation == [("tiny", ["chat"], 5, None, 0, "both")]
    assert "a table" in run("evaluate").stdout


def test_an_ablation_writes_its_page_where_it_is_told(script, run, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    ablation = importlib.import_module("vitron_agent.evaluation.ablation")
    page = importlib.import_module("vitron_agent.evaluation.results_page")
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(ablation, "ablate", lambda *a, progress: asked.append(a) or "found")
    monkeypatch.setattr(
        page, "write_page", lambda found, folder: asked.append((found, folder)) or folder / "results.md"
    )
    result = run("evaluate", "--ablation", "--suite", "edit", "--limit", "4", "--seed", "3", "--out", str(tmp_path))
    assert asked == [("tiny", ["edit"], 4, 3), ("found", tmp_path)]
    assert str(tmp_path / "results.md") in result.stderr
    assert run("evaluate", "--ablation", "--json").exit_code == 2
    assert run("evaluate", "--ablation", "--no-signals").exit_code == 2


def test_evaluate_refuses_plainly(script, run) -> None:
    for arguments in (("--suite", "nonsense"), ("--limit", "0"), ("--profile", "huge")):
        result = run("evaluate", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("error: ")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    configs: list[Any] = []
    monkeypatch.setattr("vitron_agent.training.load_recipe", lambda name: configs.append)
    return configs


def test_train_hands_over(script, run, trained: list[Any], tmp_path) -> None:
    assert run("train", "seem", "--resume", "--minutes", "3", "--out", "w").exit_code == 0
    config = trained[0]
    assert not (tmp_path / "runs" / "seem" / "before").exists()
    assert (config.resume, config.minutes, str(config.out), str(config.run)) == (True, 3, "w", "runs/seem")
    assert not (tmp_path / "runs").exists()


def test_weights_that_a_training_writes_over_are_kept(script, run, trained: list[Any], tmp_path, monkeypatch) -> None:
    own = tmp_path / "weights"
    (own / "seem").mkdir(parents=True)
    (own / "seem" / "model.safetensors").write_bytes(b"before")
    monkeypatch.setattr("vitron_agent.cli.learn.TINY", replace(TINY, folder=own))
    kept = tmp_path / "runs" / "seem" / "before" / "model.safetensors"
    assert "a copy lies in runs/seem/before" in run("train", "seem").stderr
    assert kept.read_bytes() == b"before"
    (own / "seem" / "model.safetensors").write_bytes(b"after")
    assert run("train", "seem").exit_code == 0
    assert kept.read_bytes() == b"before"  # the first one's


def test_weights_that_cannot_be_kept_are_not_written_over(script, run, trained: list[Any], monkeypatch) -> None:
    def full(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copytree", full)
    result = run("train", "seem")
    assert (result.exit_code, trained) == (2, [])
    assert "No space left on device" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "choose one of"),
        (("seem", "--device", "abacus"), "device 'abacus' cannot be used"),
        (("seem", "--device", "meta"), "device 'meta' cannot be used"),
        (("seem", "--minutes", "-1"), "is no length"),
    ],
)
def test_train_refuses_plainly(script, run, trained: list[Any], arguments: tuple[str, ...], said: str) -> None:
    result = run("train", *arguments)
    assert (result.exit_code, trained) == (2, [])
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_every_recipe_can_be_named() -> None:
    for name in RECIPES:
        assert name == name.lower()
