"""Requests for a new picture: wishes, their wording, the canonical command and the layout."""

from dataclasses import dataclass, replace
from functools import lru_cache

from vitron_agent.invocation import GroundedPhrase, Module
from vitron_agent.shapes.captions import PLACE_WORDS, article
from vitron_agent.shapes.language import Writer, plural
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, Size, clashes
from vitron_agent.shapes.tasks_layout import Relation, all_wishes, in_line, layout
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Step, Style
from vitron_agent.shapes.tasks_words import Wish, a_wish, new_object, new_objects

RELATIONS = ("left of", "right of", "above", "below")
PLACES = tuple(PLACE_WORDS)
_ROOM = {
    "left of": ("right", "centre", "top", "bottom", "top right", "bottom right"),
    "right of": ("left", "centre", "top", "bottom", "top left", "bottom left"),
    "above": ("bottom", "centre", "left", "right", "bottom left", "bottom right"),
    "below": ("top", "centre", "left", "right", "top left", "top right"),
}
"""Where the second of two may stand for the first to have room in a relation to it."""


@dataclass(frozen=True)
class Order:
    """What shall be seen, and the words for it.

    Attributes:
        wishes: The objects, in the order in which the words name them.
        relations: What was said about pairs of them.
        words: The objects in the user's words, without the background.
    """

    wishes: tuple[Wish, ...]
    relations: tuple[Relation, ...]
    words: str


def draw(session: Session, style: Style) -> Step | None:
    """Ask for a picture of one to three objects; the new picture is then in hand."""
    writer, rng = session.writer, session.writer.rng
    background = rng.choice(tuple(BACKGROUNDS)) if writer.chance(0.55) else None
    if style == "full" and writer.chance(0.015):
        return _anything(session)
    maker = rng.choices(_MAKERS, _WEIGHTS)[0]
    order = maker(writer, background or "gray")
    boxes = layout(
        tuple(size_of(wish) for wish in order.wishes), tuple(wish.place for wish in order.wishes), order.relations
    )
    if boxes is None:
        return None
    scene_words = with_background(writer, order.words, background)
    fresh = not session.pictures and writer.chance(0.06)
    clause = writer.say("draw.fresh", scene=scene_words) if fresh else session.worded("draw", style, scene=scene_words)
    phrases = [wish.phrase for wish in order.wishes]
    entries = tuple(GroundedPhrase(phrase=p, box=box) for p, box in zip(phrases, boxes, strict=True))
    facts = {"kind": "draw", "objects": order.wishes, "relations": order.relations, "background": background}
    action = session.call(Module.A, command_for(order, background or "gray"), layout=entries)
    session.focus = 0 if len(entries) == 1 else None
    return Step(clause, (action,), "Here is your picture.", {**facts, "scene": action.scene})


def _anything(session: Session) -> Step:
    """Leave the choice to the agent."""
    clause = session.worded("draw.any", "bare")
    wish, background = Wish("star"), "navy"
    facts = {"kind": "draw", "objects": (wish,), "relations": (), "background": None}
    entry = GroundedPhrase(phrase=wish.phrase, box=(0.32, 0.32, 0.68, 0.68))
    action = session.call(Module.A, command_for(Order((wish,), (), ""), background), layout=(entry,))
    session.focus = 0
    return Step(clause, (action,), "Here is your picture.", {**facts, "scene": action.scene})


def size_of(wish: Wish) -> Size | None:
    """The size that was said, as a layout takes it."""
    return "small" if wish.size == "small" else "large" if wish.size == "large" else None


def command_for(order: Order, background: str) -> str:
    """The canonical caption: objects with wished places and relations, then the background."""
    parts = [
        f"{article(wish.phrase)} {PLACE_WORDS[wish.place][0]}" if wish.place else article(wish.phrase)
        for wish in order.wishes
    ]
    joined = {first: (word, second) for first, word, second in order.relations}
    text, i = [], 0
    while i < len(parts):
        if i in joined and joined[i][1] == i + 1:
            text.append(f"{parts[i]} {joined[i][0]} {parts[i + 1]}")
            i += 1
        else:
            text.append(parts[i])
        i += 1
    objects = text[0] if len(text) == 1 else f"{', '.join(text[:-1])} and {text[-1]}"
    return f"{objects} on {article(background)} background"


def with_background(writer: Writer, words: str, background: str | None) -> str:
    """Words for objects, followed (or preceded) by words for the background, where there is one."""
    if background is None:
        return words
    ground = writer.word(f"ground.{background}")
    if writer.chance(0.12):
        return writer.say("on.before", objects=words, ground=ground)
    return f"{words} {writer.say('on', ground=ground)}"


