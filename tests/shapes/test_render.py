"""The renderer: exact areas, anti-aliased edges, masks that fit the pixels."""

import math
import random

import pytest
import torch

from vitron_agent.shapes.render import coverage, render
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, Obj, Scene, sample_scene

STAR_AREA = 5 * 0.45 * math.sin(math.pi / 5)  # ten triangles of sides 1 and 0.45 that meet at 36 degrees
AREAS = {
    "circle": math.pi,
    "square": 4.0,
    "triangle": 2.0,
    "diamond": 2.0,
    "cross": 8 * 0.38 - 4 * 0.38**2,
    "star": STAR_AREA,
}


def one(shape: str, r: float = 0.2, x: float = 0.5, y: float = 0.5) -> Scene:
    return Scene("gray", (Obj(shape, "red", "large", x, y, r, COLOURS["red"]),))


@pytest.mark.parametrize("shape", SHAPES)
def test_area_is_the_shapes_own(shape: str) -> None:
    cover = coverage(torch.tensor([SHAPES.index(shape)]), torch.tensor([[0.5, 0.5]]), torch.tensor([0.3]), 128)
    assert cover.sum().item() == pytest.approx(AREAS[shape] * (0.3 * 128) ** 2, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_colours_inside_and_outside_are_exact(shape: str) -> None:
    picture = render([one(shape)])
    inside = picture.images[0][:, picture.masks[0, 0]]
    torch.testing.assert_close(inside.median(1).values, torch.tensor(COLOURS["red"]))
    torch.testing.assert_close(picture.images[0, :, 0, 0], torch.tensor(BACKGROUNDS["gray"]))
    assert picture.masks[0, 1:].sum() == 0


def test_triangle_and_star_point_up() -> None:
    for shape in ("triangle", "star"):
        rows = render([one(shape)]).masks[0, 0].any(1).nonzero()[:, 0]
        top = render([one(shape)]).masks[0, 0][rows[0]].nonzero()[:, 0].float()
        assert top.mean().item() == pytest.approx(31.5, abs=1.0)
        assert len(top) <= 4


def test_an_object_across_the_edge_is_clipped() -> None:
    mask = render([one("square", 0.2, x=0.0)]).masks[0, 0]
    assert mask[:, 0].sum() == mask[:, 11].sum() > 0
    assert mask[:, 20:].sum() == 0


def test_a_batch_equals_its_members() -> None:
    rng = random.Random(1)
    scenes = [sample_scene(rng) for _ in range(12)]
    together = render(scenes)
    for i, scene in enumerate(scenes):
        torch.testing.assert_close(render([scene]).images[0], together.images[i], atol=1e-6, rtol=0)


def test_an_empty_scene_is_its_background() -> None:
    picture = render([Scene("navy", ())])
    assert (picture.images[0] == torch.tensor(BACKGROUNDS["navy"])[:, None, None]).all()
    assert not picture.masks.any()
