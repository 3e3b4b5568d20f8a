"""Questions about the video in hand, and words that point at its objects.

Places, extremes and sizes refer to the first frame. An object "moves" when it changes its place: one that grows or
shrinks does not. Questions about what does not change are those about pictures, asked of the first frame.
"""

from collections.abc import Iterable

from vitron_agent.shapes.captions import article, listed
from vitron_agent.shapes.clip import DIRECTIONS, FRAMES, MOTIONS, Clip
from vitron_agent.shapes.language import plural
from vitron_agent.shapes.scene import Obj
from vitron_agent.shapes.tasks_act import Maker
from vitron_agent.shapes.tasks_ask import (
    answered,
    attribute,
    ground_of,
    missing,
    must_of,
    name,
    placed,
    told,
    verify,
)
from vitron_agent.shapes.tasks_count import count, exists
from vitron_agent.shapes.tasks_many import by_place
from vitron_agent.shapes.tasks_session import Session, capital
from vitron_agent.shapes.tasks_turns import Step, Style
from vitron_agent.shapes.tasks_words import Reference, pick

STILL = "still"
DOES = {**{way: f"moves {way}" for way in DIRECTIONS}, "grow": "grows", "shrink": "shrinks", STILL: "stands still"}
"""What an object does, in the words of an answer."""


def motion_of(clip: Clip, index: int) -> str:
    """What an object does: one of `MOTIONS`, or "still"."""
    motion = clip.motions[index]
    return motion.name if motion else STILL


def doing(clip: Clip, *motions: str) -> list[Obj]:
    """The objects that do one of these things, from left to right."""
    return [clip.scene.objects[i] for i in by_place(clip.scene) if motion_of(clip, i) in motions]


def point_in_clip(session: Session, pronoun: float = 0.4) -> Reference | None:
    """Point at an object of the video in hand: mostly by its attributes, sometimes by what it does."""
    found = _by_motion(session) if session.writer.chance(0.15) else None
    return found or _pick(session, pronoun)


def _pick(session: Session, pronoun: float = 0.4) -> Reference | None:
    return pick(session, pronoun, plain=session.writer.chance(0.85))


def _by_motion(session: Session) -> Reference | None:
    """Words such as "the one that moves left" or "the moving circle"; the command names the object plainly."""
    writer, clip = session.writer, session.clip
    objects = clip.scene.objects
    index = writer.rng.randrange(len(objects))
    phrase, motion = session.name_of(index), motion_of(clip, index)
    others = [i for i in range(len(objects)) if i != index]
    # "Moving" and "in its place" are said loosely of what grows or shrinks: neither may be mistaken for such a one.
    if phrase is None or motion == STILL and any(motion_of(clip, i) not in DIRECTIONS for i in others):
        return None
    if motion in DIRECTIONS and writer.chance(0.5):
        by_shape = writer.chance(0.6)
        rivals = (i for i in others if not by_shape or objects[i].shape == objects[index].shape)
        if any(motion_of(clip, i) != STILL for i in rivals):
            return None
        noun = writer.word(f"word.{objects[index].shape}" if by_shape else "thing")
        return Reference(writer.say("def.moving", noun=noun), f"the {phrase}", index)
    if any(motion_of(clip, i) == motion for i in others):
        return None
    return Reference(writer.say("def.moves", moves=writer.word(f"moves.{motion}")), f"the {phrase}", index)


def _told(session: Session, clause: str, question: str, answer: str, must: Iterable[str]) -> Step:
    return _of_clip(session, answered(clause, question, answer, must, session.scene))


def _of_clip(session: Session, step: Step) -> Step:
    """The step, with the video in its facts."""
    step.facts.update(clip=session.clip, video=session.playing)
    return step


def _about(session: Session) -> tuple[Reference, str] | None:
    """Point at an object to ask what it does, which must not be said; with its motion."""
    found = _pick(session)
    if found is None:
        return None
    session.focus = found.index
    return found, motion_of(session.clip, found.index)


def way(session: Session, style: Style) -> Step | None:
    """Ask which way an object moves, or what it does."""
    about = _about(session)
    if about is None:
        return None
    found, motion = about
    clause = session.asked("way", style, x=found.words)
    return _told(session, clause, "way", f"{capital(found.phrase)} {DOES[motion]}.", (DOES[motion].split()[-1],))


def does_move(session: Session, style: Style) -> Step | None:
    """Ask whether an object moves at all."""
    about = _about(session)
    if about is None:
        return None
    found, motion = about
    yes = "yes" if motion in DIRECTIONS else "no"
    clause = session.asked("does.move", style, x=found.words)
    return _told(session, clause, "does move", told(f"{found.phrase} {DOES[motion]}", yes == "yes"), (yes,))


