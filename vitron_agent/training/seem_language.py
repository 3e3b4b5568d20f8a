"""Phrases for SEEM's training: words for one object, for several, for the background, and for what is not there.

Each phrase comes with the answer. Builds on `shapes.captions.referring`; knows nothing about tensors.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vitron_agent.shapes.captions import EXTREMES, PLACE_WORDS, background_reference, positioning, referring
from vitron_agent.shapes.scene import COLOURS, SHAPES, Obj, Scene

NOUNS = ("object", "shape", "thing", "figure")
SIZES = ("small", "large")
HELD_OUT = (
    "{colour} coloured {shape}",
    "{shape} that is {colour}",
    "{size} {shape} in {colour}",
    "{colour} {noun} {place}",
)
"""Wordings that training never sees: `held_out_phrase` makes them, for measuring."""
VOID = "nothing"
BACKGROUND = "background"
CLASSES = (*(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS), BACKGROUND, VOID)
"""What panoptic segments are called; the last is void."""
POINTING = (
    "this",
    "it",
    "this one",
    "that",
    "this object",
    "the object",
    "the selected object",
    "the marked object",
    "the object here",
    "the region",
    "the selected region",
    "what is marked",
    "the thing in the region",
)
"""Words beside a region that say nothing."""
_SYNONYMS = {"small": ("little", "tiny"), "large": ("big",)}


@dataclass(frozen=True)
class Phrase:
    """A phrase and what it means in its scene."""

    text: str
    objects: frozenset[int] = frozenset()  # indices of the objects meant
    background: bool = False  # the background is meant


def plural(noun: str) -> str:
    """Put a shape or noun into the plural: "crosses", "circles"."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def matching(scene: Scene, colour: str | None, shape: str | None, size: str | None) -> frozenset[int]:
    """Find the objects that have every given attribute."""

    def fits(obj: Obj) -> bool:
        pairs = ((colour, obj.colour), (shape, obj.shape), (size, obj.size))
        return all(wanted in (None, has) for wanted, has in pairs)

    return frozenset(index for index, obj in enumerate(scene.objects) if fits(obj))


def _vary(text: str, rng: random.Random) -> str:
    """Change words that mean nothing: the article, synonyms of the sizes."""
    for word, others in _SYNONYMS.items():
        if word in text and rng.random() < 0.25:
            text = text.replace(word, rng.choice(others))
    if text.startswith("the ") and rng.random() < 0.2:
        text = text[4:]
    return text


def _one(scene: Scene, rng: random.Random) -> Phrase:
    index = rng.randrange(len(scene.objects))
    return Phrase(_vary(referring(scene, index, rng), rng), frozenset({index}))


def _plain(scene: Scene, rng: random.Random) -> Phrase:
    """Colour and shape, size at will: the form planners write most."""
    obj = rng.choice(scene.objects)
    size = obj.size if rng.random() < 0.5 else None
    words = " ".join(word for word in (size, obj.colour, obj.shape) if word)
    found = matching(scene, obj.colour, obj.shape, size)
    if len(found) > 1:
        return _one(scene, rng)
    return Phrase(_vary(f"the {words}", rng), found)


def placed_phrase(scene: Scene, rng: random.Random) -> Phrase:
    """Make a phrase for one object by where it is or by how it compares to the others; else any phrase for one.

    An object that is alone is the leftmost one, too: after an edit little may be left of what the words once compared.
    """
    index = rng.randrange(len(scene.objects))
    if len(scene.objects) == 1 and rng.random() < 0.5:
        words: str | None = f"the {rng.choice(tuple(EXTREMES))} {rng.choice(NOUNS)}"
    else:
        words = positioning(scene, index, rng)
    return Phrase(_vary(words, rng), frozenset({index})) if words else _one(scene, rng)


