"""Noun phrases for scenes: naming new objects, pointing at those that are there, drawing a region around one.

Each choice gives two things: the words a user says, and the plain phrase that a command uses.
"""

import math
import random
from dataclasses import dataclass, replace

from vitron_agent.media import Region, RegionKind
from vitron_agent.shapes.captions import PLACE_WORDS
from vitron_agent.shapes.language import REGION_MARK, Writer, plural
from vitron_agent.shapes.scene import COLOURS, SHAPES, Obj, Scene, clashes, relation, sample_object
from vitron_agent.shapes.tasks_refer import extreme_key, resolve
from vitron_agent.shapes.tasks_session import Session

SIZES = ("small", "large")
DEFAULT_COLOUR = {
    "circle": "red",
    "square": "blue",
    "triangle": "green",
    "star": "yellow",
    "cross": "orange",
    "diamond": "purple",
}
"""The colour that an object gets when the user wishes none."""


@dataclass(frozen=True)
class Wish:
    """A new object as a user wishes it; None for what is left open."""

    shape: str
    colour: str | None = None
    size: str | None = None
    place: str | None = None

    @property
    def phrase(self) -> str:
        """The words of a command: wished size, colour (chosen if left open) and shape."""
        words = (self.size, self.colour or DEFAULT_COLOUR[self.shape], self.shape)
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Reference:
    """How an object is pointed at: the user's words, the command's phrase, the object's index."""

    words: str
    phrase: str
    index: int


def a_wish(rng: random.Random, background: str = "gray", size: float = 0.3) -> Wish:
    """Draw a wish; the colour is mostly said, the size in this share of the cases."""
    colours = [name for name in COLOURS if not clashes(name, background)]
    return Wish(
        rng.choice(SHAPES),
        rng.choice(colours) if rng.random() < 0.86 else None,
        rng.choice(SIZES) if rng.random() < size else None,
    )


def new_object(writer: Writer, wish: Wish, shape_word: str | None = None) -> str:
    """Word a new object: "a big crimson disc". The shape's word is drawn unless given."""
    family = {(True, True): "np.csz", (True, False): "np.c", (False, True): "np.sz", (False, False): "np.plain"}
    return writer.say(family[wish.colour is not None, wish.size is not None], **_words(writer, wish, shape_word))


def new_objects(writer: Writer, wish: Wish, count: int) -> str:
    """Word several alike new objects: "two red circles"."""
    family = {(True, True): "csz", (True, False): "c", (False, True): "sz", (False, False): "plain"}
    words = _words(writer, wish, None)
    name = f"np.plural.{family[wish.colour is not None, wish.size is not None]}"
    return writer.say(name, **words, shapes=plural(words["shape"]), number=writer.word(f"number.{count}"))


def _words(writer: Writer, wish: Wish, shape_word: str | None) -> dict[str, str]:
    words = {"shape": shape_word or writer.word(f"word.{wish.shape}")}
    if wish.colour:
        words["colour"] = writer.word(f"word.{wish.colour}")
    if wish.size:
        words["size"] = writer.word(f"word.{wish.size}")
    return words


def point_at(session: Session, index: int, plain: bool = False) -> Reference | None:
    """Words for an object of the picture in hand: by attributes, place, extreme or relation.

    Args:
        session: The conversation.
        index: Which object.
        plain: Attributes only (as in "the red circle").

    Returns:
        A reference whose phrase means exactly this object, or None if the drawn form does not.
    """
    scene, rng = session.scene, session.writer.rng
    draw = rng.random()
    found: tuple[str, str] | None
    if not plain and is_between(scene, index) and rng.random() < 0.3:
        found = _in_the_middle(session, index)
    elif plain or draw < 0.7:
        found = _by_attributes(session.writer, scene.objects[index], rng)
    elif draw < 0.8:
        found = _by_place(session.writer, scene.objects[index])
    elif draw < 0.9:
        found = _by_extreme(session.writer, scene, index)
    else:
        found = _by_relation(session.writer, scene, index)
    if found is None or resolve(scene, found[1]) != (index,):
        return None
    return Reference(found[0], f"the {found[1]}", index)


