"""Requests for new videos: of words, and of a picture that is set in motion (module G).

A video of words takes two calls: the first frame is drawn (module A), with room for what is to happen, and set in
motion. That is how a planner makes videos where there is no text-to-video model, and it shares what was learned about
pictures (factorised generation; Girdhar et al., "Emu Video", 2023). A maker takes a session and a style, and returns a
step, having carried it out, or None. Grammar decides the family: a clause ("a circle moves left") follows "a video in
which", a noun with its motion ("a circle moving left") follows "a video of", a bare infinitive ("a circle move left")
follows "let".
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from vitron_agent.invocation import GroundedPhrase, Module
from vitron_agent.shapes.captions import joined, listed
from vitron_agent.shapes.clip import DIRECTIONS, MOTIONS, Clip, Motion, is_sound, sample_amount
from vitron_agent.shapes.language import Writer
from vitron_agent.shapes.scene import BACKGROUNDS, Scene
from vitron_agent.shapes.tasks_draw import PLACES, Order, command_for, size_of, with_background
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_staging import staged
from vitron_agent.shapes.tasks_turns import Action, Facts, Step, Style
from vitron_agent.shapes.tasks_video_ask import DOES, STILL
from vitron_agent.shapes.tasks_words import Reference, Wish, a_wish, new_object, point_at

Form = Literal["clause", "noun", "let"]
"""What a family's words are followed by: a clause, a noun with its motion, or a bare infinitive."""
VERBS: dict[Form, tuple[str, ...]] = {"clause": ("moves",), "noun": ("moving", "moving", "that"), "let": ("go",)}
_ASKED = (1, 1, 1, 1, 1, 0.4)
"""How often each of `MOTIONS` is drawn: what shrinks fits everywhere, the others often do not and are drawn again."""
Motions = tuple[Motion | None, ...]
Said = tuple[str | None, ...]
"""What was said of each object: one of `MOTIONS`, `STILL`, or nothing."""


def film(session: Session, style: Style) -> Step | None:
    """Ask for a video of one to three objects, most of which move: the first frame is drawn, then set in motion.

    The layout leaves room for what is to happen. The new video is in hand in the end.
    """
    writer, rng = session.writer, session.writer.rng
    background = rng.choice(tuple(BACKGROUNDS)) if writer.chance(0.55) else None
    wishes = _wishes(writer, background or "gray")
    moves = _moves(rng, len(wishes))
    boxes = staged(tuple(size_of(wish) for wish in wishes), tuple(wish.place for wish in wishes), moves)
    if boxes is None:
        return None
    if len(wishes) == 1 and moves[0] == "right" and writer.chance(0.3):
        said: Said = (None,)  # nothing is said of motion: it moves to the right
        words = with_background(writer, _named(writer, wishes[0]), background)
        clause = session.worded("film.plain", style, scene=words)
    else:
        does = tuple(move or STILL for move in moves)
        said = does
        form: Form = rng.choices(("clause", "noun", "let"), (0.35, 0.53, 0.12))[0]
        parts = [_does(writer, _named(writer, w), what, form) for w, what in zip(wishes, does, strict=True)]
        clause = session.worded(f"film.{form}", style, scene=_on(writer, _joined(writer, parts), background, form))
    layout = tuple(GroundedPhrase(phrase=w.phrase, box=box) for w, box in zip(wishes, boxes, strict=True))
    drawing = session.call(Module.A, command_for(Order(wishes, (), ""), background or "gray"), layout=layout)
    animation = _set_in_motion(session, moves)
    if animation is None:
        return None
    facts: Facts = {"kind": "film", "objects": wishes, "said": said, "background": background, "clip": session.clip}
    return Step(clause, (drawing, animation), "Here is your video.", facts, about="the first frame")


def _wishes(writer: Writer, background: str) -> tuple[Wish, ...]:
    """One to three objects; places are said now and then."""
    count = writer.rng.choices((1, 2, 3), (0.5, 0.38, 0.12))[0]
    wishes = tuple(a_wish(writer.rng, background, size=0.2) for _ in range(count))
    if count == 1 and writer.chance(0.15):
        return (replace(wishes[0], place=writer.rng.choice(PLACES)),)
    return wishes


def _moves(rng: random.Random, count: int) -> tuple[str | None, ...]:
    """What each object does; at least one moves."""
    while True:
        moves = tuple(rng.choice(MOTIONS) if rng.random() < 0.7 else None for _ in range(count))
        if any(moves):
            return moves


