"""Conversations of several turns about one picture: changes and questions, the same again, free dialogues.

This file knows the order of turns; what a turn asks for is made in tasks_play and tasks_joined.
"""

from collections.abc import Callable

from vitron_agent.shapes.tasks_act import Maker, recolour, remove
from vitron_agent.shapes.tasks_again import REPEATABLE, again
from vitron_agent.shapes.tasks_ask import region_what
from vitron_agent.shapes.tasks_chat import chat, refuse_missing, refuse_strange
from vitron_agent.shapes.tasks_compare import QUESTIONS
from vitron_agent.shapes.tasks_draw import draw
from vitron_agent.shapes.tasks_joined import change_two
from vitron_agent.shapes.tasks_many import EDITS
from vitron_agent.shapes.tasks_play import (
    a_scene,
    bare_steps,
    begin,
    in_picture,
    joined,
    one,
    one_more,
    take_back,
    with_region,
)
from vitron_agent.shapes.tasks_segment import area_of, segment, segment_region, segment_some
from vitron_agent.shapes.tasks_session import Session


def edit_then_ask(session: Session) -> bool:
    """Two to four turns: one or two changes, some taken back, then a question about what the picture shows now."""
    session.upload(a_scene(session))
    changes = session.writer.rng.choices((1, 2), (0.7, 0.3))[0]
    if not all(one_more(session, EDITS) for _ in range(changes)):
        return False
    back = session.writer.chance(0.3)
    return (not back or take_back(session)) and one_more(session, QUESTIONS)


_AGAIN: tuple[tuple[Maker, float], ...] = ((again, 1.0),)


def same_again(session: Session) -> bool:
    """Two to four turns: a request, then the same for other objects."""
    session.upload(a_scene(session))
    if not one_more(session, REPEATABLE) or not one_more(session, _AGAIN):
        return False
    return not session.writer.chance(0.3) or one_more(session, _AGAIN) or one_more(session, QUESTIONS)


_DIALOGUE: tuple[tuple[Maker, float], ...] = (
    *((maker, 0.5 * weight) for maker, weight in EDITS),
    (segment, 0.16),
    (segment_some, 0.01),
    (area_of, 0.02),
    (draw, 0.06),
    (again, 0.12),
    *((maker, 0.3 * weight) for maker, weight in QUESTIONS),
    (segment_region, 0.04),
    (with_region(recolour), 0.03),
    (with_region(remove), 0.02),
    (region_what, 0.03),
)


def dialogue(session: Session) -> bool:
    """Two to five turns: the first draws or shows a picture, the others go on from there."""
    writer = session.writer
    if writer.chance(0.12):
        chat(session, writer.rng.choice(("hello", "abilities", "who")))
    begun = begin(session) if writer.chance(0.65) else one(session, _DIALOGUE)
    if not begun:
        return False
    for _ in range(writer.rng.choices((1, 2, 3, 4), (0.35, 0.35, 0.2, 0.1))[0]):
        if len(session.pictures) > 5:
            break
        if not _further(session):
            return False
    return True


def _further(session: Session) -> bool:
    """One more turn of a dialogue."""
    writer = session.writer
    kind = writer.rng.random()
    if kind < 0.18 and len(session.pictures) > 1:
        return take_back(session)
    if kind < 0.24 and len(session.pictures) > 1:
        return in_picture(session, writer.rng.randint(1, len(session.pictures)))
    if kind < 0.29:
        chat(session, writer.rng.choice(("thanks", "ok", "bye", "thanks", "offtopic")))
        return True
    if kind < 0.35:
        play: Callable[[Session], None] = writer.rng.choice((refuse_strange, refuse_missing))
        play(session)
        return True
    if kind < 0.37:
        return change_two(session)
    if kind < 0.43:
        steps = bare_steps(session, 2, False)
        return bool(steps) and joined(session, steps)
    return one_more(session, _DIALOGUE)
