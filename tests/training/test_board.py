"""What a run logs can be read in TensorBoard; without TensorBoard a run says so once and goes on."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vitron_agent.training.board import MISSING
from vitron_agent.training.loop import Run, TrainingConfig


def trained(folder: Path, until: int, resume: bool = False, scale: float = 1.0) -> Run:
    """Log the loss of each step, which is its number times a scale."""
    model = nn.Linear(2, 1)
    run = Run(TrainingConfig(folder, folder / "run", steps=9, resume=resume), {"m": model}, _adam(model), {})
    while run.step < until:
        run.advance(model(torch.ones(1, 2)).sum() * 0 + scale * (run.step + 1), 1, {"gate": 0.5})
        run.log(1)
    return run


def _adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters())


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events: Any = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_losses_and_rates_are_events_at_their_steps(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = trained(tmp_path, 3)
    folder = tmp_path / "run" / "tensorboard"
    assert scalars(folder, "loss") == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert [value for _, value in scalars(folder, "gate")] == [0.5] * 3
    assert scalars(folder, "lr")[-1] == (3, pytest.approx(run.optimiser.param_groups[0]["lr"]))


def test_a_resumed_run_replaces_what_was_logged_behind_its_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = trained(tmp_path, 2)
    run.save()
    trained(tmp_path, 4, resume=True)  # ends without saving
    trained(tmp_path, 4, resume=True, scale=10.0)
    assert scalars(tmp_path / "run" / "tensorboard", "loss") == [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0)]


def test_without_tensorboard_it_is_said_once_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert trained(tmp_path, 3).step == 3
    log = (tmp_path / "run" / "log.txt").read_text()
    assert log.count(MISSING) == 1
    assert log.count("samples/s") == 3
    assert not (tmp_path / "run" / "tensorboard").exists()
