"""Requests for new videos: of words (module D), and of a picture that is set in motion (module G).

A maker takes a session and a style, and returns a step, having carried it out, or None. The commands are those that
clip_captions.py teaches the specialists: "a red circle moves left and a star stands still on a navy background", "the
red circle moves left". Grammar decides the family: a clause ("a circle moves left") follows "a video in which", a noun
with its motion ("a circle moving left") follows "a video of", a bare infinitive ("a circle move left") follows "let".
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from vitron_agent.invocation import Module
from vitron_agent.shapes.captions import PLACE_WORDS, article
from vitron_agent.shapes.clip import DIRECTIONS, Clip, Motion, is_sound, sample_clip, sample_motion
from vitron_agent.shapes.language import Writer
from vitron_agent.shapes.scene import BACKGROUNDS, Obj, clashes, sample_shade
from vitron_agent.shapes.tasks_act import Maker
from vitron_agent.shapes.tasks_chat import refusal, reply
from vitron_agent.shapes.tasks_draw import draw, with_background
from vitron_agent.shapes.tasks_many import EDITS
from vitron_agent.shapes.tasks_play import a_scene, is_question, joined, some
from vitron_agent.shapes.tasks_session import Facts, Session, Step, Style
from vitron_agent.shapes.tasks_video import VIDEO_EDITS, track
from vitron_agent.shapes.tasks_video_ask import DOES, STILL, VIDEO_QUESTIONS
from vitron_agent.shapes.tasks_words import DEFAULT_COLOUR, Reference, Wish, new_object, point_at, point_at_nothing

Form = Literal["clause", "noun", "let"]
"""What a family's words are followed by: a clause, a noun with its motion, or a bare infinitive."""
_VERBS: dict[Form, tuple[str, ...]] = {"clause": ("moves",), "noun": ("moving", "moving", "that"), "let": ("go",)}
Motions = tuple[Motion | None, ...]


def film(session: Session, style: Style) -> Step | None:
    """Asks for a video of one to three objects, most of which move; the new video is then in hand."""
    writer = session.writer
    background = writer.rng.choice(tuple(BACKGROUNDS)) if writer.chance(0.55) else None
    clip = _some_clip(writer, background or "gray")
    wishes = tuple(_wish(writer, obj) for obj in clip.scene.objects)
    wished = tuple(_as_wished(writer, obj, wish) for obj, wish in zip(clip.scene.objects, wishes, strict=True))
    clip = replace(clip, scene=replace(clip.scene, objects=wished))
    motions: Motions = clip.motions
    names = [_named(writer, wish) for wish in wishes]
    if len(wishes) == 1 and motions[0] and motions[0].name == "right" and writer.chance(0.3):
        motions = (None,)  # nothing is said of motion: it moves to the right
        clause = session.worded("film.plain", style, scene=with_background(writer, names[0], background))
    else:
        form: Form = writer.rng.choices(("clause", "noun", "let"), (0.35, 0.53, 0.12))[0]
        words = _joined(writer, [_does(writer, n, m, form) for n, m in zip(names, motions, strict=True)])
        clause = session.worded(f"film.{form}", style, scene=_on(writer, words, background, form))
    parts = [_part(wish, motion) for wish, motion in zip(wishes, clip.motions, strict=True)]
    command = f"{_listed(parts)} on {article(background or 'gray')} background"
    facts: Facts = {"kind": "film", "objects": wishes, "motions": motions, "background": background, "clip": clip}
    action = session.film(Module.D, command, clip)
    session.focus = 0 if len(wishes) == 1 else None
    return Step(clause, (action,), "Here is your video.", facts)


def _on(writer: Writer, words: str, background: str | None, form: Form) -> str:
    """The words with those for the background; before a sentence none can stand."""
    if form == "noun" or background is None:
        return with_background(writer, words, background)
    return f"{words} {writer.say('on', ground=writer.word(f'ground.{background}'))}"


def _some_clip(writer: Writer, background: str) -> Clip:
    """A clip on a background; fewer objects are more common than in clips at large."""
    count = writer.rng.choices((1, 2, 3), (0.5, 0.38, 0.12))[0]
    while True:
        clip = sample_clip(writer.rng, count)
        if not any(clashes(obj.colour, background) for obj in clip.scene.objects):
            return replace(clip, scene=replace(clip.scene, background=background))


