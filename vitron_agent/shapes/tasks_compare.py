"""Questions about several objects: comparisons, relations, places, extremes; and how often each question is drawn."""

from collections.abc import Callable

from vitron_agent.shapes.captions import PLACE_WORDS, listed
from vitron_agent.shapes.scene import relation
from vitron_agent.shapes.tasks_ask import (
    answered,
    attribute,
    colours,
    describe,
    ground_of,
    missing,
    must_of,
    name,
    they_are,
    told,
    verify,
    where,
    which_colour,
)
from vitron_agent.shapes.tasks_count import count, exists
from vitron_agent.shapes.tasks_draw import RELATIONS
from vitron_agent.shapes.tasks_many import by_place
from vitron_agent.shapes.tasks_refer import at_place, extreme_key
from vitron_agent.shapes.tasks_session import Session, capital
from vitron_agent.shapes.tasks_turns import Step, Style
from vitron_agent.shapes.tasks_words import Reference, pick, point_at

_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
CLEAR = 0.04
"""Least difference of two half sides that is called bigger or smaller."""


def _pair(session: Session) -> tuple[Reference, Reference] | None:
    scene = session.scene
    if len(scene.objects) < 2:
        return None
    first, second = session.writer.rng.sample(range(len(scene.objects)), 2)
    x, y = point_at(session, first, plain=True), point_at(session, second, plain=True)
    return None if x is None or y is None else (x, y)


def compare(session: Session, style: Style) -> Step | None:
    """Ask which of two objects is bigger or smaller, or whether one is."""
    writer, scene = session.writer, session.scene
    pair = _pair(session)
    if pair is None:
        return None
    x, y = pair
    a, b = scene.objects[x.index], scene.objects[y.index]
    if abs(a.r - b.r) < CLEAR or "large" in x.phrase + y.phrase or "small" in x.phrase + y.phrase:
        return None
    word = writer.rng.choice(("larger", "smaller"))
    holds = (a.r > b.r) == (word == "larger")
    if writer.chance(0.3):
        clause = session.direct(style, f"which.{word}", x=x.words, y=y.words)
        better = x if holds else y
        return answered(clause, "which", f"{capital(better.phrase)} is {word}.", better.phrase.split()[1:], scene)
    if style == "bare" or writer.chance(0.15):
        said = writer.rng.choice({"larger": ("bigger", "larger"), "smaller": ("smaller",)}[word])
        clause = writer.say(
            "ask.lead" if style == "full" else "ask.do", ask=writer.say("compare.in", x=x.words, y=y.words, bigger=said)
        )
    else:
        clause = writer.say("question", q=writer.say(word, x=x.words, y=y.words)) + "?"
    real = word if holds else {"larger": "smaller", "smaller": "larger"}[word]
    answer = told(f"{x.phrase} is {real} than {y.phrase}", holds)
    return answered(clause, "compare", answer, ("yes" if holds else "no",), scene)


def related(session: Session, style: Style) -> Step | None:
    """Ask whether one object is left of, right of, above or below another."""
    writer, scene = session.writer, session.scene
    pair = _pair(session)
    if pair is None:
        return None
    x, y = pair
    true = relation(scene.objects[x.index], scene.objects[y.index], margin=0.12)
    options = [w for w in RELATIONS if w in true or _OPPOSITE[w] in true]
    if not options:
        return None
    word = writer.rng.choice(options)
    holds = word in true
    clause = session.asked("related", style, x=x.words, y=y.words, rel=writer.word(f"rel.{word}"))
    real = word if holds else _OPPOSITE[word]
    answer = told(f"{x.phrase} is {real} {y.phrase}", holds)
    return answered(clause, "related", answer, ("yes" if holds else "no",), scene)


def what_related(session: Session, style: Style) -> Step | None:
    """Ask what is left of, right of, above or below an object."""
    writer, scene = session.writer, session.scene
    anchor = pick(session, 0.2, plain=True)
    if anchor is None or len(scene.objects) < 2:
        return None
    word, y = writer.rng.choice(RELATIONS), scene.objects[anchor.index]
    others = [scene.objects[i] for i in by_place(scene) if i != anchor.index]
    if any(abs(o.x - y.x) < 0.12 if word in RELATIONS[:2] else abs(o.y - y.y) < 0.12 for o in others):
        return None  # too close to call
    found = [o for o in others if word in relation(o, y, margin=0.12)]
    clause = session.direct(style, "what.related", y=anchor.words, rel=writer.word(f"rel.{word}"))
    return answered(clause, "what related", they_are(found, f"{word} {anchor.phrase}"), must_of(found), scene)


