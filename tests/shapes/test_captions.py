"""Captions name everything in a scene; a referring expression fits one object only."""

import random
import re

from vitron_agent.shapes.captions import article, caption, referring
from vitron_agent.shapes.scene import COLOURS, Obj, Scene, sample_scene

RELATION = re.compile(r"an? (?:\w+ )?(\w+ \w+) (left of|right of|above|below) an? (?:\w+ )?(\w+ \w+) on")


def test_caption_names_background_colours_and_shapes() -> None:
    rng = random.Random(0)
    for _ in range(300):
        scene = sample_scene(rng)
        text = caption(scene, rng)
        assert text.endswith(f"{article(scene.background)} background")
        for obj in scene.objects:
            assert f"{obj.colour} {obj.shape}" in text


def test_caption_relations_are_true() -> None:
    rng = random.Random(1)
    seen = 0
    for _ in range(400):
        scene = sample_scene(rng, 2)
        match = RELATION.match(caption(scene, rng))
        if match is None:
            continue
        first, word, second = match.groups()
        named = {f"{o.colour} {o.shape}": o for o in scene.objects}
        if len(named) < 2:
            continue
        seen += 1
        axis = "x" if word in ("left of", "right of") else "y"
        difference = getattr(named[first], axis) - getattr(named[second], axis)
        assert difference < 0 if word in ("left of", "above") else difference > 0
    assert seen > 30


def test_references_by_attributes_are_unique() -> None:
    red, blue = (
        Obj("circle", "red", "small", 0.2, 0.2, 0.1, COLOURS["red"]),
        Obj("circle", "blue", "large", 0.7, 0.7, 0.2, COLOURS["blue"]),
    )
    rng = random.Random(2)
    texts = {referring(Scene("gray", (red, blue)), 0, rng) for _ in range(200)}
    assert "the circle" not in texts
    assert {"the red circle", "the small circle"} <= texts
    assert not any("right" in text and "right of" not in text for text in texts)