def _one(writer: Writer, ground: str) -> Order:
    wish = a_wish(writer.rng, ground)
    unnamed = writer.chance(0.02)  # "something red": the agent chooses a circle
    wish = replace(wish, shape="circle") if unnamed else wish
    words = new_object(writer, wish, writer.word("shape_noun") if unnamed else None)
    if writer.chance(0.4):
        wish = replace(wish, place=writer.rng.choice(PLACES))
        words = _at(writer, words, wish)
    return Order((wish,), (), words)


def _list(writer: Writer, ground: str) -> Order:
    count = 2 if writer.chance(0.6) else 3
    wishes = tuple(a_wish(writer.rng, ground) for _ in range(count))
    return Order(wishes, (), writer.say(f"list.{count}", **_named(writer, wishes)))


def _named(writer: Writer, wishes: tuple[Wish, ...]) -> dict[str, str]:
    return {name: new_object(writer, wish) for name, wish in zip("abc", wishes, strict=False)}


def _shape_words(writer: Writer, a: Wish, b: Wish) -> dict[str, str]:
    """Two objects and the bare names by which the same sentence may call them again."""
    first, second = writer.word(f"word.{a.shape}"), writer.word(f"word.{b.shape}")
    return {
        "a": new_object(writer, a, first),
        "b": new_object(writer, b, second),
        "ashape": first,
        "bshape": second,
    }


def _different(writer: Writer, ground: str) -> tuple[Wish, Wish]:
    """Two wishes of different shapes."""
    first, second = a_wish(writer.rng, ground), a_wish(writer.rng, ground)
    while second.shape == first.shape:
        second = replace(second, shape=writer.rng.choice(SHAPES))
    return first, second


def _related(writer: Writer, ground: str) -> Order:
    a, b = _different(writer, ground)
    word = writer.rng.choice(RELATIONS)
    names = _shape_words(writer, a, b)
    if writer.chance(0.3):  # "a star at the top left and a circle below it"
        b = replace(b, place=writer.rng.choice(_ROOM[word]))
        names["b"] = _at(writer, names["b"], b)
    if writer.chance(0.25):
        words = writer.say("its.2", **names, its=writer.word(f"its.{word}"))
    else:
        words = writer.say("rel.2", **names, rel=writer.word(f"rel.{word}"))
    if writer.chance(0.82):
        return Order((a, b), ((0, word, 1),), words)
    c = a_wish(writer.rng, ground)
    words = f"{words}{writer.rng.choice((', and ', ' and ', ', plus ', ' and also '))}{new_object(writer, c)}"
    return Order((a, b, c), ((0, word, 1),), words)


def _at(writer: Writer, words: str, wish: Wish) -> str:
    """Words for an object, with its place."""
    return writer.say("at.1", a=words, place=writer.word(f"place.{wish.place}"))


def _partly(writer: Writer, ground: str) -> Order:
    """A list in which some have their place: "a red circle on the left and a star"."""
    count = 2 if writer.chance(0.6) else 3
    places: list[str | None] = [None] * count
    placed = writer.rng.sample(range(count), writer.rng.randint(1, count - 1))
    for index, place in zip(placed, writer.rng.sample(PLACES, len(placed)), strict=True):
        places[index] = place
    wishes = tuple(replace(a_wish(writer.rng, ground), place=place) for place in places)
    named = {
        letter: _at(writer, words, wish) if wish.place else words
        for (letter, words), wish in zip(_named(writer, wishes).items(), wishes, strict=True)
    }
    return Order(wishes, (), writer.say(f"list.{count}", **named))


def _ones(writer: Writer, ground: str) -> Order:
    """Objects of one shape, told apart by colour and place: "two stars: a red one on the left and a blue one below"."""
    count = 2 if writer.chance(0.5) else 3
    places = writer.rng.choice(_pairs()) if count == 2 else tuple(writer.rng.sample(PLACES, 3))
    colours = writer.rng.sample([name for name in COLOURS if not clashes(name, ground)], count)
    shape = writer.rng.choice(SHAPES)
    word = writer.word(f"word.{shape}")
    slots = {"shape": word, "shapes": plural(word)}
    slots |= {f"p{letter}": writer.word(f"place.{place}") for letter, place in zip("abc", places, strict=False)}
    names = ("colour", "colour2", "colour3")
    slots |= {name: writer.word(f"word.{colour}") for name, colour in zip(names, colours, strict=False)}
    wishes = tuple(Wish(shape, colour, place=place) for colour, place in zip(colours, places, strict=True))
    return Order(wishes, (), writer.say(f"ones.{count}", **slots))


