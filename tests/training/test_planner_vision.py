"""Dense supervision of the tower: targets, losses and one short run."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPVisionModel

from vitron_agent.planner.tiny import tiny_vision_config
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import COLOURS, SHAPES, Obj, Scene
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.planner_vision import (
    Outputs,
    Targets,
    accuracy,
    dense_loss,
    disturb,
    make_targets,
    side_targets,
    train,
)

SCENE = Scene(
    "navy",
    (
        Obj("star", "red", "large", 0.30, 0.60, 0.2, COLOURS["red"]),
        Obj("circle", "white", "small", 0.80, 0.10, 0.1, COLOURS["white"]),
    ),
)


def test_targets_stand_in_the_cell_of_each_centre() -> None:
    targets = make_targets([SCENE], render([SCENE]).masks)
    present = targets.slots[0, :, 0, 0].nonzero()[:, 0].tolist()
    assert present == [3, 9]  # the circle in row 0, column 3; the star in row 2, column 1
    star = targets.slots[0, 9, 0]
    assert star[:4].tolist() == [1, SHAPES.index("star"), 0, 1]
    assert torch.allclose(star[4:], torch.tensor([0.30 * 4 - 1.5, 0.60 * 4 - 2.5, 0.8]), atol=1e-5)
    patches = targets.patch_shape.view(8, 8)
    assert patches[4, 2] == SHAPES.index("star")  # x 0.31, y 0.56
    assert patches[7, 7] == len(SHAPES)  # nothing


def test_a_side_stands_in_the_step_that_holds_it() -> None:
    targets = make_targets([SCENE], render([SCENE]).masks)
    bells = side_targets(targets.slots)
    assert torch.allclose(bells.sum(-1), torch.ones(()))
    assert (bells[0, 9, 0].argmax(-1) - torch.tensor([5, 20, 25, 40])).abs().max() <= 1  # 0.1, 0.4, 0.5, 0.8


def perfect(targets: Targets) -> Outputs:
    """What heads that know everything would say."""
    from torch.nn.functional import one_hot

    truth = targets.slots
    words = [one_hot(truth[..., k].long(), n).float() * 20 for k, n in ((1, 6), (2, 8), (3, 2))]
    slots = torch.cat([truth[..., :1] * 40 - 20, *words, truth[..., 4:]], -1)
    ground = one_hot(targets.background, 6).float()[:, None].expand(-1, 16, -1) * 20
    patches = [
        one_hot(targets.patch_shape, 7).float() * 20,
        one_hot(targets.patch_colour, 9).float() * 20,
    ]
    return slots, ground, torch.cat(patches, -1), side_targets(truth).clamp(min=1e-9).log()


def test_knowing_everything_costs_nothing_and_scores_fully() -> None:
    targets = make_targets([SCENE], render([SCENE]).masks)
    outputs = perfect(targets)
    sides = side_targets(targets.slots)[targets.slots[..., 0] > 0]
    least = -(sides * sides.clamp(min=1e-9).log()).sum(-1).mean() * 0.5  # soft targets cost something even so
    assert dense_loss(outputs, targets) - least < 1e-3
    scores = accuracy(outputs, targets)
    assert scores.pop("place_px") < 1e-4
    assert set(scores.values()) == {1.0}
    wrong = (outputs[0].roll(1, 1), *outputs[1:])
    assert dense_loss(wrong, targets) > 1


def test_disturbed_pictures_stay_pictures_and_recognisable() -> None:
    images = render([SCENE] * 32).images
    changed = disturb(images, torch.Generator().manual_seed(0))
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert 0 < (changed - images).abs().mean() < 0.05


def test_a_run_that_was_stopped_leaves_the_tower_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*parts: object) -> None:
        raise KeyboardInterrupt

    options = {"held_out": "64", "lr": "0.05"}
    whole = TrainingConfig(tmp_path / "out", tmp_path / "whole", steps=3, options=options)
    train(whole)
    stopped = replace(whole, run=tmp_path / "stopped", export_minutes=0.0)
    with monkeypatch.context() as patch:
        patch.setattr("vitron_agent.training.planner_vision.evaluate", stop)  # behind the first checkpoint
        with pytest.raises(KeyboardInterrupt):
            train(stopped)
    train(replace(stopped, resume=True))
    wanted, found = (load_file(run / "tower.safetensors") for run in (whole.run, stopped.run))
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())
    assert "held out: presence" in (stopped.run / "log.txt").read_text()
    tower = CLIPVisionModel(tiny_vision_config())
    before = tower.embeddings.patch_embedding.weight.clone()
    tower.load_state_dict(found)
    assert not torch.equal(before, tower.embeddings.patch_embedding.weight)
