"""Requests for one more object: anywhere, at a place, beside another one, in a drawn box.

Makers as in tasks_act: they take a session and a style and return a step, or None where the picture has no room for it.
"""

from dataclasses import replace
from typing import Any

from vitron_agent.invocation import RELATIONS, Module
from vitron_agent.media import Region
from vitron_agent.shapes.captions import PLACE_WORDS, article
from vitron_agent.shapes.scene import Box, Size
from vitron_agent.shapes.tasks_act import edit_facts
from vitron_agent.shapes.tasks_layout import free_place
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Facts, Step, Style
from vitron_agent.shapes.tasks_words import Wish, a_wish, mark, new_object, pick


def add(session: Session, style: Style) -> Step | None:
    """Ask for one more object: anywhere, at a place, or beside one that is there."""
    writer, before = session.writer, session.scene
    if len(before.objects) >= 3:
        return None
    wish = a_wish(writer.rng, before.background)
    size: Size | None = "small" if wish.size == "small" else "large" if wish.size == "large" else None
    words = new_object(writer, wish)
    anchor = pick(session, 0.3, plain=True) if writer.chance(0.3) else None
    if anchor is not None:
        word = writer.rng.choice(tuple(RELATIONS))
        box = free_place(before, size, beside=(word, before.objects[anchor.index]))
        said = f"{word} {anchor.phrase}"
        clause = session.framed(style, "add.relation", new=words, x=anchor.words, rel=writer.word(f"rel.{word}"))
        wished: object = (word, anchor.index)
    else:
        place = writer.rng.choice(tuple(PLACE_WORDS)) if writer.chance(0.55) else None
        box = free_place(before, size, place)
        where = writer.word(f"place.{place}") if place else ""
        clause = session.worded("add", style, new=words, place=where)
        if place and where not in clause:
            clause = f"{clause} {where}"
        wished, said = place, PLACE_WORDS[place][0] if place else ""
    if box is None:
        return None
    return added(session, clause, wish, {"wish": wish, "where": wished}, said)


def add_region(session: Session, style: Style) -> Step | None:
    """Ask for one more object in a drawn box."""
    writer, before = session.writer, session.scene
    if len(before.objects) >= 3 or session.media is not None:
        return None
    wish = replace(a_wish(writer.rng, before.background), size=None)
    box = free_place(before, None, writer.rng.choice(tuple(PLACE_WORDS)))
    if box is None:
        return None
    session.draw(Region.from_box(*_jittered(box, session)))
    place = writer.say("region.place", mark=mark(writer))
    clause = session.framed(style, "add.region", new=new_object(writer, wish), here=place)
    return added(session, clause, wish, {"wish": wish, "where": "region"}, uses_drawn_region=True)


def _jittered(box: Box, session: Session) -> Box:
    rng = session.writer.rng
    x1, y1, x2, y2 = (min(max(side + rng.uniform(-0.02, 0.02), 0.0), 1.0) for side in box)
    return x1, y1, x2, y2


def added(session: Session, clause: str, wish: Wish, facts: Facts, place: str = "", **more: Any) -> Step:
    """Add an object: command, call, answer and facts."""
    before = session.scene
    new = article(wish.phrase)
    action = session.call(Module.C, f"add {new} {place}".strip(), **more)
    session.focus = len(before.objects)
    return Step(
        clause, (action,), f"Done: {new} is added.", {**edit_facts("add", before, session.scene, None), **facts}
    )
