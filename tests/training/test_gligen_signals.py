"""Recipe `gligen-signals`: a mapper learns to say of signals what the editor was taught to understand."""

import itertools
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vitron_agent.errors import CheckpointError
from vitron_agent.invocation import Module
from vitron_agent.profiles import TINY
from vitron_agent.signals import SignalMapper
from vitron_agent.training.gligen_examples import EXAMPLES, TEACHER, ExampleEncoder
from vitron_agent.training.gligen_parts import CONTEXT, WIDTH
from vitron_agent.training.gligen_signals import SignalledEdits, example_calls, load_encoder, read_back, train
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.signals import load_planner

OPTIONS = {"calls": "6", "held_out": "3", "batch": "6", "lr": "0.003"}


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    """The packaged planner, and an encoder with directions of its own."""
    assert TINY.folder is not None
    (tmp_path / "tiny" / "mappers").mkdir(parents=True)
    (tmp_path / "tiny" / "planner").symlink_to(TINY.folder / "planner")
    torch.manual_seed(0)
    save_file(ExampleEncoder().state_dict(), tmp_path / "tiny" / "mappers" / f"{TEACHER}.safetensors")
    return TrainingConfig(out=tmp_path / "tiny", run=tmp_path / "runs" / "one", steps=120, options=OPTIONS)


def test_calls_by_example_bring_signals_and_what_they_must_come_out_like() -> None:
    assert TINY.folder is not None
    calls = list(itertools.islice(example_calls(*load_planner(TINY.folder / "planner"), seed=0), 4))
    for call in calls:
        assert call.invocation.module is Module.C
        assert call.facts["measure"] in EXAMPLES
        assert call.facts["wanted"] in call.facts["after"].objects
        assert call.signals.shape[0] == 8
    assert not torch.equal(calls[0].signals, calls[1].signals)


def test_what_is_said_in_the_encoders_directions_is_read_back() -> None:
    class Says(torch.nn.Module):
        def forward(self, signals: torch.Tensor) -> torch.Tensor:
            return encoder(signals[:, 0]) + 0.0

    encoder = ExampleEncoder()
    told = torch.randn(5, 4)
    assert torch.allclose(read_back(Says(), encoder, told[:, None]), told, atol=1e-4)


def test_the_mapper_comes_nearer_to_what_the_encoder_says(config: TrainingConfig) -> None:
    train(config)
    written = load_file(config.out / "mappers" / "gligen_inpaint.safetensors")
    model, vocabulary = load_planner(config.out / "planner")
    mapper = SignalMapper(model.d_llm, WIDTH, CONTEXT)
    mapper.load_state_dict({name: tensor.float() for name, tensor in written.items()})
    edits, encoder = SignalledEdits(model, vocabulary, config.seed, 6), load_encoder(config.out)
    with torch.no_grad():
        missed = (mapper(edits.signals) - encoder(edits.told)).square().mean()
    assert missed < 0.3 * encoder(edits.told).square().mean()
    assert "missed" in (config.run / "log.txt").read_text()


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"no tensors"), shutil.rmtree])
def test_without_an_encoder_the_recipe_says_what_to_run(config: TrainingConfig, damage) -> None:  # type: ignore[no-untyped-def]
    file = config.out / "mappers" / f"{TEACHER}.safetensors"
    damage(file.parent if damage is shutil.rmtree else file)
    with pytest.raises(CheckpointError, match="run the recipe gligen-examples first"):
        load_encoder(config.out)
