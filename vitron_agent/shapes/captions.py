"""Words that specialists are given: captions of whole scenes and expressions that point at one object.

These are the plain forms a planner writes into a command, with modest variety. How people word their requests is
language.py's business.
"""

import random
from collections.abc import Callable, Sequence

from vitron_agent.shapes.scene import Obj, Scene, relation

PLACE_WORDS: dict[str, tuple[str, ...]] = {
    "left": ("on the left", "at the left"),
    "right": ("on the right", "at the right"),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
    "centre": ("in the centre", "in the middle", "in the center"),
    "top left": ("at the top left", "in the top left corner"),
    "top right": ("at the top right", "in the top right corner"),
    "bottom left": ("at the bottom left", "in the bottom left corner"),
    "bottom right": ("at the bottom right", "in the bottom right corner"),
}

EXTREMES: dict[str, Callable[[Obj], float]] = {
    "leftmost": lambda o: -o.x,
    "rightmost": lambda o: o.x,
    "topmost": lambda o: -o.y,
    "lowest": lambda o: o.y,
    "largest": lambda o: o.r * 2,
    "smallest": lambda o: -o.r * 2,
}
"""Superlative -> what the object that it names has most of."""


def article(phrase: str) -> str:
    """Put "a" or "an" before a phrase."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def listed(parts: Sequence[str]) -> str:
    """Join names: "a, b and c"."""
    return joined(parts, " and ")


def joined(parts: Sequence[str], last: str) -> str:
    """Join parts by commas, but for the last, before which `last` stands: "a, b while c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}{last}{parts[-1]}"


def phrase_of(obj: Obj, rng: random.Random) -> str:
    """Colour and shape, with the size in about half of the cases: "red circle", "small red circle"."""
    return obj.phrase if rng.random() < 0.5 else f"{obj.colour} {obj.shape}"


def caption(scene: Scene, rng: random.Random) -> str:
    """Describe a scene in one line, the form in which the planner writes a generation command.

    Objects are named in the scene's order or another one; places and relations are said in some captions only, since
    the layout says them anyway.
    """
    order = list(scene.objects)
    rng.shuffle(order)
    parts = [article(phrase_of(obj, rng)) for obj in order]
    style = rng.random()
    if style < 0.3:
        parts = [f"{part} {rng.choice(PLACE_WORDS[obj.place])}" for part, obj in zip(parts, order, strict=True)]
    if style > 0.7 and len(order) == 2 and relation(order[0], order[1]):
        text = f"{parts[0]} {rng.choice(relation(order[0], order[1]))} {parts[1]}"
    elif len(parts) > 1:
        text = f"{', '.join(parts[:-1])} and {parts[-1]}"
    else:
        text = "".join(parts)
    ground = f"{article(scene.background)} background"
    return f"{text} on {ground}" if text else ground


def _same(scene: Scene, test: dict[str, str]) -> list[int]:
    """Indices of the objects whose attributes equal all of `test`."""
    return [i for i, o in enumerate(scene.objects) if all(getattr(o, key) == value for key, value in test.items())]


def _by_attributes(scene: Scene, index: int) -> list[str]:
    """Attribute phrases that fit the object at `index` and no other."""
    obj = scene.objects[index]
    forms: dict[str, dict[str, str]] = {
        f"{obj.colour} {obj.shape}": {"colour": obj.colour, "shape": obj.shape},
        obj.shape: {"shape": obj.shape},
        f"{obj.colour} {{noun}}": {"colour": obj.colour},
        f"{obj.size} {obj.shape}": {"size": obj.size, "shape": obj.shape},
        f"{obj.size} {obj.colour} {obj.shape}": {"size": obj.size, "colour": obj.colour, "shape": obj.shape},
        f"{obj.size} {{noun}}": {"size": obj.size},
    }
    return [form for form, test in forms.items() if _same(scene, test) == [index]]


def _by_place(scene: Scene, index: int, rng: random.Random) -> list[str]:
    """The place of the object at `index`, with and without its shape, if no other object is there."""
    obj = scene.objects[index]
    if sum(o.place == obj.place for o in scene.objects) > 1:
        return []
    return [f"{head} {rng.choice(PLACE_WORDS[obj.place])}" for head in ("{noun}", obj.shape, "{noun}")]


def _by_extreme(scene: Scene, index: int) -> list[str]:
    """Superlatives that hold for the object at `index` with a clear margin: "leftmost {noun}", "largest {noun}"."""
    obj, others = scene.objects[index], [o for i, o in enumerate(scene.objects) if i != index]
    return [
        f"{word} {{noun}}" for word, key in EXTREMES.items() if others and all(key(obj) > key(o) + 0.07 for o in others)
    ]


def referring(scene: Scene, index: int, rng: random.Random) -> str:
    """Words that point at exactly one object: by attributes, place, extreme or relation.

    Args:
        scene: The picture's content.
        index: Which object.
        rng: Chooses the form.

    Returns:
        Such as "the red circle", "the shape on the left", "the largest object", "the star above the blue square". When
        nothing tells two alike objects apart, the attribute phrase with the place.
    """
    obj = scene.objects[index]
    noun = rng.choice(("object", "shape", "thing"))
    forms = _by_attributes(scene, index)
    placed = [f"{obj.colour} {obj.shape} {rng.choice(PLACE_WORDS[obj.place])}", *_by_place(scene, index, rng)]
    related = [
        f"{head} {word} the {other.colour} {other.shape}"
        for i, other in enumerate(scene.objects)
        if i != index and len(_same(scene, {"colour": other.colour, "shape": other.shape})) == 1
        for word in relation(obj, other, margin=0.15)
        for head in (f"{obj.colour} {obj.shape}", obj.shape, "{noun}")
        if head != "{noun}" or sum(word in relation(o, other, margin=0.0) for o in scene.objects if o != other) == 1
    ]
    groups = [group for group in (forms, forms, forms, placed, _by_extreme(scene, index), related) if group]
    return f"the {rng.choice(rng.choice(groups))}".format(noun=noun)


def positioning(scene: Scene, index: int, rng: random.Random) -> str | None:
    """As `referring` by place, extreme or size alone ("the object on the left", "the lowest shape", "the small thing").

    Returns:
        The words, or None if none fits.
    """
    size = scene.objects[index].size
    sized = [f"{size} {{noun}}"] if _same(scene, {"size": size}) == [index] else []
    groups = [group for group in (_by_place(scene, index, rng), _by_extreme(scene, index), sized) if group]
    if not groups:
        return None
    return f"the {rng.choice(rng.choice(groups))}".format(noun=rng.choice(("object", "shape", "thing")))


def background_reference(rng: random.Random) -> str:
    """Words for everything that is no object."""
    return rng.choice(("the background", "the backdrop", "background", "everything behind the objects"))
