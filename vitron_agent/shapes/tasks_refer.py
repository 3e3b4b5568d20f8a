"""Which object words or a region mean, and what a call does to a scene.

The words are those of commands ("the small red circle", "leftmost object", "star above the blue square"), not those of
users. Task generators use this to know the truth, checkers to judge a planner's calls. Pixels are not known here.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from vitron_agent.invocation import EditCommand, Invocation, Module, parse_edit
from vitron_agent.media import Region, RegionKind
from vitron_agent.shapes.captions import PLACE_WORDS
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, HIGH, LOW, SHAPES, Box, Obj, Scene, Size, place_of, relation
from vitron_agent.shapes.tasks_layout import LARGE_R, SMALL_R, free_place

NOUNS = ("object", "shape", "thing", "one", "objects", "shapes", "things")
_PLACE_OF_WORDS = {words: place for place, forms in PLACE_WORDS.items() for words in forms}
EXTREMES = ("leftmost", "rightmost", "topmost", "lowest", "largest", "smallest")
_RELATION = re.compile(r"(.+?) (left of|right of|above|below) (.+)")
_BACKGROUND = re.compile(r"(?:the )?(?:background|backdrop|everything behind the objects)")


@dataclass(frozen=True)
class Words:
    """What a phrase says about an object; None where it says nothing."""

    shape: str | None = None
    colour: str | None = None
    size: Size | None = None


def read_words(phrase: str) -> Words:
    """Read an attribute phrase such as "a small red circle".

    Raises:
        ValueError: A word is unknown.
    """
    shape = colour = None
    size: Size | None = None
    for word in phrase.split():
        if word in SHAPES:
            shape = word
        elif word in COLOURS:
            colour = word
        elif word == "small":
            size = "small"
        elif word == "large":
            size = "large"
        elif word not in NOUNS and word not in ("the", "a", "an"):
            raise ValueError(f"{word!r} in {phrase!r} is no shape, colour or size of the small world")
    return Words(shape, colour, size)


def is_background(phrase: str) -> bool:
    """Whether a command's phrase means the background."""
    return _BACKGROUND.fullmatch(phrase.strip()) is not None


def is_everything(phrase: str) -> bool:
    """Whether a command's phrase means the whole picture, part by part."""
    return phrase.strip() == "everything"


def resolve(scene: Scene, phrase: str) -> tuple[int, ...]:
    """The objects that a command's phrase means, as indices into the scene.

    Args:
        scene: The picture's content.
        phrase: "the red circle", "object on the left", "largest object", "circle left of the star", "everything" …

    Returns:
        All that fit, in the scene's order; empty if none does (and for the background, see `is_background`).

    Raises:
        ValueError: A word is unknown.
    """
    phrase = phrase.strip().removeprefix("the ")
    everything = tuple(range(len(scene.objects)))
    if is_everything(phrase):
        return everything
    if is_background(phrase):
        return ()
    if match := _RELATION.fullmatch(phrase):
        head, word, tail = match.groups()
        anchors = resolve(scene, tail)
        return tuple(
            i
            for i in resolve(scene, head)
            if any(i != j and word in relation(scene.objects[i], scene.objects[j]) for j in anchors)
        )
    for words, place in _PLACE_OF_WORDS.items():
        if phrase.endswith(f" {words}"):
            found = resolve(scene, phrase.removesuffix(f" {words}"))
            return _at(scene, found, place)
    first, _, rest = phrase.partition(" ")
    if first in EXTREMES:
        found = resolve(scene, rest)
        return (max(found, key=lambda i: extreme_key(first, scene.objects[i])),) if found else ()
    wanted = read_words(phrase)
    return tuple(i for i in everything if fits(scene.objects[i], wanted))


def _at(scene: Scene, found: tuple[int, ...], place: str) -> tuple[int, ...]:
    """Those of `found` at a place: exactly there if any is, else on that side."""
    exact = tuple(i for i in found if scene.objects[i].place == place)
    return exact or tuple(i for i in found if at_place(scene.objects[i], place))


def fits(obj: Obj, words: Words) -> bool:
    """Whether an object is all that the words say."""
    return words.shape in (None, obj.shape) and words.colour in (None, obj.colour) and words.size in (None, obj.size)


def at_place(obj: Obj, place: str) -> bool:
    """Whether an object's centre satisfies a wish: a side means beyond 0.45 / 0.55, "top left" both of its sides."""
    if place == "centre":
        return place_of(obj.x, obj.y) == "centre"
    sides = {"left": obj.x < LOW, "right": obj.x > HIGH, "top": obj.y < LOW, "bottom": obj.y > HIGH}
    return all(sides[word] for word in place.split())


def extreme_key(word: str, obj: Obj) -> float:
    """What "leftmost", "largest" and so on maximise, share of the side."""
    keys = {
        "leftmost": -obj.x,
        "rightmost": obj.x,
        "topmost": -obj.y,
        "lowest": obj.y,
        "largest": 2 * obj.r,
        "smallest": -2 * obj.r,
    }
    return keys[word]


def phrase_for(scene: Scene, index: int) -> str | None:
    """The plainest command phrase that means this object only: colour and shape, then size, then place; or None."""
    obj = scene.objects[index]
    plain = f"{obj.colour} {obj.shape}"
    for phrase in (plain, f"{obj.size} {plain}", f"{plain} {PLACE_WORDS[obj.place][0]}"):
        if resolve(scene, phrase) == (index,):
            return phrase
    return None


