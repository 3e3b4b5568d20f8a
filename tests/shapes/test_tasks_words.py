"""Pointing at objects, and at what is not there."""

import random
from collections import Counter

import pytest

from vitron_agent.shapes.language import Writer
from vitron_agent.shapes.scene import COLOURS, SHAPES, sample_scene
from vitron_agent.shapes.tasks_refer import read_words, resolve
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_words import point_at, point_at_nothing


def session(seed: int, split: str = "train", plain: bool = False) -> Session:
    rng = random.Random(seed)
    made = Session(Writer(rng, split, plain=plain))
    made.upload(sample_scene(rng))
    return made


def form_of(phrase: str) -> str:
    words = read_words(phrase)
    return " ".join(name for name in ("size", "colour", "shape") if getattr(words, name))


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_nothing_is_pointed_at_that_is_there(split):
    near = 0
    for seed in range(200):
        world = session(seed, split)
        words, phrase = point_at_nothing(world)
        assert words
        assert resolve(world.scene, phrase) == ()
        near += any(o.shape in phrase or o.colour in phrase for o in world.scene.objects)
    assert near > 80, "what is not there should often resemble what is"


def test_what_is_not_there_is_worded_as_what_is():
    there, not_there = Counter(), Counter()
    for seed in range(1500):
        world = session(seed)
        found = point_at(world, 0, plain=True)
        if found is not None:
            there[form_of(found.phrase)] += 1
        not_there[form_of(point_at_nothing(world)[1])] += 1
    assert set(there) == set(not_there)
    for form, count in there.items():
        assert abs(count / there.total() - not_there[form] / not_there.total()) < 0.12, form


def test_plain_words_are_the_most_common_ones():
    for seed in range(60):
        world = session(seed, plain=True)
        found = point_at(world, 0, plain=True)
        if found is not None:
            said = set(found.words.split()) - {"the", "that", "is", "in"}
            known = {*COLOURS, *SHAPES, "object", "shape", "thing", "one", "small", "little", "tiny", "large", "big"}
            assert said <= known, found.words
