"""Recipe `gligen-signals`: UNet and mapper learn from edits whose signals are known, and from edits by words."""

import itertools
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vitron_agent.invocation import Module
from vitron_agent.profiles import TINY
from vitron_agent.training.gligen_signals import EXAMPLES, SignalledEdits, example_calls, train
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.signals import load_planner

OPTIONS = {"calls": "3", "batch": "4", "shards": "1", "lr": "0.01", "unet_lr": "0.001"}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingConfig:
    """The packaged weights, what learns as copies; and shards of a few edits."""
    assert TINY.folder is not None
    monkeypatch.setattr("vitron_agent.training.gligen_data.SHARD", 4)
    (tmp_path / "tiny").mkdir()
    for part in TINY.folder.iterdir():
        if part.name in ("gligen_inpaint", "mappers"):
            shutil.copytree(part, tmp_path / "tiny" / part.name)
        else:
            (tmp_path / "tiny" / part.name).symlink_to(part)
    return TrainingConfig(out=tmp_path / "tiny", run=tmp_path / "runs" / "one", steps=2, options=OPTIONS)


def test_calls_by_example_bring_signals_and_what_they_must_come_out_like() -> None:
    assert TINY.folder is not None
    calls = list(itertools.islice(example_calls(*load_planner(TINY.folder / "planner"), seed=0), 4))
    for call in calls:
        assert call.invocation.module is Module.C
        assert call.facts["measure"] in EXAMPLES
        assert call.facts["wanted"] in call.facts["after"].objects
        assert call.signals.shape[0] == 8
    assert not torch.equal(calls[0].signals, calls[1].signals)


def test_both_losses_are_functions_of_the_step_and_reach_what_learns(config: TrainingConfig) -> None:
    edits = SignalledEdits(config, 0)
    first, again, other = ([float(loss.detach()) for loss in edits.losses(step)] for step in (0, 0, 1))
    assert first == again != other
    for loss in edits.losses(0):
        loss.backward()
    assert all(bool(part.any()) for part in (edits.unet.conv_in.weight.grad, edits.editor.mapper.proj_in.weight.grad))
    assert all(part.grad is None for part in edits.editor.parts.text_encoder.parameters())


def test_what_has_learned_is_written_and_nothing_else_is(config: TrainingConfig) -> None:
    before = {path: path.read_bytes() for path in config.out.rglob("*.safetensors")}
    train(config)
    changed = {str(path.relative_to(config.out)) for path, held in before.items() if path.read_bytes() != held}
    assert changed == {
        "gligen_inpaint/unet/diffusion_pytorch_model.safetensors",
        "mappers/gligen_inpaint.safetensors",
    }
    assert float(load_file(config.out / "mappers" / "gligen_inpaint.safetensors")["gate"]) > 0.1
