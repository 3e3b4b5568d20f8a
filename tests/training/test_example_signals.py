"""Recipe `example-signals`: mappers learn to say of signals what their specialists were taught to understand."""

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vitron_agent.errors import CheckpointError
from vitron_agent.profiles import TINY
from vitron_agent.signals import SignalMapper
from vitron_agent.training.example_signals import TAUGHT, TaughtCalls, example_calls, fit_mapper, missed, train
from vitron_agent.training.examples import ExampleEncoder
from vitron_agent.training.gligen_parts import WIDTH
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.signals import load_planner

OPTIONS = {"calls": "6", "held_out": "3", "batch": "6", "lr": "0.005"}


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    """The packaged planner, and encoders with directions of their own."""
    assert TINY.folder is not None
    (tmp_path / "tiny" / "mappers").mkdir(parents=True)
    (tmp_path / "tiny" / "planner").symlink_to(TINY.folder / "planner")
    torch.manual_seed(0)
    for name in TAUGHT:
        (tmp_path / "tiny" / name / "examples").mkdir(parents=True)
        ExampleEncoder().save_pretrained(tmp_path / "tiny" / name / "examples")
    return TrainingConfig(out=tmp_path / "tiny", run=tmp_path / "runs" / "one", steps=120, options=OPTIONS)


@pytest.mark.parametrize("name", TAUGHT)
def test_calls_by_example_bring_signals_and_what_they_must_come_out_like(name: str) -> None:
    assert TINY.folder is not None
    taught = TAUGHT[name]
    calls = list(itertools.islice(example_calls(*load_planner(TINY.folder / "planner"), taught, seed=0), 4))
    for call in calls:
        assert call.invocation.module is taught.module
        assert call.facts["measure"] in taught.kinds
        assert call.signals.shape[0] == 8
    assert not torch.equal(calls[0].signals, calls[1].signals)


@pytest.mark.parametrize("name", TAUGHT)
def test_the_mapper_comes_nearer_to_what_the_encoder_says(config: TrainingConfig, name: str) -> None:
    found = fit_mapper(name, config)
    assert set(found) <= ({"speed"} if name == "i2vgen_xl" else {"red", "green", "blue", "size"})
    written = load_file(config.out / "mappers" / f"{name}.safetensors")
    model, vocabulary = load_planner(config.out / "planner")
    mapper = SignalMapper(model.d_llm, WIDTH, TAUGHT[name].context)
    mapper.load_state_dict({key: tensor.float() for key, tensor in written.items()})
    calls = TaughtCalls(model, vocabulary, TAUGHT[name], config.seed, 6)
    encoder = ExampleEncoder.from_pretrained(config.out / name / "examples", "its own")
    with torch.no_grad():
        loud = TAUGHT[name].gain * encoder(calls.told)
        off = (mapper(calls.signals) - loud).square().mean()
    assert off < 0.3 * encoder(calls.told).square().mean()
    assert "missed" in (config.run / "log.txt").read_text()


def test_what_is_missed_is_counted_where_it_was_asked_for(config: TrainingConfig) -> None:
    class Silent(torch.nn.Module):
        def forward(self, signals: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(signals), 3, WIDTH)

    calls = TaughtCalls(*load_planner(config.out / "planner"), TAUGHT["gligen_inpaint"], 0, 30)
    assert (calls.told[20:] == 0).all()  # by words
    off = missed(Silent(), ExampleEncoder(), calls, 1.0)
    assert all(a == pytest.approx(b) for a, b in off.values())
    assert 0.02 < off["red"][1] < 0.3


def test_a_gain_is_taken_out_of_what_is_missed(config: TrainingConfig) -> None:
    encoder = ExampleEncoder()
    calls = TaughtCalls(*load_planner(config.out / "planner"), TAUGHT["gligen_inpaint"], 0, 6)

    class Loud(torch.nn.Module):
        def forward(self, signals: torch.Tensor) -> torch.Tensor:
            return 1.5 * encoder(calls.told)

    assert all(a == pytest.approx(0, abs=1e-4) for a, _ in missed(Loud(), encoder, calls, 1.5).values())
    assert all(a > 0.01 for a, b in missed(Loud(), encoder, calls, 1.0).values() if b > 0.03)


def test_specialists_that_were_not_taught_are_left_out(config: TrainingConfig) -> None:
    shutil.rmtree(config.out / "i2vgen_xl")
    train(replace(config, steps=1))
    assert [path.name for path in (config.out / "mappers").iterdir()] == ["gligen_inpaint.safetensors"]
    shutil.rmtree(config.out / "gligen_inpaint")
    with pytest.raises(CheckpointError, match="run the recipe gligen-examples or i2vgen_xl first"):
        train(config)
