"""What one turn asks for: one request alone, several that follow each other, undo and going back.

This file knows the order of things; what single requests say and do is made in the other tasks_ files.
"""

from collections.abc import Sequence
from dataclasses import replace

from vitron_agent.shapes.scene import Scene, recoloured, sample_scene
from vitron_agent.shapes.tasks_act import Maker, TakesRegion
from vitron_agent.shapes.tasks_compare import QUESTIONS
from vitron_agent.shapes.tasks_draw import draw
from vitron_agent.shapes.tasks_many import EDITS
from vitron_agent.shapes.tasks_segment import area_of, segment
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Step, Style


def attempt(session: Session, maker: Maker, style: Style) -> Step | None:
    """Make a step; a maker that gives up leaves the session as it was."""
    saved = session.saved()
    step = maker(session, style)
    if step is None:
        session.restore(saved)
    elif session.current != saved.current and saved.current:
        session.trail.append(saved.current)
    return step if step is None or step.actions else replace(step, number=saved.media)


def some(session: Session, makers: Sequence[tuple[Maker, float]], style: Style) -> Step | None:
    """Make a step by one of several makers, drawn by weight; None if six of them gave nothing.

    Each maker gets four chances, so that those that often give up are not drowned by the others.
    """
    for _ in range(6):
        maker = session.writer.rng.choices([m for m, _ in makers], [w for _, w in makers])[0]
        for _ in range(4):
            step = attempt(session, maker, style)
            if step is not None:
                return step
    return None


def is_question(step: Step) -> bool:
    """Whether a step is worded as a question."""
    return step.clause.endswith("?")


def one(session: Session, makers: Sequence[tuple[Maker, float]]) -> bool:
    """One request about an uploaded picture."""
    session.upload(a_scene(session))
    return one_more(session, makers)


def one_more(session: Session, makers: Sequence[tuple[Maker, float]]) -> bool:
    """One turn with one request about what is in hand."""
    step = some(session, makers, "full")
    if step is None:
        return False
    session.play(step.clause, [step], is_question(step))
    return True


def a_scene(session: Session, count: int | None = None) -> Scene:
    """Draw a picture to upload; in some, several objects have one colour."""
    scene = sample_scene(session.writer.rng, count)
    if session.writer.chance(0.85):
        return scene
    first, *others = scene.objects
    alike = others if session.writer.chance(0.4) else others[:1]
    painted = (recoloured(o, first.colour, session.writer.rng) if o in alike else o for o in others)
    return Scene(scene.background, (first, *painted))


def begin(session: Session) -> bool:
    """A request for a picture."""
    step = attempt(session, draw, "full")
    if step is None:
        return False
    session.play(step.clause, [step], is_question(step))
    return True


def with_region(maker: TakesRegion) -> Maker:
    """The maker, told to point by a drawn region."""
    return lambda session, style: maker(session, style, True)


def two_pictures(session: Session) -> bool:
    """Two uploaded pictures, and a request that names one."""
    session.upload(a_scene(session))
    session.upload(a_scene(session))
    return in_picture(session, session.writer.rng.randint(1, 2))


def in_picture(session: Session, number: int) -> bool:
    """A request about an earlier picture by its number; the picture in hand stays unless it is an edit."""
    writer, hand, focus = session.writer, session.current, session.focus
    session.take(number)
    before = len(session.pictures)
    step = some(
        session,
        ((segment, 0.25), *((m, 0.4 * w) for m, w in EDITS[:7]), *((m, 0.35 * w) for m, w in QUESTIONS)),
        "bare",
    )
    if step is None:
        return False
    step = replace(step, number=number)
    if len(session.pictures) == before:
        session.take(hand, focus)
    where = writer.say("in.picture", n=str(number), nth=writer.word(f"nth.{number}"))
    text = f"{step.clause} {where}"
    text = writer.say("polite", do=text) if writer.chance(0.4) else text
    session.play(f"{where}, {step.clause}" if writer.chance(0.4) else text, [step])
    return True


