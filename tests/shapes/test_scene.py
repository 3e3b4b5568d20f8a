"""Scenes: the sampler keeps the world's rules, places and relations mean what they say."""

import random

import pytest

from vitron_agent.shapes.scene import (
    BACKGROUNDS,
    COLOURS,
    GAP,
    RADII,
    SHAPES,
    Obj,
    nearest_name,
    place_of,
    recoloured,
    relation,
    sample_scene,
    sample_shade,
)


def obj(x: float, y: float, r: float = 0.1) -> Obj:
    return Obj("circle", "red", "small", x, y, r, COLOURS["red"])


def test_sampled_scenes_keep_the_rules() -> None:
    rng = random.Random(0)
    for _ in range(500):
        scene = sample_scene(rng)
        assert scene.background in BACKGROUNDS
        assert 1 <= len(scene.objects) <= 3
        for i, one in enumerate(scene.objects):
            low, high = RADII[one.size]
            assert low <= one.r <= high
            assert one.shape in SHAPES
            assert nearest_name(one.rgb, COLOURS) == one.colour
            assert one.box == (one.x - one.r, one.y - one.r, one.x + one.r, one.y + one.r)  # never cut by the edge
            for other in scene.objects[:i]:
                assert max(abs(one.x - other.x), abs(one.y - other.y)) >= one.r + other.r + GAP


def test_same_seed_same_scenes() -> None:
    assert [sample_scene(random.Random(3)) for _ in range(3)] == [sample_scene(random.Random(3)) for _ in range(3)]


@pytest.mark.parametrize(
    ("x", "y", "name"),
    [
        (0.5, 0.5, "centre"),
        (0.5, 0.64, "centre"),
        (0.44, 0.2, "top left"),
        (0.2, 0.5, "left"),
        (0.8, 0.5, "right"),
        (0.5, 0.2, "top"),
        (0.5, 0.9, "bottom"),
        (0.9, 0.1, "top right"),
        (0.1, 0.9, "bottom left"),
    ],
)
def test_place_names(x: float, y: float, name: str) -> None:
    assert place_of(x, y) == name


def test_relations_need_a_clear_margin() -> None:
    assert relation(obj(0.2, 0.5), obj(0.6, 0.55)) == ("left of",)
    assert relation(obj(0.6, 0.9), obj(0.2, 0.5)) == ("right of", "below")
    assert relation(obj(0.5, 0.5), obj(0.55, 0.55)) == ()


def test_shades_differ_but_keep_their_name() -> None:
    rng = random.Random(0)
    for colour in COLOURS:
        shades = {sample_shade(rng, colour) for _ in range(20)}
        assert len(shades) == 20
        assert {nearest_name(shade, COLOURS) for shade in shades} == {colour}


def test_recolouring_changes_the_colour_only() -> None:
    before = obj(0.3, 0.4)
    after = recoloured(before, "blue")
    assert (after.colour, after.rgb) == ("blue", COLOURS["blue"])
    assert (after.shape, after.x, after.y, after.r) == (before.shape, before.x, before.y, before.r)
