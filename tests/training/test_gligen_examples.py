"""Recipe `gligen-examples`: the editor learns to paint what it is told beside words, which means the same always."""

import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vitron_agent.profiles import TINY
from vitron_agent.shapes.scene import COLOURS
from vitron_agent.shapes.tasks_like import REACH, sample_like
from vitron_agent.training.gligen_examples import (
    TEACHER,
    TOLD,
    ExampleEncoder,
    ExampleLoss,
    differences,
    sample_example_edit,
    train,
)
from vitron_agent.training.gligen_parts import CONTEXT, WIDTH
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.planner_like import OPEN, up_to_call

OPTIONS = {"batch": "4", "shards": "1", "lr": "0.01", "unet_lr": "0.001"}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingConfig:
    """The packaged editor, what learns as copies; and shards of a few edits."""
    assert TINY.folder is not None
    monkeypatch.setattr("vitron_agent.training.gligen_data.SHARD", 4)
    (tmp_path / "tiny").mkdir()
    for name in ("gligen_inpaint", "mappers"):
        shutil.copytree(TINY.folder / name, tmp_path / "tiny" / name)
    (tmp_path / "tiny" / "gligen").symlink_to(TINY.folder / "gligen")
    return TrainingConfig(out=tmp_path / "tiny", run=tmp_path / "runs" / "one", steps=2, options=OPTIONS)


def test_a_shade_is_told_as_its_distance_from_the_colour_of_its_name() -> None:
    facts = up_to_call(sample_like(random.Random(3), "train", "shade")).turns[-1].facts
    wanted = facts["wanted"]
    told = differences([facts])[0]
    expected = 2 * (torch.tensor(wanted.rgb) - torch.tensor(COLOURS[wanted.colour])) / OPEN[0]
    assert torch.allclose(told[:3], expected, atol=1e-5)
    assert told[3] == 0  # its size was not asked for


def test_a_size_is_told_as_its_distance_from_the_middle_of_its_word() -> None:
    facts = up_to_call(sample_like(random.Random(4), "train", "size")).turns[-1].facts
    low, high = REACH[facts["wanted"].size]
    expected = (facts["wanted"].r - (low + high) / 2) / ((high - low) / 2) / OPEN[3]
    told = differences([facts])[0].tolist()
    assert told == pytest.approx([0, 0, 0, expected], abs=1e-5)


def test_an_edit_by_words_is_told_nothing() -> None:
    told = differences([{"before": None}, {"operation": "add"}])
    assert told.shape == (2, TOLD)
    assert not told.any()
    assert not ExampleEncoder()(told).any()


def test_every_caption_token_is_told_the_same() -> None:
    said = ExampleEncoder()(torch.randn(3, TOLD))
    assert said.shape == (3, CONTEXT, WIDTH)
    assert torch.equal(said, said[:, :1].expand_as(said))


def test_an_edit_by_example_has_room_for_what_the_words_would_plan() -> None:
    rng = random.Random(5)
    for _ in range(30):
        example = sample_example_edit(rng)
        assert example.edit.new is not None
        assert example.edit.holes is not None
        ((phrase, box),) = example.prompt.layout
        assert phrase.endswith(example.edit.new.shape)
        near = [max(abs(a - b) for a, b in zip(hole, box, strict=True)) for hole in example.edit.holes]
        assert min(near) < 0.011  # two decimals and a little off


def test_both_losses_are_functions_of_the_step_and_reach_what_learns(config: TrainingConfig) -> None:
    edits = ExampleLoss(config, 0)
    first, again, other = ([float(loss.detach()) for loss in edits.losses(step)] for step in (0, 0, 1))
    assert first == again != other
    for loss in edits.losses(0):
        loss.backward()
    grads = (edits.unet.conv_in.weight.grad, edits.encoder.directions.weight.grad)
    assert all(grad is not None and bool(grad.any()) for grad in grads)
    assert all(part.grad is None for part in edits.parts.text_encoder.parameters())


def test_what_has_learned_is_written_and_nothing_else_is(config: TrainingConfig) -> None:
    before = {path: path.read_bytes() for path in config.out.rglob("*.safetensors")}
    (config.out / "mappers" / f"{TEACHER}.safetensors").unlink(missing_ok=True)
    train(config)
    changed = {path.name for path in config.out.rglob("*.safetensors") if before.get(path) != path.read_bytes()}
    assert changed == {"diffusion_pytorch_model.safetensors", f"{TEACHER}.safetensors"}
    assert config.out / "gligen_inpaint" / "unet" / "diffusion_pytorch_model.safetensors" in before
    directions = load_file(config.out / "mappers" / f"{TEACHER}.safetensors")["directions.weight"]
    assert directions.shape == (WIDTH, TOLD)
