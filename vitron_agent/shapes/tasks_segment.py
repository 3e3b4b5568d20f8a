"""Requests for a mask: of an object, the background, everything, or what a drawn region means; and for its area.

Every maker takes a session and a style and returns a step, having carried it out in the session; None where the picture
in hand does not allow it.
"""

from vitron_agent.invocation import Module
from vitron_agent.media import Region
from vitron_agent.shapes.scene import Scene
from vitron_agent.shapes.tasks_refer import hit
from vitron_agent.shapes.tasks_session import Session, capital
from vitron_agent.shapes.tasks_turns import Facts, Step, Style
from vitron_agent.shapes.tasks_words import Reference, drawn_around, kind_of, mark, pick


def _segment_facts(scene: Scene, targets: object, number: int) -> Facts:
    return {"kind": "segment", "targets": targets, "scene": scene, "picture": number}


def segment(session: Session, style: Style) -> Step | None:
    """Ask for the mask of an object, of the background, or for all parts."""
    writer, scene, number = session.writer, session.scene, session.current
    draw = writer.rng.random()
    if draw < 0.08:
        clause = session.framed(style, "segment.all.do", all=writer.say("segment.all"))
        action = session.call(Module.B, "everything")
        return Step(clause, (action,), "Here are all segments.", _segment_facts(scene, "everything", number))
    if draw < 0.17:
        words = writer.say("segment.ground", ground=writer.word(f"ground.{scene.background}"))
        clause = session.worded("segment", style, x=words)
        action = session.call(Module.B, "the background")
        answer = "Here is the mask of the background."
        return Step(clause, (action,), answer, _segment_facts(scene, "background", number))
    found = pick(session, 0.35)
    if found is None:
        return None
    return masked(session, session.worded("segment", style, x=found.words), found)


def masked(session: Session, clause: str, target: Reference) -> Step:
    """Cut an object out: command, call, answer and facts."""
    facts = _segment_facts(session.scene, (target.index,), session.current)
    action = session.call(Module.B, target.phrase)
    session.focus = target.index
    return Step(clause, (action,), f"Here is the mask of {target.phrase}.", facts, about=target.phrase)


def segment_some(session: Session, style: Style) -> Step | None:
    """Ask for the masks of all objects of a shape or colour: one call for each."""
    scene = session.scene
    found = kind_of(session, 2)
    if found is None:
        return None
    clause = session.framed(style, "segment.some", xs=found.words, x1=found.word)
    names = [session.name_of(i) for i in found.indices]
    if any(name is None for name in names):
        return None
    actions = tuple(session.call(Module.B, f"the {name}") for name in names)
    facts = _segment_facts(scene, found.indices, session.current)
    answer = f"Here are the masks of the {len(names)} {found.phrase}."
    session.focus = None
    return Step(clause, actions, answer, facts)


def area_of(session: Session, style: Style) -> Step | None:
    """Ask how much of the picture an object covers: a mask measures it."""
    scene = session.scene
    found = pick(session, 0.3)
    if found is None:
        return None
    clause = session.direct(style, "area", x=found.words)
    action = session.call(Module.B, found.phrase)
    session.focus = found.index
    share = action.result.split("), ")[1].split(" of ")[0]
    answer = f"{capital(found.phrase)} covers {share} of the picture."
    facts = {**_segment_facts(scene, (found.index,), session.current), "must": (share,)}
    return Step(clause, (action,), answer, facts, is_question=True, about=found.phrase)


def around(session: Session) -> tuple[int, Region] | None:
    """Draw a region around some object of the picture in hand, such that it means that one."""
    scene, rng = session.scene, session.writer.rng
    if not scene.objects or session.media is not None:
        return None  # people draw on the latest picture
    index = rng.randrange(len(scene.objects))
    region = drawn_around(scene.objects[index], rng)
    if hit(scene, region) != index:
        return None
    session.draw(region)
    return index, region


def segment_region(session: Session, style: Style) -> Step | None:
    """Ask for the mask of what a drawn region means."""
    writer, scene = session.writer, session.scene
    drawn = around(session)
    if drawn is None:
        return None
    words = writer.say("region.np", mark=mark(writer))
    clause = session.worded("segment", style, x=words)
    action = session.call(Module.B, "the object", uses_drawn_region=True)
    session.focus = drawn[0]
    facts = _segment_facts(scene, (drawn[0],), session.current)
    return Step(clause, (action,), "Here is the mask of the object.", facts)
