"""Stage 3 compared with itself: both arms of every seed are run and measured alike, and the page says what came out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.synergy_run import ShadeReader, small_planner
from vitron_agent.training import synergy_compare
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.synergy_compare import Finding, difference, page, train


def _finding(vs: float, losses: list[float]) -> Finding:
    probe = {"vs": vs, "vp": 0.9, "discriminator": vs, "chance": 0.25, "seem": vs - 1}
    return Finding({"before": probe | {"vs": 0.8}, "after": probe}, dict.fromkeys(synergy_compare.TASKS, losses))


def _made(change: float) -> dict[str, Finding]:
    """Findings of two seeds in which synergy changes all losses by about `change`."""
    rng, found = np.random.default_rng(3), dict[str, Finding]()
    for seed in range(2):
        off = rng.uniform(0.6, 1.0, 12)
        found[f"0 {seed}"] = _finding(0.75, off.tolist())
        found[f"0.3 {seed}"] = _finding(0.40, off.tolist())
        found[f"1 {seed}"] = _finding(0.30, (off + change + rng.normal(0, 0.005, 12)).tolist())
    return found


@pytest.mark.parametrize(("change", "verdict"), [(-0.05, "better"), (0.0, ""), (0.05, "worse")])
def test_differences_are_taken_pair_by_pair(change: float, verdict: str, tmp_path: Path) -> None:
    found = _made(change)
    value, low, high = difference(found, "draw", 1.0)
    assert low < value < high
    assert value == pytest.approx(change, abs=0.005)  # though losses themselves differ by ten times that
    (line,) = [
        line for line in page(found, TrainingConfig(tmp_path, tmp_path)).splitlines() if line.startswith("| draw")
    ]
    assert line.rstrip(" |").endswith(verdict or ")")
    assert "| 192 |" in line


def test_the_page_says_what_signals_give_away(tmp_path: Path) -> None:
    config = TrainingConfig(tmp_path, tmp_path, steps=7, options={"batch": "5"})
    written = page(_made(0.0), config)
    assert "synergy_compare --seed 0 --steps 7 --set batch=5`" in written
    assert "| before | 80.0% ± 0.0 | 90.0% ± 0.0 | 75.0% ± 0.0 | 25.0% | -25.0% ± 0.0 |" in written
    assert "| synergy off | 75.0% ± 0.0 |" in written
    assert "| strength 1 | 30.0% ± 0.0 |" in written


def test_all_runs_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[tuple[Path, int]]()

    def aligned(weights: Path, seed: int) -> tuple[Any, ...]:
        made.append((weights, seed))
        return *small_planner(), {"reader": ShadeReader()}

    monkeypatch.setattr(synergy_compare, "aligned", aligned)
    monkeypatch.setattr(synergy_compare, "TASKS", {"shade": "reader"})
    options = {"seeds": "2", "batches": "2", "batch": "2", "probe": "10", "width": "16"}
    config = TrainingConfig(tmp_path / "docs", tmp_path / "run", steps=1, seed=4, options=options, resume=True)
    train(config)
    assert made == [(synergy_compare.WEIGHTS, seed) for seed in (4, 4, 4, 5, 5, 5)]
    found = json.loads((tmp_path / "run" / "compare.json").read_text())
    assert list(found) == ["0 4", "0.3 4", "1 4", "0 5", "0.3 5", "1 5"]
    assert all(len(run["losses"]["shade"]) == 2 for run in found.values())
    first = (tmp_path / "docs" / "synergy.md").read_text()

    del found["1 5"]
    (tmp_path / "run" / "compare.json").write_text(json.dumps(found))
    train(config)
    assert len(made) == 7  # only what is missing is run again
    assert (tmp_path / "docs" / "synergy.md").read_text() == first
