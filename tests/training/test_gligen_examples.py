"""Recipe `gligen-examples`: the editor learns to paint what it is told beside words, which means the same always."""

import random
import shutil
from pathlib import Path

import pytest

from vitron_agent.profiles import TINY
from vitron_agent.training.examples import ExampleEncoder
from vitron_agent.training.gligen_examples import ExampleLoss, sample_example_edit, train
from vitron_agent.training.loop import TrainingConfig

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
    grads = (edits.unet.conv_in.weight.grad, edits.encoder.embeddings.weight.grad)
    assert all(grad is not None and bool(grad.any()) for grad in grads)
    assert all(part.grad is None for part in edits.parts.text_encoder.parameters())


def test_what_has_learned_is_written_and_nothing_else_is(config: TrainingConfig) -> None:
    encoder = config.out / "gligen_inpaint" / "examples" / "model.safetensors"
    before = {path: path.read_bytes() for path in config.out.rglob("*.safetensors") if path != encoder}
    train(config)
    changed = {path for path in config.out.rglob("*.safetensors") if before.get(path) != path.read_bytes()}
    assert changed == {config.out / "gligen_inpaint" / "unet" / "diffusion_pytorch_model.safetensors", encoder}
    ExampleEncoder.from_pretrained(encoder.parent, "gligen-examples")
    assert str(TINY.folder) not in (config.out / "gligen_inpaint" / "unet" / "config.json").read_text()
