"""Edges of masks against those of true objects: what is cut off comes back, and nothing else is taken in."""

import random

import pytest
import torch
import torch.nn.functional as F

from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import SHAPES, Scene, sample_scene
from vitron_agent.specialists.seem.edges import snapped


def scene_of(shape: str, seed: int) -> Scene:
    """A scene whose first object is small and of this shape."""
    rng = random.Random(seed)
    while True:
        scene = sample_scene(rng)
        if scene.objects[0].shape == shape and scene.objects[0].size == "small":
            return scene


def blurred(mask: torch.Tensor, side: int = 5) -> torch.Tensor:
    """A mask (H, W) as a coarse grid of logits leaves it: without its points."""
    return F.avg_pool2d(mask[None].float(), side, 1, side // 2)[0] > 0.5


def iou(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_coarse_mask_cuts_off_comes_back(shape: str) -> None:
    for seed in range(4):
        drawn = render([scene_of(shape, seed)])
        picture, truth = (drawn.images[0] * 255).round().to(torch.uint8), drawn.masks[0, 0]
        rough = blurred(truth)
        found = snapped(rough[None], picture, 2)[0]
        assert iou(found, truth) > 0.95, (shape, seed)
        assert iou(found, truth) >= iou(rough, truth)


def test_a_background_is_snapped_as_objects_are() -> None:
    drawn = render([scene_of("star", 1)])
    picture, truth = (drawn.images[0] * 255).round().to(torch.uint8), ~drawn.masks[0].any(0)
    assert iou(snapped(blurred(truth)[None], picture, 2)[0], truth) > 0.99


def test_large_pictures_are_snapped_at_a_smaller_size() -> None:
    drawn = render([scene_of("star", 2)])
    picture = F.interpolate(drawn.images[:1], scale_factor=6)[0]
    truth = F.interpolate(drawn.masks[:1, :1].float(), scale_factor=6)[0, 0] > 0.5
    rough = blurred(truth, 31)
    found = snapped(rough[None], (picture * 255).round().to(torch.uint8), 2)[0]
    assert found.shape == truth.shape
    assert iou(found, truth) > iou(rough, truth)


def test_edges_stay_where_colours_say_nothing_or_nothing_is_asked() -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, 20:30, 20:40] = True
    flat = torch.full((3, 64, 64), 90, dtype=torch.uint8)
    noise = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(snapped(mask, flat, 2), mask)
    assert torch.equal(snapped(mask, noise, 0), mask)
    assert not snapped(torch.zeros_like(mask), noise, 2).any()


def test_edges_move_no_further_than_their_reach() -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, 20:40, 20:40] = True
    picture = torch.full((3, 64, 64), 20, dtype=torch.uint8)
    picture[:, 16:44, 16:44] = 220
    found = snapped(mask, picture, 2)[0]
    assert torch.equal(found, F.max_pool2d(mask.float(), 5, 1, 2)[0] > 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 200)])
def test_any_size_is_taken_and_no_mask_is_lost(size: tuple[int, int]) -> None:
    noise = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(2, *size, dtype=torch.bool)
    mask[:, 0, 0] = True
    found = snapped(mask, noise, 2)
    assert found.shape == mask.shape
    assert found.flatten(1).any(1).all()