def point_at_nothing(session: Session) -> tuple[str, str]:
    """Words for an object that is not there, and the plain phrase without its article ("red circle").

    They are worded as those for an object that is there (by attributes), and half of them differ from one by a single
    word: whether something is there can then be told from the picture alone, and not from how it was asked for.
    """
    scene, writer, rng = session.scene, session.writer, session.writer.rng
    while True:
        ghost = sample_object(rng, scene.background)
        if scene.objects and rng.random() < 0.5:
            near = rng.choice(scene.objects)
            ghost = rng.choice((replace(near, shape=ghost.shape), replace(near, colour=ghost.colour)))
        words, phrase = _by_attributes(writer, ghost, rng)
        if not resolve(scene, phrase):
            return words, phrase


def clear_size(obj: Obj) -> bool:
    """Whether an object is clearly small or clearly large, so that people would say so."""
    return obj.r <= 0.125 or obj.r >= 0.155


def _by_attributes(writer: Writer, obj: Obj, rng: random.Random) -> tuple[str, str]:
    forms = ["c", "c", "c", "s", "s", "colour"] + (["csz", "sz", "size"] if clear_size(obj) else [])
    form = rng.choice(forms)
    slots = {"shape": writer.word(f"word.{obj.shape}")}
    slots["colour"], slots["size"] = writer.word(f"word.{obj.colour}"), writer.word(f"word.{obj.size}")
    phrase = {
        "c": f"{obj.colour} {obj.shape}",
        "s": obj.shape,
        "colour": f"{obj.colour} object",
        "csz": obj.phrase,
        "sz": f"{obj.size} {obj.shape}",
        "size": f"{obj.size} object",
    }[form]
    return writer.say(f"def.{form}", **slots), phrase


def _by_place(writer: Writer, obj: Obj) -> tuple[str, str]:
    """A place alone ("the one at the top left"; sides are worded as extremes), or with the shape."""
    place = writer.word(f"place.{obj.place}")
    said = PLACE_WORDS[obj.place][0]
    if writer.chance(0.5) or " " not in obj.place and obj.place != "centre":
        template = writer.say(
            "def.shape.place",
            shape=writer.word(f"word.{obj.shape}"),
            colour=writer.word(f"word.{obj.colour}"),
            place=place,
        )
        return template, f"{obj.shape} {said}"
    return writer.say("def.place", place=place), f"object {said}"


def is_between(scene: Scene, index: int) -> bool:
    """Whether an object is clearly the second of three that stand beside each other."""
    if len(scene.objects) != 3:
        return False
    first, second, third = sorted(scene.objects, key=lambda obj: obj.x)
    in_row = max(obj.y for obj in scene.objects) - min(obj.y for obj in scene.objects) < 0.3
    return second is scene.objects[index] and in_row and min(second.x - first.x, third.x - second.x) > 0.15


def _in_the_middle(session: Session, index: int) -> tuple[str, str] | None:
    """Where it stands among the others, in the command by its own name: SEEM knows no order."""
    name = session.name_of(index)
    return None if name is None else (session.writer.say("def.middle"), name)


def _by_extreme(writer: Writer, scene: Scene, index: int) -> tuple[str, str] | None:
    obj, others = scene.objects[index], [o for i, o in enumerate(scene.objects) if i != index]
    words = [
        word
        for word in ("leftmost", "rightmost", "topmost", "lowest", "largest", "smallest")
        if others and all(extreme_key(word, obj) > extreme_key(word, o) + 0.1 for o in others)
    ]
    if not words:
        return None
    word = writer.rng.choice(words)
    return writer.say(f"def.{word}"), f"{word} object"