def does_go(session: Session, style: Style) -> Step | None:
    """Ask whether an object moves in some direction, grows, shrinks or stands still."""
    about = _about(session)
    if about is None:
        return None
    writer, (found, motion) = session.writer, about
    wanted = motion if writer.chance(0.5) else writer.rng.choice((*MOTIONS, STILL))
    slots = {"go": writer.word(f"go.{wanted}"), "moves": writer.word(f"moves.{wanted}")}
    yes = "yes" if wanted == motion else "no"
    clause = session.asked("does.go", style, x=found.words, **slots)
    return _told(session, clause, "does go", told(f"{found.phrase} {DOES[motion]}", yes == "yes"), (yes,))


def _they(found: list[Obj], does: str) -> str:
    """Who does something: "What moves left: the red circle.", "What moves left: nothing."."""
    return f"What {does}: {listed([f'the {name(o)}' for o in found]) if found else 'nothing'}."


def what_goes(session: Session, style: Style) -> Step:
    """Ask which objects do one thing, such as moving left."""
    writer, clip = session.writer, session.clip
    there = [motion_of(clip, i) for i in range(len(clip.motions))]
    motion = writer.rng.choice(there if writer.chance(0.75) else (*MOTIONS, STILL))
    found = doing(clip, motion)
    clause = session.asked("what.goes", style, moves=writer.word(f"moves.{motion}"))
    step = _told(session, clause, "what goes", _they(found, DOES[motion]), must_of(found))
    step.facts["motion"] = motion
    return step


def which_moves(session: Session, style: Style) -> Step:
    """Ask which objects move."""
    found = doing(session.clip, *DIRECTIONS)
    clause = session.asked("which.moves", style)
    return _told(session, clause, "which moves", _they(found, "moves"), must_of(found))


def count_moves(session: Session, style: Style) -> Step:
    """Ask how many objects move."""
    total = len(doing(session.clip, *DIRECTIONS))
    number = str(total) if total else "no"
    does = "object moves" if total == 1 else f"{plural('object')} move"
    answer = f"{_they(doing(session.clip, *DIRECTIONS), 'moves').rstrip('.')}, so {number} {does}."
    return _told(session, session.asked("count.moves", style), "count moves", answer, (number,))


def where_then(session: Session, style: Style) -> Step | None:
    """Ask where an object is at the start or at the end."""
    about = _about(session)
    if about is None:
        return None
    when = session.writer.rng.choice(("start", "end", "end"))
    obj = session.clip.at(0 if when == "start" else FRAMES - 1).objects[about[0].index]
    clause = session.asked(f"where.{when}", style, x=about[0].words)
    answer = f"{capital(about[0].phrase)} is {placed(obj)} at the {when}."
    return _told(session, clause, f"where {when}", answer, obj.place.split())


def describe_clip(clip: Clip) -> str:
    """A whole video in one sentence, the objects from left to right."""
    parts = [f"{article(clip.scene.objects[i].phrase)} {DOES[motion_of(clip, i)]}" for i in by_place(clip.scene)]
    return f"{capital(listed(parts))}, on {article(clip.scene.background)} background."


def describe_video(session: Session, style: Style) -> Step:
    """Ask what happens, or for a description."""
    say, clip, draw = session.say_of_it, session.clip, session.writer.rng.random()
    if draw < 0.4:
        clause = session.framed(style, "describe.clip")
    elif draw < 0.75 and style == "full":
        clause = say("question", q=say("describe.clip.q")) + "?"
    else:
        clause = say("ask.lead" if style == "full" else "ask.do", ask=say("describe.clip.in"))
    does = [DOES[motion_of(clip, i)].split()[-1] for i in range(len(clip.motions))]
    return _told(
        session,
        clause,
        "describe video",
        describe_clip(clip),
        [clip.scene.background, *must_of(doing(clip, *DOES)), *does],
    )


def _first_frame(maker: Maker) -> Maker:
    """A question about a picture, asked of the first frame; none about the size of what grows or shrinks."""

    def ask(session: Session, style: Style) -> Step | None:
        step = maker(session, style)
        if step is None:
            return None
        if step.facts["question"] == "size" and motion_of(session.clip, session.focus or 0) in ("grow", "shrink"):
            return None
        return _of_clip(session, step)

    return ask


VIDEO_QUESTIONS: tuple[tuple[Maker, float], ...] = (
    (way, 0.22),
    (describe_video, 0.14),
    (which_moves, 0.1),
    (does_move, 0.09),
    (does_go, 0.08),
    (what_goes, 0.08),
    (count_moves, 0.06),
    (where_then, 0.1),
    (_first_frame(attribute), 0.1),
    (_first_frame(count), 0.05),
    (_first_frame(ground_of), 0.04),
    (_first_frame(exists), 0.03),
    (_first_frame(verify), 0.02),
    (_first_frame(missing), 0.03),
)
"""Questions about a video and how often each is drawn."""
