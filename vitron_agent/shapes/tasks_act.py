"""Requests for one change: their wording, the canonical command, and what the picture becomes.

Every maker takes a session and a style and returns a step, having carried it out in the session; None where the picture
in hand does not allow it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vitron_agent.invocation import Module
from vitron_agent.shapes.captions import article
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, Obj, Scene, Size, apart, clashes
from vitron_agent.shapes.tasks_refer import hit, resized
from vitron_agent.shapes.tasks_segment import around
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Facts, Step, Style
from vitron_agent.shapes.tasks_words import (
    Reference,
    Wish,
    clear_size,
    drawn_around,
    mark,
    new_object,
    pick,
    point_at,
)

Maker = Callable[[Session, Style], Step | None]
TakesRegion = Callable[[Session, Style, bool], Step | None]
"""A maker that may be told to point by a drawn region."""


def edit_facts(operation: str, before: Scene, after: Scene, target: int | None) -> Facts:
    """The truth about an edit: the scenes around it, and the object that was meant in the first one."""
    return {"kind": "edit", "operation": operation, "before": before, "after": after, "target": target}


def _target(session: Session, by_region: bool) -> tuple[Reference, dict[str, bool]] | None:
    """Point at an object by words or by a drawn region; with the fields that the call needs for it."""
    if not by_region:
        found = pick(session)
        return None if found is None else (found, {})
    drawn = around(session)
    if drawn is None:
        return None
    words = session.writer.say("region.np", mark=mark(session.writer))
    return Reference(words, "the object", drawn[0]), {"uses_drawn_region": True}


def changed(
    session: Session, clause: str, target: Reference, new: Obj, is_now: str, size: bool, more: dict[str, Any]
) -> Step:
    """Replace an object: command, call, answer and facts."""
    before = session.scene
    words = new.phrase if size else f"{new.colour} {new.shape}"
    action = session.call(Module.C, f"replace {target.phrase} with {article(words)}", **more)
    session.focus = target.index
    facts = edit_facts("replace", before, session.scene, target.index)
    about = "" if more else target.phrase
    return Step(clause, (action,), f"Done: {target.phrase} is {is_now} now.", facts, about=about)


def other_colour(session: Session, index: int) -> str:
    """Draw a colour that an object does not have and that the background does not hide."""
    scene = session.scene
    wrong = scene.objects[index].colour
    return session.writer.rng.choice([c for c in COLOURS if c != wrong and not clashes(c, scene.background)])


def elliptic(session: Session, style: Style) -> Reference | None:
    """The object spoken of last, where a dialogue lets its name be dropped ("now blue"); in some of the cases."""
    if style == "bare" or session.focus is None or not session.turns or not session.writer.chance(0.25):
        return None
    phrase = session.name_of(session.focus)
    return None if phrase is None else Reference("it", f"the {phrase}", session.focus)


def recolour(session: Session, style: Style, by_region: bool = False) -> Step | None:
    """Ask for another colour of an object."""
    short = None if by_region else elliptic(session, style)
    found = (short, {}) if short else _target(session, by_region)
    if found is None:
        return None
    target, more = found
    colour = other_colour(session, target.index)
    word = session.writer.word(f"word.{colour}")
    if short:
        clause = session.writer.say("recolour.short", colour=word)
    else:
        clause = session.worded("recolour", style, x=target.words, colour=word)
    new = replace(session.scene.objects[target.index], colour=colour)
    return changed(session, clause, target, new, colour, False, more)


def recolour_like(session: Session, style: Style) -> Step | None:
    """Ask for the colour of another object, pointed at by words or by a drawn region."""
    scene, writer = session.scene, session.writer
    if len(scene.objects) < 2:
        return None
    first, second = writer.rng.sample(range(len(scene.objects)), 2)
    x = point_at(session, first, plain=True)
    y = point_at(session, second, plain=True)
    if x is None or y is None or scene.objects[first].colour == scene.objects[second].colour:
        return None
    words = y.words
    if session.media is None and writer.chance(0.35):
        region = drawn_around(scene.objects[second], writer.rng)
        if hit(scene, region) != second:
            return None
        session.draw(region)
        words = writer.rng.choice(("this one {m}", "this {m}", "the object I marked {m}")).format(m=mark(writer))
    clause = session.framed(style, "recolour.like", x=x.words, y=words)
    colour = scene.objects[second].colour
    return changed(session, clause, x, replace(scene.objects[first], colour=colour), colour, False, {})


def reshape(session: Session, style: Style, by_region: bool = False) -> Step | None:
    """Ask for another shape of an object."""
    short = None if by_region else elliptic(session, style)
    found = (short, {}) if short else _target(session, by_region)
    if found is None:
        return None
    target, more = found
    old = session.scene.objects[target.index]
    shape = session.writer.rng.choice([s for s in SHAPES if s != old.shape])
    word = session.writer.word(f"word.{shape}")
    if short:
        clause = session.writer.say("reshape.short", shape=word)
    else:
        clause = session.worded("reshape", style, x=target.words, shape=word)
    return changed(session, clause, target, replace(old, shape=shape), article(shape), False, more)


def replace_object(session: Session, style: Style, by_region: bool = False) -> Step | None:
    """Ask for a new object in another one's place: other colour and shape, sometimes another size."""
    found = _target(session, by_region)
    if found is None:
        return None
    target, more = found
    old = session.scene.objects[target.index]
    wish = Wish(session.writer.rng.choice(SHAPES), other_colour(session, target.index))
    new = replace(old, shape=wish.shape, colour=wish.colour or old.colour)
    other = resized(new, "large" if old.size == "small" else "small")
    sized = session.writer.chance(0.3) and _has_room(session.scene, other, target.index) and clear_size(old)
    if sized:
        wish, new = replace(wish, size=other.size), other
    clause = session.worded("replace", style, x=target.words, new=new_object(session.writer, wish))
    return changed(session, clause, target, new, article(wish.phrase), sized, more)