def _set_in_motion(session: Session, moves: tuple[str | None, ...]) -> Action | None:
    """Make the call that sets what was just drawn in motion; None where words do not tell the objects apart."""
    scene, names = session.scene, [session.name_of(index) for index in range(len(moves))]
    motions = _amounts(session.writer.rng, scene, moves)
    moving = [(name, move) for name, move in zip(names, moves, strict=True) if move]
    if motions is None or any(name is None for name, _ in moving):
        return None
    action = session.film(Module.G, listed([f"the {name} {DOES[move]}" for name, move in moving]), Clip(scene, motions))
    session.focus = 0 if len(moves) == 1 else None
    return action


def _amounts(rng: random.Random, scene: Scene, moves: tuple[str | None, ...]) -> Motions | None:
    """How far and by how much, so that everything stays inside the picture and apart; None if that is not found."""
    for _ in range(12):
        motions = tuple(sample_amount(rng, move) if move else None for move in moves)
        if is_sound(Clip(scene, motions)):
            return motions
    return None


def _on(writer: Writer, words: str, background: str | None, form: Form) -> str:
    """The words with those for the background; before a sentence none can stand."""
    if form == "noun" or background is None:
        return with_background(writer, words, background)
    return f"{words} {writer.say('on', ground=writer.word(f'ground.{background}'))}"


def _named(writer: Writer, wish: Wish) -> str:
    words = new_object(writer, wish)
    return writer.say("at.1", a=words, place=writer.word(f"place.{wish.place}")) if wish.place else words


def _does(writer: Writer, who: str, does: str, form: Form) -> str:
    """Who does what (one of `MOTIONS`, or `STILL`), in the words of a user and the grammar of a form."""
    verb = writer.rng.choice(VERBS[form])
    if verb == "that":
        return f"{who} {writer.rng.choice(('that', 'that', 'which'))} {writer.word(f'moves.{does}')}"
    return f"{who} {writer.word(f'{verb}.{does}')}"


def _joined(writer: Writer, parts: Sequence[str]) -> str:
    """What several objects do, in one sentence."""
    return joined(parts, writer.rng.choice((" and ", " and ", " and ", ", ", " while ", ", and ")))


def animate(session: Session, style: Style) -> Step | None:
    """Ask to set one or two objects of the picture in hand in motion; the new video is then in hand."""
    writer, scene = session.writer, session.scene
    if session.playing or not scene.objects:
        return None
    rng = writer.rng
    moving = _pointed(session, 2 if len(scene.objects) > 1 and writer.chance(0.4) else 1)
    if moving is None:
        return None
    drawn = {reference.index: rng.choices(MOTIONS, _ASKED)[0] for reference in moving}
    moves = tuple(drawn.get(index) for index in range(len(scene.objects)))
    motions = _amounts(rng, scene, moves)
    if motions is None:
        return None
    named = [(reference, moves[reference.index] or STILL) for reference in moving]
    # said of a picture without a word of video, "let it grow" asks for a larger one
    can_let = all(move in DIRECTIONS for _, move in named)
    forms: tuple[Form, ...] = ("clause", "noun", "let")
    form = rng.choices(forms, (0.3, 0.25, 0.45 if can_let else 0.0))[0]
    words = _joined(writer, [_does(writer, reference.words, move, form) for reference, move in named])
    clause = session.worded(f"animate.{form}", style, scene=words)
    command = listed([f"{reference.phrase} {DOES[move]}" for reference, move in named])
    facts: Facts = {"kind": "animate", "before": scene, "motions": motions, "picture": session.current}
    clip = Clip(scene, motions)
    action = session.film(Module.G, command, clip)
    session.focus = moving[0].index if len(moving) == 1 else None
    about = moving[0].phrase if len(moving) == 1 else ""
    return Step(clause, (action,), "Here is your video.", {**facts, "clip": clip}, about=about)


def _pointed(session: Session, count: int) -> list[Reference] | None:
    """Words for `count` objects of the picture in hand; "it" for the one spoken of last, or the only one."""
    writer, objects = session.writer, session.scene.objects
    focus = 0 if len(objects) == 1 else session.focus
    if count == 1 and focus is not None and writer.chance(0.5):
        phrase = session.name_of(focus)
        return None if phrase is None else [Reference("it", f"the {phrase}", focus)]
    chosen = writer.rng.sample(range(len(objects)), count)
    found = [point_at(session, index, plain=writer.chance(0.85)) for index in chosen]
    pointed = [reference for reference in found if reference is not None]
    return pointed if len(pointed) == count else None
