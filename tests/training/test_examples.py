"""What specialists are told beside words: how an example differs from what its words mean."""

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from vitron_agent.errors import CheckpointError
from vitron_agent.shapes.clip import Clip, Motion
from vitron_agent.shapes.scene import COLOURS, sample_scene
from vitron_agent.shapes.tasks_like import REACH, sample_like
from vitron_agent.training.examples import ExampleEncoder, differences, speed_of
from vitron_agent.training.gligen_parts import WIDTH
from vitron_agent.training.planner_like import OPEN, QUALITIES, up_to_call


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
    assert told == pytest.approx([0, 0, 0, expected, 0], abs=1e-5)


def test_an_edit_by_words_is_told_nothing() -> None:
    told = differences([{"before": None}, {"operation": "add"}])
    assert told.shape == (2, len(QUALITIES))
    assert not told.any()
    assert not ExampleEncoder()(told).any()


def test_a_speed_is_told_as_its_distance_from_the_middle() -> None:
    facts = up_to_call(sample_like(random.Random(5), "train", "speed")).turns[-1].facts
    (motion,) = [motion for motion in facts["clip"].motions if motion is not None]
    expected = (motion.amount - 0.35) / 0.15 / OPEN[4]
    assert differences([facts])[0].tolist() == pytest.approx([0, 0, 0, 0, expected], abs=1e-5)
    assert torch.allclose(speed_of(facts["clip"]), differences([facts])[0])


def test_a_clip_in_which_nothing_moves_to_a_side_has_no_speed() -> None:
    scene = sample_scene(random.Random(6), 2)
    assert not speed_of(Clip(scene, (Motion("grow", 1.7), None))).any()


def test_what_was_said_is_read_back() -> None:
    encoder, told = ExampleEncoder(), torch.randn(3, len(QUALITIES))
    said = encoder(told)
    assert said.shape == (3, 1, WIDTH)
    assert torch.allclose(encoder.read(said.expand(-1, 7, -1)), told, atol=1e-4)


def test_directions_survive_the_disk(tmp_path: Path) -> None:
    encoder = ExampleEncoder()
    encoder.save_pretrained(tmp_path)
    read = ExampleEncoder.from_pretrained(tmp_path, "gligen-examples")
    assert torch.equal(read.embeddings.weight, encoder.embeddings.weight)
    assert not read.embeddings.weight.requires_grad


@pytest.mark.parametrize("data", [None, b"no tensors", save({"embeddings.weight": torch.zeros(2, 2)})])
def test_without_directions_an_error_says_what_to_run(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="run the recipe gligen-examples first"):
        ExampleEncoder.from_pretrained(tmp_path, "gligen-examples")