def _has_room(scene: Scene, new: Obj, index: int) -> bool:
    """Whether an object that takes the place of another keeps its distance from the rest."""
    return all(apart(new, other) for i, other in enumerate(scene.objects) if i != index)


def remake(session: Session, style: Style, by_region: bool = False) -> Step | None:
    """Ask for another colour and size of an object at once."""
    found = _target(session, by_region)
    if found is None:
        return None
    target, more = found
    old, rng = session.scene.objects[target.index], session.writer.rng
    colour = other_colour(session, target.index)
    new = replace(resized(old, "large" if old.size == "small" else "small"), colour=colour)
    if not clear_size(old) or not _has_room(session.scene, new, target.index):
        return None
    bigger = rng.choice(("bigger", "large", "big", "larger") if new.size == "large" else ("smaller", "small", "tiny"))
    slots = {"colour": session.writer.word(f"word.{colour}"), "bigger": bigger}
    clause = session.framed(style, "remake", x=target.words, **slots)
    return changed(session, clause, target, new, f"{new.size} and {colour}", True, more)


def resize(session: Session, style: Style, by_region: bool = False) -> Step | None:
    """Ask for an object to be bigger or smaller."""
    short = None if by_region else elliptic(session, style)
    found = (short, {}) if short else _target(session, by_region)
    if found is None:
        return None
    target, more = found
    scene = session.scene
    old = scene.objects[target.index]
    size: Size = "large" if old.size == "small" else "small"
    new = resized(old, size)
    if not clear_size(old) or not _has_room(scene, new, target.index):
        return None
    clause = session.writer.say("grow.short" if size == "large" else "shrink.short")
    if not short:
        clause = _resize_words(session, style, target.words, size == "large")
    return changed(session, clause, target, new, size, True, more)


def _resize_words(session: Session, style: Style, words: str, bigger: bool) -> str:
    writer = session.writer
    if style == "full" and writer.chance(0.3):
        grown = ("bigger", "larger", "bigger", "big", "large") if bigger else ("smaller", "tinier", "smaller", "small")
        much = ("small", "little", "tiny") if bigger else ("big", "large", "huge")
        return writer.say("resize.full", x=words, bigger=writer.rng.choice(grown), small=writer.rng.choice(much))
    return session.framed(style, "grow" if bigger else "shrink", x=words)


def remove(session: Session, style: Style, by_region: bool = False) -> Step | None:
    """Ask for an object to go away."""
    found = _target(session, by_region)
    before = session.scene
    if found is None or len(before.objects) < 2 and session.writer.chance(0.8):
        return None
    target, more = found
    return removed(session, session.worded("remove", style, x=target.words), target, more)


def removed(session: Session, clause: str, target: Reference, more: dict[str, Any]) -> Step:
    """Remove an object: command, call, answer and facts."""
    before = session.scene
    action = session.call(Module.C, f"remove {target.phrase}", **more)
    session.focus = 0 if len(session.scene.objects) == 1 else None
    facts = edit_facts("remove", before, session.scene, target.index)
    about = "" if more else target.phrase
    return Step(clause, (action,), f"Done: {target.phrase} is removed.", facts, about=about)


def ground(session: Session, style: Style) -> Step | None:
    """Ask for another background."""
    name = other_ground(session)
    word = session.writer.word(f"ground.{name}")
    if style == "full" and session.turns and session.writer.chance(0.2):
        clause = session.writer.say("ground.short", ground=word)
    else:
        clause = session.worded("ground", style, ground=word)
    return grounded(session, clause, name)


def other_ground(session: Session) -> str:
    """Draw a background that the picture in hand does not have and that hides none of its objects."""
    scene = session.scene
    return session.writer.rng.choice(
        [b for b in BACKGROUNDS if b != scene.background and not any(clashes(o.colour, b) for o in scene.objects)]
    )


def grounded(session: Session, clause: str, name: str) -> Step:
    """Change the background: command, call, answer and facts."""
    before, focus = session.scene, session.focus
    action = session.call(Module.C, f"change the background to {name}")
    session.focus = focus
    facts = edit_facts("background", before, session.scene, None)
    return Step(clause, (action,), f"Done: the background is {name} now.", facts)