def _wish(writer: Writer, obj: Obj) -> Wish:
    """What is said of an object."""
    return Wish(
        obj.shape,
        obj.colour if writer.chance(0.88) else None,
        obj.size if writer.chance(0.22) else None,
        obj.place if writer.chance(0.1) else None,
    )


def _as_wished(writer: Writer, obj: Obj, wish: Wish) -> Obj:
    """The object in the colour that the agent chooses where none was said."""
    colour = wish.colour or DEFAULT_COLOUR[wish.shape]
    return obj if colour == obj.colour else replace(obj, colour=colour, rgb=sample_shade(writer.rng, colour))


def _named(writer: Writer, wish: Wish) -> str:
    words = new_object(writer, wish)
    return writer.say("at.1", a=words, place=writer.word(f"place.{wish.place}")) if wish.place else words


def _part(wish: Wish, motion: Motion | None) -> str:
    """An object of the command: "a small red circle on the left moves right"."""
    place = f" {PLACE_WORDS[wish.place][0]}" if wish.place else ""
    return f"{article(wish.phrase)}{place} {DOES[motion.name if motion else STILL]}"


def _does(writer: Writer, who: str, motion: Motion | None, form: Form) -> str:
    """Who does what, in the words of a user and the grammar of a form."""
    name, verb = motion.name if motion else STILL, writer.rng.choice(_VERBS[form])
    if verb == "that":
        return f"{who} {writer.rng.choice(('that', 'that', 'which'))} {writer.word(f'moves.{name}')}"
    return f"{who} {writer.word(f'{verb}.{name}')}"


def _joined(writer: Writer, parts: Sequence[str]) -> str:
    """What several objects do, in one sentence."""
    last = writer.rng.choice((" and ", " and ", " and ", ", ", " while ", ", and "))
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}{last}{parts[-1]}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def animate(session: Session, style: Style) -> Step | None:
    """Asks to set one or two objects of the picture in hand in motion; the new video is then in hand."""
    writer, scene = session.writer, session.scene
    if session.playing or not scene.objects:
        return None
    moving = _pointed(session, 2 if len(scene.objects) > 1 and writer.chance(0.25) else 1)
    motions = None if moving is None else _some_motions(session, [reference.index for reference in moving])
    if moving is None or motions is None:
        return None
    named = [(reference, motions[reference.index]) for reference in moving]
    # said of a picture without a word of video, "let it grow" asks for a larger one
    can_let = all(motion and motion.name in DIRECTIONS for _, motion in named)
    forms: tuple[Form, ...] = ("clause", "noun", "let")
    form = writer.rng.choices(forms, (0.3, 0.25, 0.45 if can_let else 0.0))[0]
    words = _joined(writer, [_does(writer, reference.words, motion, form) for reference, motion in named])
    clause = session.worded(f"animate.{form}", style, scene=words)
    command = _listed([f"{reference.phrase} {DOES[motion.name]}" for reference, motion in named if motion])
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


def _some_motions(session: Session, moving: Sequence[int]) -> Motions | None:
    """Motions of these objects that keep everything inside the picture and apart; None if none are found."""
    scene, rng = session.scene, session.writer.rng
    for _ in range(12):
        motions = tuple(sample_motion(rng) if i in moving else None for i in range(len(scene.objects)))
        if is_sound(Clip(scene, motions)):
            return motions
    return None


def refuse_to_animate(session: Session) -> None:
    """Plays a request to set something in motion that is not in the picture, or where there is none."""
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
    text = ghost.worded(f"animate.{form}", "full", scene=f"{words} {writer.word(f'{_VERBS[form][0]}.{name}')}")
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
    return _one(session, ((film, 1.0),))


def animate_one(session: Session) -> bool:
    """One request to set an uploaded picture in motion."""
    session.upload(a_scene(session))
    return _one(session, ((animate, 1.0),))


def _one(session: Session, makers: tuple[tuple[Maker, float], ...]) -> bool:
    step = some(session, makers, "full")
    if step is None:
        return False
    session.play(step.clause, [step], is_question(step))
    return True


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
            begun = _one(session, ((draw, 1.0),))
        else:
            session.upload(a_scene(session))
            begun = _one(session, EDITS[:8])
        begun = begun and _one(session, ((animate, 1.0),))
    return begun and all(_one(session, _AFTER) for _ in range(writer.rng.choices((0, 1, 2), (0.2, 0.5, 0.3))[0]))
