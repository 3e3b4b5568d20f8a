"""Weights between two runs: each tensor by its share, counts untouched, other models refused."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from vitron_agent.errors import CheckpointError
from vitron_agent.training.soup import average_folders


def _write(folder: Path, value: float, rows: int = 2) -> Path:
    folder.mkdir()
    tensors = {"weight": torch.full((rows, 3), value, dtype=torch.float16), "count": torch.tensor([int(value)])}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_weights_lie_between_those_of_two_runs(tmp_path: Path) -> None:
    first, second = _write(tmp_path / "a", 1.0), _write(tmp_path / "b", 3.0)
    average_folders(first, second, 0.25, first)
    mixed = load_file(first / "model.safetensors")
    assert torch.equal(mixed["weight"], torch.full((2, 3), 1.5, dtype=torch.float16))
    assert mixed["count"].tolist() == [1]
    with safe_open(first / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert load_file(second / "model.safetensors")["weight"].unique().tolist() == [3.0]


def test_other_models_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    first, wide = _write(tmp_path / "a", 1.0), _write(tmp_path / "wide", 3.0, rows=4)
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(CheckpointError, match="model.safetensors differs in names or shapes"):
        average_folders(first, wide, 0.5, out)
    with pytest.raises(CheckpointError, match="two runs of one model"):
        average_folders(first, tmp_path / "empty", 0.5, out)
    assert not list(out.iterdir())