def _by_relation(writer: Writer, scene: Scene, index: int) -> tuple[str, str] | None:
    obj = scene.objects[index]
    others = [(o, word) for i, o in enumerate(scene.objects) if i != index for word in relation(obj, o, margin=0.15)]
    if not others:
        return None
    other, word = writer.rng.choice(others)
    tail = f"{other.colour} {other.shape}"
    if resolve(scene, tail) != (scene.objects.index(other),):
        return None
    thing = len(scene.objects) == 2 and writer.chance(0.4)
    a = "the " + (writer.word("thing") if thing else writer.word(f"word.{obj.shape}"))
    b = f"the {writer.word(f'word.{other.colour}')} {writer.word(f'word.{other.shape}')}"
    head = "object" if thing else obj.shape
    return writer.say("def.relation", a=a, b=b, rel=writer.word(f"rel.{word}")), f"{head} {word} the {tail}"


def pick(session: Session, pronoun: float = 0.5, plain: bool = False) -> Reference | None:
    """Point at some object of the picture in hand; at the one spoken of by a pronoun in that share of the cases.

    "It" means the object spoken of last, or the only one there is.
    """
    scene = session.scene
    if not scene.objects:
        return None
    alone = len(scene.objects) == 1
    focus = 0 if alone else session.focus
    if focus is not None and session.writer.chance(pronoun if not alone else pronoun * 0.7):
        phrase = session.name_of(focus)
        if phrase is not None:
            words = session.writer.rng.choice(("it", "it", "it", "it", "that", "it", "that one" if not alone else "it"))
            return Reference(words, f"the {phrase}", focus)
    for _ in range(6):
        found = point_at(session, session.writer.rng.randrange(len(scene.objects)), plain)
        if found is not None:
            return found
    return None


@dataclass(frozen=True)
class Kind:
    """All objects of a shape or colour: the user's words for many and for one, the plain plural, the indices."""

    words: str
    word: str
    phrase: str
    indices: tuple[int, ...]


def kind_of(session: Session, least: int) -> Kind | None:
    """Point at all objects of a shape or of a colour, from left to right; None if they are fewer than `least`."""
    scene, writer = session.scene, session.writer
    if not scene.objects:
        return None
    model = writer.rng.choice(scene.objects)
    by_shape = writer.chance(0.6)
    found = [
        i for i, o in enumerate(scene.objects) if (o.shape == model.shape if by_shape else o.colour == model.colour)
    ]
    if len(found) < least:
        return None
    found.sort(key=lambda i: scene.objects[i].x)
    if by_shape:
        word, phrase = writer.word(f"word.{model.shape}"), plural(model.shape)
    else:
        word, phrase = f"{writer.word(f'word.{model.colour}')} {writer.word('shape_noun')}", f"{model.colour} objects"
    return Kind(plural(word), word, phrase, tuple(found))


def drawn_around(obj: Obj, rng: random.Random) -> Region:
    """A region that a user draws to mean an object: a click, box, polygon or scribble, as imprecise as hands are."""
    kind = rng.choice((RegionKind.CLICK, RegionKind.BOX, RegionKind.POLYGON, RegionKind.SCRIBBLE))
    if kind is RegionKind.BOX:
        x1, y1, x2, y2 = (_inside(side + rng.uniform(-0.2, 0.2) * obj.r) for side in obj.box)
        return Region.from_box(x1, y1, x2, y2)
    if kind is RegionKind.CLICK:
        angle, reach = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.3) * obj.r
        points = [(obj.x + reach * math.cos(angle), obj.y + reach * math.sin(angle))]
    elif kind is RegionKind.POLYGON:
        count, turn = rng.randint(5, 9), rng.uniform(0, 2 * math.pi)
        angles = [turn + 2 * math.pi * i / count for i in range(count)]
        reach = obj.r * rng.uniform(1.0, 1.3)
        points = [(obj.x + reach * math.cos(a), obj.y + reach * math.sin(a)) for a in angles]
    else:
        reach = 0.45 * obj.r
        points = [
            (obj.x + rng.uniform(-reach, reach), obj.y + rng.uniform(-reach, reach)) for _ in range(rng.randint(3, 7))
        ]
    return Region(kind=kind, points=tuple((_inside(x), _inside(y)) for x, y in points))


def _inside(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def mark(writer: Writer) -> str:
    """The region's token, where the wording names it; else it is put at an end of the turn."""
    return REGION_MARK if writer.chance(0.35) else ""