def _placed(writer: Writer, ground: str) -> Order:
    a, b = _different(writer, ground)
    if writer.chance(0.7):
        first, second = writer.rng.choice(_pairs())
        a, b = replace(a, place=first), replace(b, place=second)
        said = {"pa": writer.word(f"place.{first}"), "pb": writer.word(f"place.{second}")}
        return Order((a, b), (), writer.say("place.2", **_shape_words(writer, a, b), **said))
    chosen = writer.rng.sample(PLACES, 3)
    wishes = tuple(replace(a_wish(writer.rng, ground, size=0.1), place=place) for place in chosen)
    places = {f"p{letter}": writer.word(f"place.{place}") for letter, place in zip("abc", chosen, strict=True)}
    return Order(wishes, (), writer.say("place.3", **_named(writer, wishes), **places))


@lru_cache(maxsize=1)
def _pairs() -> tuple[tuple[str, str], ...]:
    return tuple((a, b) for a, b in all_wishes() if a is not None and b is not None)


def _in_line(writer: Writer, ground: str) -> Order:
    axis = "x" if writer.chance(0.6) else "y"
    count = 3 if writer.chance(0.6) else 2
    wishes = tuple(a_wish(writer.rng, ground, size=0.1 if count == 3 else 0.3) for _ in range(count))
    words = writer.say(f"{'row' if axis == 'x' else 'column'}.{count}", **_named(writer, wishes))
    if count == 2:
        return Order(wishes, ((0, "left of" if axis == "x" else "above", 1),), words)
    places = in_line(count, axis)
    wishes = tuple(replace(wish, place=place, size=None) for wish, place in zip(wishes, places, strict=True))
    return Order(wishes, (), writer.say(f"{'row' if axis == 'x' else 'column'}.{count}", **_named(writer, wishes)))


def _alike(writer: Writer, ground: str) -> Order:
    """Several of one kind: "two red circles", "two red circles and a star", "three stars in a row"."""
    wish = a_wish(writer.rng, ground, size=0.2)
    count = 2 if writer.chance(0.6) else 3
    words = new_objects(writer, wish, count)
    if count == 2 and writer.chance(0.3):
        other = a_wish(writer.rng, ground)
        return Order((wish, wish, other), (), f"{words} and {new_object(writer, other)}")
    if writer.chance(0.35):
        axis = "x" if writer.chance(0.6) else "y"
        wish = replace(wish, size=None)
        wishes = tuple(replace(wish, place=place) for place in in_line(count, axis))
        return Order(wishes, (), writer.say("alike.row" if axis == "x" else "alike.column", things=words))
    return Order((wish,) * count, (), words)


def _shared(writer: Writer, ground: str) -> Order:
    """Objects that share their shape ("two circles, one red and one blue") or their colour."""
    colours = [name for name in COLOURS if not clashes(name, ground)]
    first, second, third = writer.rng.sample(colours, 3)
    shape, shape2 = writer.rng.sample(SHAPES, 2)
    word = writer.word(f"word.{shape}")
    slots = {"shape": word, "shapes": plural(word), "colour": writer.word(f"word.{first}")}
    kind = writer.rng.random()
    if kind < 0.2:
        more = {"colour2": writer.word(f"word.{second}"), "colour3": writer.word(f"word.{third}")}
        wishes = tuple(Wish(shape, colour) for colour in (first, second, third))
        return Order(wishes, (), writer.say("threecolour", **slots, **more))
    if kind < 0.4:
        size, size2 = writer.rng.sample(("small", "large"), 2)
        more = {"size": writer.word(f"word.{size}"), "size2": writer.word(f"word.{size2}")}
        return Order((Wish(shape, first, size), Wish(shape, first, size2)), (), writer.say("twosize", **slots, **more))
    if kind < 0.75:
        words = writer.say("twocolour", **slots, colour2=writer.word(f"word.{second}"))
        return Order((Wish(shape, first), Wish(shape, second)), (), words)
    words = writer.say("samecolour", **slots, shape2=writer.word(f"word.{shape2}"))
    return Order((Wish(shape, first), Wish(shape2, first)), (), words)


_MAKERS = (_one, _list, _related, _placed, _partly, _in_line, _alike, _shared, _ones)
_WEIGHTS = (0.27, 0.15, 0.2, 0.1, 0.1, 0.05, 0.08, 0.06, 0.05)
