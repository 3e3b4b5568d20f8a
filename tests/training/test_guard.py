"""A run ends on a bad loss and on a full disk, and what lay saved before stays as it was."""

import errno
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from tests.faults import no_file_beyond
from vitron_agent.errors import CheckpointError, StorageError
from vitron_agent.training import checkpoint
from vitron_agent.training.loop import Ema, Run, TrainingConfig, replace_folder_files


def guarded(folder: Path, width: int = 3, resume: bool = False) -> tuple[Run, nn.Linear]:
    torch.manual_seed(0)
    model = nn.Linear(width, 1)
    config = TrainingConfig(folder / "out", folder / "run", steps=10, resume=resume)
    return Run(config, {"m": model}, torch.optim.AdamW(model.parameters()), {"m": Ema(model)}), model


def step(run: Run, model: nn.Linear, spoil: float = 1.0) -> None:
    run.advance(model(torch.ones(2, model.in_features)).square().mean() * spoil, 2, {"shade": spoil})


@pytest.mark.parametrize("spoil", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_before_it_spoils_anything(spoil: float, tmp_path: Path) -> None:
    run, model = guarded(tmp_path)
    step(run, model)
    run.save()
    before = model.weight.detach().clone()
    with pytest.raises(CheckpointError, match=r"at step 1 \(in shade\): .* the last good checkpoint is kept"):
        step(run, model, spoil)
    assert torch.equal(model.weight, before)
    again, loaded = guarded(tmp_path, resume=True)
    assert again.step == 1
    assert torch.equal(loaded.weight, before)


def test_a_gradient_that_is_no_number_stops_before_it_spoils_anything(tmp_path: Path) -> None:
    run, model = guarded(tmp_path)
    step(run, model)
    run.save()
    before = model.weight.detach().clone()
    with pytest.raises(CheckpointError, match=r"the gradient is nan at step 1: .* the last good checkpoint is kept"):
        run.advance((model(torch.ones(2, 3)) * 0).sum().sqrt(), 2)  # a loss of 0, whose slope is infinite
    assert torch.equal(model.weight, before)


def test_without_a_checkpoint_the_message_says_so(tmp_path: Path) -> None:
    run, model = guarded(tmp_path)
    with pytest.raises(CheckpointError, match="there is no checkpoint yet"):
        step(run, model, float("nan"))


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: No space left on device")]
)
def test_a_full_disk_leaves_the_last_checkpoint_and_no_half_one(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, model = guarded(tmp_path)
    step(run, model)
    run.save()
    step(run, model)

    def full(tensors: object, path: Path, metadata: object = None) -> None:
        path.write_bytes(b"half of a checkpo")
        raise error

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(StorageError, match=r"at step 2 .*No space left.*last good checkpoint is kept.*make room"):
        run.save()
    assert [path.name for path in run.path.parent.iterdir()] == ["checkpoint.safetensors"]
    with safe_open(run.path, framework="pt") as file:
        assert '"step": 1' in file.metadata()["counters"]


def test_a_disk_that_ends_half_way_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    run, model = guarded(tmp_path, width=3000)
    step(run, model)
    run.save()
    kept = run.path.read_bytes()
    step(run, model)
    with no_file_beyond(8192), pytest.raises(StorageError, match="checkpoint.* cannot be written at step 2.*is kept"):
        run.save()
    assert [path.name for path in run.path.parent.iterdir()] == ["checkpoint.safetensors"]
    assert run.path.read_bytes() == kept
    run.save()  # there is room again
    assert guarded(tmp_path, width=3000, resume=True)[0].step == 2


def test_exported_weights_are_whole_or_those_of_before(tmp_path: Path) -> None:
    run, model = guarded(tmp_path, width=3000)

    def export() -> None:
        replace_folder_files(run.config.out, lambda scratch: save_file(model.state_dict(), scratch / "m.safetensors"))

    run.written(run.config.out, export)
    kept = (run.config.out / "m.safetensors").read_bytes()
    step(run, model)
    with no_file_beyond(8192), pytest.raises(StorageError, match="cannot be written"):
        run.written(run.config.out, export)
    assert (run.config.out / "m.safetensors").read_bytes() == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]  # nor is there anything half written


@pytest.mark.usefixtures("capsys")  # what is printed goes to no file
def test_a_log_without_room_ends_the_run_in_our_terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run, model = guarded(tmp_path)
    step(run, model)
    run.save()
    run.log(1)
    log = run.path.with_name("log.txt")
    said = log.read_text()
    step(run, model)
    with (
        no_file_beyond(log.stat().st_size),
        pytest.raises(StorageError, match=r"log.txt.* cannot be written at step 2 .*checkpoint is kept"),
    ):
        run.log(1)
    assert log.read_text() == said
    assert guarded(tmp_path, resume=True)[0].step == 1


def test_numbers_that_cannot_be_written_end_the_run_in_our_terms(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run, model = guarded(tmp_path)
    step(run, model)
    run.save()
    run.board.folder.write_text("in the way")
    with pytest.raises(StorageError, match="tensorboard' cannot be written at step 1 .*checkpoint is kept"):
        run.log(1)


def test_a_checkpoint_of_another_architecture_is_refused_and_stays(tmp_path: Path) -> None:
    run, model = guarded(tmp_path)
    step(run, model)
    run.save()
    kept = run.path.read_bytes()
    with pytest.raises(CheckpointError, match="damaged or of another architecture .*size mismatch"):
        guarded(tmp_path, width=5, resume=True)
    run.path.write_bytes(kept[:100])
    with pytest.raises(CheckpointError, match="damaged or of another architecture"):
        guarded(tmp_path, resume=True)