_CHAIN_NEXT: tuple[tuple[Maker, float], ...] = (
    *((maker, 0.55 * weight) for maker, weight in EDITS[:8]),
    (segment, 0.2),
    *((maker, 0.2 * weight) for maker, weight in QUESTIONS),
    (area_of, 0.03),
)


def bare_steps(session: Session, count: int, fresh: bool) -> list[Step]:
    """Steps that follow each other, as bare imperatives; the first draws, if there is nothing yet."""
    makers: Sequence[tuple[Maker, float]]
    steps: list[Step] = []
    for i in range(count):
        makers = ((draw, 1.0),) if i == 0 and fresh else _CHAIN_NEXT
        step = some(session, makers, "bare")
        if step is None:
            return []
        steps.append(step)
    return steps


def chain(session: Session) -> bool:
    """Two to four steps in one turn, from nothing or from an uploaded picture."""
    writer = session.writer
    fresh = writer.chance(0.7)
    if not fresh:
        session.upload(a_scene(session))
    if writer.chance(0.08):
        return _chain_with_undo(session, fresh)
    count = writer.rng.choices((2, 3, 4), (0.45, 0.42, 0.13))[0]
    steps = bare_steps(session, count, fresh)
    return bool(steps) and joined(session, steps)


def joined(session: Session, steps: list[Step]) -> bool:
    """Play bare steps as one turn, their clauses joined."""
    writer = session.writer
    if len(steps) == 1:
        text = steps[0].clause
    else:
        clauses = (step.clause.rstrip(" .?!") for step in steps)
        text = writer.say(f"chain.{len(steps)}", **dict(zip("abcd", clauses, strict=False)))
    if text.startswith(steps[0].clause[:8]) and writer.chance(0.45):
        text = writer.say("polite", do=text)
    session.play(text, steps)
    return True


def _chain_with_undo(session: Session, fresh: bool) -> bool:
    """Draw or edit, undo, and something else instead, in one turn."""
    steps = bare_steps(session, 2, fresh)
    if not steps or steps[-1].facts["kind"] != "edit" or not session.trail:
        return False
    session.undo()
    step = some(session, EDITS[:7], "bare")
    if step is None:
        return False
    undo = session.writer.say("undo")
    last = replace(step, clause=f"{undo} and {step.clause}")
    return joined(session, [*steps, last])


def _back_text(session: Session, number: int, undo: bool, full: bool) -> str:
    writer = session.writer
    if undo:
        return writer.say("undo.full") if full and writer.chance(0.3) else writer.say("undo")
    if number == 1 and writer.chance(0.75):
        return writer.say("goto.first")
    return writer.say("goto.n", n=str(number), nth=writer.word(f"nth.{number}"))


def take_back(session: Session, alone: bool | None = None) -> bool:
    """Undo, or back to a picture by its number: alone, or together with a new request; drawn where that is None."""
    writer = session.writer
    undo = bool(session.trail) and writer.chance(0.6)
    choices = [n for n in range(1, len(session.pictures) + 1) if n != session.current]
    if not choices:
        return False
    number = session.trail[-1] if undo else writer.rng.choice(choices)
    alone = writer.chance(0.3) if alone is None else alone
    text = _back_text(session, number, undo, alone)
    if undo:
        session.undo()
    else:
        session.go_back(number)
    if alone:
        text = writer.say("polite", do=text) if writer.chance(0.3) else text
        session.say(text, f"We are back at picture {number}.", {"kind": "back", "picture": number})
        return True
    step = some(session, (*EDITS[:7], (segment, 0.1), *((m, 0.2 * w) for m, w in QUESTIONS)), "bare")
    if step is None:
        return False
    joint = writer.rng.choice((" and ", " and ", " and then ", ", then ", ". ", ", ", ". now ", " and instead "))
    text = f"{text}{joint}{step.clause}"
    session.play(writer.say("polite", do=text) if writer.chance(0.35) else text, [step])
    return True