def several_phrase(scene: Scene, rng: random.Random) -> Phrase:
    """Make a phrase for all objects of some kind, one or more: "all circles", "every red thing"."""
    obj = rng.choice(scene.objects)
    colour = obj.colour if rng.random() < 0.4 else None
    shape = obj.shape if rng.random() < 0.5 else None
    size = obj.size if rng.random() < 0.25 else None
    found = matching(scene, colour, shape, size)
    noun = shape or rng.choice(NOUNS)
    adjectives = " ".join(word for word in (size, colour) if word)
    each = rng.random() < 0.2
    head = rng.choice(("every", "each")) if each else rng.choice(("all", "all the", "the", "all of the"))
    return Phrase(" ".join(f"{head} {adjectives} {noun if each else plural(noun)}".split()), found)


def _background(scene: Scene, rng: random.Random) -> Phrase:
    text = background_reference(rng)
    if rng.random() < 0.3:
        text = f"the {scene.background} background"
    return Phrase(text, background=True)


def absent_phrase(scene: Scene, rng: random.Random) -> Phrase:
    """Make a phrase that fits nothing in the scene, mostly near misses: right colour, wrong shape, and so on."""
    while True:
        obj = rng.choice(scene.objects)
        colour: str | None = obj.colour if rng.random() < 0.4 else rng.choice(tuple(COLOURS))
        shape: str | None = obj.shape if rng.random() < 0.4 else rng.choice(SHAPES)
        size = rng.choice((None, None, *SIZES))
        form = rng.random()
        if form < 0.12:
            colour, size = None, None
        elif form < 0.24:
            shape, size = None, None
        if matching(scene, colour, shape, size):
            continue
        noun = shape or rng.choice(NOUNS)
        if rng.random() < 0.15:
            head, noun = rng.choice(("all", "all the", "the")), plural(noun)
        else:
            head = "the"
        words = " ".join(word for word in (head, size, colour, noun) if word)
        if rng.random() < 0.15:
            words = f"{words} {rng.choice(rng.choice(list(PLACE_WORDS.values())))}"
        return Phrase(_vary(words, rng))


_MAKERS: tuple[tuple[float, Callable[[Scene, random.Random], Phrase]], ...] = (
    (0.26, _one),
    (0.1, _plain),
    (0.34, placed_phrase),
    (0.1, several_phrase),
    (0.05, _background),
    (0.15, absent_phrase),
)


def training_phrase(scene: Scene, rng: random.Random) -> Phrase:
    """Make one phrase of any kind for a scene with at least one object."""
    weights, makers = zip(*_MAKERS, strict=True)
    return rng.choices(makers, weights)[0](scene, rng)


def held_out_phrase(scene: Scene, rng: random.Random) -> Phrase:
    """Make a phrase for one object in a wording of `HELD_OUT`; fall back to `referring` when none is unique."""
    for _ in range(10):
        index = rng.randrange(len(scene.objects))
        obj = scene.objects[index]
        form = rng.choice(HELD_OUT)
        shape = obj.shape if "{shape}" in form else None
        size = obj.size if "{size}" in form else None
        if matching(scene, obj.colour, shape, size) == {index}:
            place = rng.choice(PLACE_WORDS[obj.place])
            words = form.format(colour=obj.colour, shape=obj.shape, size=obj.size, place=place, noun=rng.choice(NOUNS))
            return Phrase(f"the {words}", frozenset({index}))
    return _one(scene, rng)


def hint_phrase(scene: Scene, slot: int, rng: random.Random) -> tuple[str, bool]:
    """Make words that go with a stroke on a segment, and whether they would do without it.

    Args:
        scene: the picture's content.
        slot: index of the object, or beyond them for the background.
        rng: chooses the words.
    """
    if rng.random() < 0.35:
        return rng.choice(POINTING), False
    if slot >= len(scene.objects):
        return background_reference(rng), True
    return _vary(referring(scene, slot, rng), rng), True


def corpus(scenes: Iterator[Scene], count: int, seed: int = 0) -> list[str]:
    """Collect training phrases and class names, the text the tokenizer's merges are learned from."""
    rng = random.Random(f"corpus/{seed}")
    return [*CLASSES, *(training_phrase(next(scenes), rng).text for _ in range(count))]
