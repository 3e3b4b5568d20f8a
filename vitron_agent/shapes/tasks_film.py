"""Conversations in which videos are made: one request, several in one turn, dialogues, and what cannot be done.

What single requests say and do is made in tasks_video_make.py.
"""

from vitron_agent.shapes.clip import DIRECTIONS
from vitron_agent.shapes.tasks_act import Maker
from vitron_agent.shapes.tasks_chat import refusal, reply
from vitron_agent.shapes.tasks_draw import draw
from vitron_agent.shapes.tasks_many import EDITS
from vitron_agent.shapes.tasks_play import a_scene, joined, one_more, some
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_video import VIDEO_EDITS, track
from vitron_agent.shapes.tasks_video_ask import VIDEO_QUESTIONS
from vitron_agent.shapes.tasks_video_make import VERBS, Form, animate, film
from vitron_agent.shapes.tasks_words import point_at, point_at_nothing


def refuse_to_animate(session: Session) -> None:
    """Play a request to set something in motion that is not in the picture, or where there is none."""
    writer, rng = session.writer, session.writer.rng
    form: Form = rng.choice(("clause", "noun", "let"))
    name = rng.choice(tuple(DIRECTIONS))
    there = writer.chance(0.6)
    ghost = session if there else Session(writer)
    ghost.upload(a_scene(ghost))
    if there:
        words, phrase = point_at_nothing(session)
    else:
        found = None
        while found is None:
            found = point_at(ghost, rng.randrange(len(ghost.scene.objects)))
        words, phrase = found.words, found.phrase
    text = ghost.worded(f"animate.{form}", "full", scene=f"{words} {writer.word(f'{VERBS[form][0]}.{name}')}")
    if there:
        session.say(text, f"The {phrase} is not in the picture.", refusal("missing object"))
    else:
        session.say(text, reply(session, "no_picture"), refusal("no picture"))


FILM_REFUSALS = ((refuse_to_animate, 0.1),)
"""Requests to animate that cannot be met; their weight goes with those of `tasks_chat.REFUSALS`."""
_AFTER: tuple[tuple[Maker, float], ...] = (
    (track, 0.4),
    *((maker, 0.35 * weight) for maker, weight in VIDEO_EDITS),
    *((maker, 0.25 * weight) for maker, weight in VIDEO_QUESTIONS),
)
"""What follows a new video."""


def film_one(session: Session) -> bool:
    """One request for a video; now and then there is a picture that has nothing to do with it."""
    if session.writer.chance(0.15):
        session.upload(a_scene(session))
    return one_more(session, ((film, 1.0),))


def animate_one(session: Session) -> bool:
    """One request to set an uploaded picture in motion."""
    session.upload(a_scene(session))
    return one_more(session, ((animate, 1.0),))


def chain_film(session: Session) -> bool:
    """Two to four steps in one turn, across pictures and videos: "draw it, recolour it, let it move, track it"."""
    writer = session.writer
    makers: list[tuple[tuple[Maker, float], ...]] = [((film, 1.0),)]
    if writer.chance(0.65):
        drawn = writer.chance(0.7)
        if not drawn:
            session.upload(a_scene(session))
        edits = [EDITS[:8]] * writer.rng.choices((0, 1), (0.6, 0.4))[0]
        makers = [*([((draw, 1.0),)] if drawn else []), *edits, ((animate, 1.0),)]
    makers += [_AFTER] * min(4 - len(makers), writer.rng.choices((0, 1, 2), (0.25, 0.6, 0.15))[0])
    steps = []
    for choice in makers if len(makers) > 1 else [*makers, _AFTER]:
        step = some(session, choice, "bare")
        if step is None:
            return False
        steps.append(step)
    return joined(session, steps)


def dialogue_film(session: Session) -> bool:
    """Two to four turns: a video is made of words or of a picture, and what is in it is then asked about or changed."""
    writer = session.writer
    if writer.chance(0.4):
        begun = film_one(session)
    else:
        if writer.chance(0.6):
            begun = one_more(session, ((draw, 1.0),))
        else:
            session.upload(a_scene(session))
            begun = one_more(session, EDITS[:8])
        begun = begun and one_more(session, ((animate, 1.0),))
    return begun and all(one_more(session, _AFTER) for _ in range(writer.rng.choices((0, 1, 2), (0.2, 0.5, 0.3))[0]))