def hit(scene: Scene, region: Region) -> int | None:
    """The object that a drawn region means: the one whose square overlaps it best (a click: the nearest)."""
    x1, y1, x2, y2 = region.box
    best, index = 0.0, None
    for i, obj in enumerate(scene.objects):
        left, top, right, bottom = obj.box
        width, height = min(x2, right) - max(x1, left), min(y2, bottom) - max(y1, top)
        if width <= 0 or height <= 0:
            continue
        union = (x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - width * height
        score = width * height / union
        if region.kind is RegionKind.CLICK:
            score = 1 / (1e-3 + abs((x1 + x2) / 2 - obj.x) + abs((y1 + y2) / 2 - obj.y))
        if score > best:
            best, index = score, i
    return index


def object_in(box: Box, phrase: str) -> Obj:
    """The object that a layout entry asks for; colour red and shape circle where the phrase names none."""
    words = read_words(phrase)
    x1, y1, x2, y2 = box
    r = min(x2 - x1, y2 - y1) / 2
    colour = words.colour or "red"
    size: Size = words.size or ("small" if r < 0.14 else "large")
    return Obj(words.shape or "circle", colour, size, (x1 + x2) / 2, (y1 + y2) / 2, r, COLOURS[colour])


def resized(obj: Obj, size: Size) -> Obj:
    """The object at its place in the other size, moved no further than the picture's edge demands."""
    r = LARGE_R if size == "large" else SMALL_R
    low, high = r + 0.02, 1 - r - 0.02
    return replace(obj, size=size, r=r, x=min(max(obj.x, low), high), y=min(max(obj.y, low), high))


def apply(scene: Scene | None, invocation: Invocation, drawn: Region | None = None) -> Scene:
    """What a call makes of a scene, if the specialist does exactly what it is told.

    Args:
        scene: The picture that the call starts from; None for a generation.
        invocation: A call of module A, B or C.
        drawn: The region that the user drew, for a call that means it.

    Returns:
        The new scene; for a segmentation the same one.

    Raises:
        ValueError: The call needs a picture, means no object, or several, or names what the small world lacks.
    """
    if invocation.module is Module.A:
        return _generated(invocation)
    if scene is None:
        raise ValueError(f"module {invocation.module.letter} needs a picture, and there is none")
    if invocation.module is Module.B:
        return scene
    edit = parse_edit(invocation.command)
    if edit.operation == "background":
        if edit.new not in BACKGROUNDS:
            raise ValueError(f"{edit.new!r} is no background of the small world")
        return replace(scene, background=edit.new)
    if edit.operation == "add":
        where = drawn if invocation.uses_drawn_region else invocation.region
        box = _sensible(where.box) if where else _free_box(scene, edit)
        return replace(scene, objects=(*scene.objects, object_in(box, edit.new or "")))
    index = target_of(scene, edit.target or "", drawn if invocation.uses_drawn_region else None)
    if edit.operation == "remove":
        return replace(scene, objects=scene.objects[:index] + scene.objects[index + 1 :])
    changed = _changed(scene.objects[index], read_words(edit.new or ""))
    return replace(scene, objects=(*scene.objects[:index], changed, *scene.objects[index + 1 :]))


def target_of(scene: Scene, phrase: str, drawn: Region | None = None) -> int:
    """The one object that an edit or segmentation is about.

    Raises:
        ValueError: There is none, or more than one.
    """
    found = resolve(scene, phrase) if drawn is None else tuple(i for i in [hit(scene, drawn)] if i is not None)
    if len(found) != 1:
        raise ValueError(f"{phrase!r} means {len(found)} objects of {[o.phrase for o in scene.objects]}, not one")
    return found[0]


@lru_cache(maxsize=4096)
def _background_of(command: str) -> str:
    """The background that a generation command names at its end, gray if none."""
    match = re.search(r"\ban? (\w+) background$", command)
    return match[1] if match and match[1] in BACKGROUNDS else "gray"


def _generated(invocation: Invocation) -> Scene:
    objects = tuple(object_in(entry.box, entry.phrase) for entry in invocation.layout)
    return Scene(_background_of(invocation.command), objects)


def _free_box(scene: Scene, edit: EditCommand) -> Box:
    """Where an object is added whose command gives no region.

    Raises:
        ValueError: There is no room, or what it shall stand beside means no object, or several.
    """
    beside = None
    if edit.beside is not None:
        word, anchors = edit.beside
        if len(anchors) > 1:
            raise ValueError(f"the small world has no room {word} {' and '.join(anchors)}")
        beside = word, scene.objects[target_of(scene, anchors[0])]
    box = free_place(scene, read_words(edit.new or "").size, edit.place, beside)
    if box is None:
        raise ValueError(f"there is no room for {edit.new!r}")
    return box


def _sensible(box: Box) -> Box:
    """A drawn box as an object's square: never smaller than the smallest object, nor larger than the largest."""
    x1, y1, x2, y2 = box
    x, y, r = (x1 + x2) / 2, (y1 + y2) / 2, min(max(min(x2 - x1, y2 - y1) / 2, 0.09), 0.22)
    x, y = min(max(x, r), 1 - r), min(max(y, r), 1 - r)
    return x - r, y - r, x + r, y + r


def _changed(obj: Obj, words: Words) -> Obj:
    if words.size and words.size != obj.size:
        obj = resized(obj, words.size)
    if words.colour and words.colour != obj.colour:
        obj = replace(obj, colour=words.colour, rgb=COLOURS[words.colour])
    return replace(obj, shape=words.shape) if words.shape else obj