def at(session: Session, style: Style) -> Step:
    """Ask what is at a place."""
    writer, scene = session.writer, session.scene
    place = writer.rng.choice(tuple(PLACE_WORDS))
    if scene.objects and writer.chance(0.6):
        place = writer.rng.choice(scene.objects).place
    found = [o for o in (scene.objects[i] for i in by_place(scene)) if at_place(o, place)]
    clause = session.direct(style, "at.place", place=writer.word(f"place.{place}"))
    return answered(clause, "at place", they_are(found, PLACE_WORDS[place][0]), must_of(found), scene)


def extreme(session: Session, style: Style) -> Step | None:
    """Ask for the largest, smallest, leftmost … object."""
    writer, scene = session.writer, session.scene
    word = writer.rng.choice(
        ("largest", "smallest", "largest", "smallest", "leftmost", "rightmost", "topmost", "lowest")
    )
    ranked = sorted(scene.objects, key=lambda o: extreme_key(word, o), reverse=True)
    margin = 2 * CLEAR if word in ("largest", "smallest") else 0.1
    if len(ranked) < 2 or extreme_key(word, ranked[0]) - extreme_key(word, ranked[1]) < margin:
        return None
    if style == "full" and writer.chance(0.8):
        clause = writer.say("question", q=writer.say(f"extreme.{word}")) + "?"
    else:
        said = writer.rng.choice(
            {"largest": ("largest", "biggest"), "smallest": ("smallest", "tiniest")}.get(word, (word,))
        )
        clause = writer.say("ask.lead" if style == "full" else "ask.do", ask=writer.say("extreme.in", extreme=said))
    session.focus = scene.objects.index(ranked[0])
    answer = f"The {word} object is the {name(ranked[0])}."
    return answered(clause, "extreme", answer, (ranked[0].colour, ranked[0].shape), scene)


def which_side(session: Session, style: Style) -> Step | None:
    """Ask which of two objects is further left, right, up or down."""
    scene, pair = session.scene, _pair(session)
    if pair is None:
        return None
    x, y = pair
    true = relation(scene.objects[x.index], scene.objects[y.index], margin=0.12)
    if not true:
        return None
    word = session.writer.rng.choice(true)
    word = word if session.writer.chance(0.5) else _OPPOSITE[word]
    clause = session.direct(style, f"which.{word}", x=x.words, y=y.words)
    first, second = (x, y) if word in true else (y, x)
    answer = f"{capital(first.phrase)} is {word} {second.phrase}."
    return answered(clause, "which side", answer, first.phrase.split()[1:], scene)


def all_colour(session: Session, style: Style) -> Step | None:
    """Ask whether all objects have a colour."""
    writer, scene = session.writer, session.scene
    if len(scene.objects) < 2:
        return None
    there = [scene.objects[i].colour for i in by_place(scene)]
    colour = writer.rng.choice(there)
    clause = session.direct(style, "all.colour", colour=writer.word(f"word.{colour}"))
    yes = set(there) == {colour}
    fact = f"the objects are {listed(list(dict.fromkeys(there)))}"  # named first, judged then
    return answered(clause, "all colour", told(fact, yes), ("yes" if yes else "no",), scene)


def touch(session: Session, style: Style) -> Step | None:
    """Ask whether objects touch: here they never do."""
    pair = _pair(session)
    if pair is None:
        return None
    clause = session.direct(style, "touch", x=pair[0].words, y=pair[1].words)
    return answered(clause, "touch", "No, the objects do not touch.", ("no",), session.scene)


def same_colour(session: Session, style: Style) -> Step | None:
    """Ask whether two objects have the same colour."""
    writer, scene = session.writer, session.scene
    if len(scene.objects) < 2:
        return None
    a, b = writer.rng.sample(scene.objects, 2)
    if sum(o.shape in (a.shape, b.shape) for o in scene.objects) != 2 or a.shape == b.shape:
        return None
    words = {"x": f"the {writer.word(f'word.{a.shape}')}", "y": f"the {writer.word(f'word.{b.shape}')}"}
    clause = session.direct(style, "same.colour", **words)
    same = a.colour == b.colour
    answer = told(f"the {a.shape} is {a.colour} and the {b.shape} is {b.colour}", same)
    return answered(clause, "same colour", answer, ("yes" if same else "no",), scene)


QUESTIONS: tuple[tuple[Callable[[Session, Style], Step | None], float], ...] = (
    (describe, 0.13),
    (count, 0.16),
    (attribute, 0.17),
    (exists, 0.09),
    (verify, 0.08),
    (compare, 0.08),
    (related, 0.08),
    (what_related, 0.05),
    (at, 0.05),
    (extreme, 0.06),
    (where, 0.09),
    (ground_of, 0.06),
    (colours, 0.02),
    (which_colour, 0.03),
    (same_colour, 0.02),
    (which_side, 0.03),
    (all_colour, 0.03),
    (touch, 0.01),
    (missing, 0.03),
)
