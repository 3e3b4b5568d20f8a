"""The last request once more, for another object: "now the other one", "and the star?".

What is to be done stands in the turn before; only the object is new. Knows the single requests it repeats.
"""

from dataclasses import replace

from vitron_agent.shapes.captions import article
from vitron_agent.shapes.scene import Obj, apart, clashes
from vitron_agent.shapes.tasks_act import Maker, changed, recolour, remove, removed, reshape, resize
from vitron_agent.shapes.tasks_ask import attribute, colour_answer, place_answer, where
from vitron_agent.shapes.tasks_refer import resized
from vitron_agent.shapes.tasks_segment import masked, segment
from vitron_agent.shapes.tasks_session import Session, capital, uncapital
from vitron_agent.shapes.tasks_turns import Facts, Step, Style
from vitron_agent.shapes.tasks_words import Reference, clear_size, point_at

REPEATABLE: tuple[tuple[Maker, float], ...] = (
    (segment, 0.35),
    (recolour, 0.2),
    (remove, 0.12),
    (reshape, 0.08),
    (resize, 0.1),
    (attribute, 0.1),
    (where, 0.05),
)
"""Requests that are often made again for the next object, and how often each."""


def again(session: Session, style: Style) -> Step | None:
    """Ask for what was asked for last, for another object."""
    if style == "bare":
        return None
    facts, found = _last(session), _another(session)
    if facts is None or found is None:
        return None
    target, is_rest = found
    before = _spoken_of(session) if is_rest else None
    asks = facts["kind"] == "ask"
    clause = session.writer.say("again.ask" if asks else "again", x=target.words)
    step = _same(session, f"{clause}?" if asks else clause, facts, target)
    if step is None or before is None:
        return step
    both = f"besides the {before} there is {target.phrase}"  # what is not meant is named first
    return replace(step, about=both) if step.actions else replace(step, answer=_told_of(both, step.answer))


def _told_of(what: str, answer: str) -> str:
    """An answer behind what it is about: "Besides the star there is the circle: the circle is red."."""
    return f"{capital(what)}: {uncapital(answer)}"


def _spoken_of(session: Session) -> str | None:
    """What words call the object spoken of last, as it is now."""
    return None if session.focus is None else session.name_of(session.focus)


def _last(session: Session) -> Facts | None:
    """What the user wanted last."""
    for turn in reversed(session.turns):
        if turn.role == "user":
            steps = turn.facts.get("steps", ())
            return steps[-1] if steps else None
    return None


def _another(session: Session) -> tuple[Reference, bool] | None:
    """Point at an object that is not the one spoken of last, and say whether as "the other one", all that is left."""
    others = [index for index in range(len(session.scene.objects)) if index != session.focus]
    if not others:
        return None
    index = session.writer.rng.choice(others)
    name = session.name_of(index)
    if name is not None and len(others) == 1 and session.writer.chance(0.5):
        return Reference(session.writer.say("again.other"), f"the {name}", index), True
    named = point_at(session, index, plain=True)
    return None if named is None else (named, False)


def _same(session: Session, clause: str, facts: Facts, target: Reference) -> Step | None:
    """The step that does for an object what the facts say was done before."""
    if facts["kind"] == "segment" and isinstance(facts["targets"], tuple) and len(facts["targets"]) == 1:
        return masked(session, clause, target)
    if facts["kind"] == "ask" and facts["question"] in ("colour", "where"):
        session.focus = target.index
        return (colour_answer if facts["question"] == "colour" else place_answer)(session, clause, target)
    if facts["kind"] != "edit" or facts["target"] is None:
        return None
    if facts["operation"] == "remove":
        return removed(session, clause, target, {})
    if facts["operation"] != "replace":
        return None
    old, new = (facts[when].objects[facts["target"]] for when in ("before", "after"))
    return _alike_changed(session, clause, target, old, new)


def _alike_changed(session: Session, clause: str, target: Reference, old: Obj, its: Obj) -> Step | None:
    """Change an object's colour, shape or size as another's was: exactly one of these, and not in vain."""
    scene = session.scene
    mine = scene.objects[target.index]
    differs = [name for name in ("colour", "shape", "size") if getattr(old, name) != getattr(its, name)]
    if len(differs) != 1 or getattr(mine, differs[0]) == getattr(its, differs[0]):
        return None
    if differs == ["colour"]:
        if clashes(its.colour, scene.background):
            return None
        return changed(session, clause, target, replace(mine, colour=its.colour), its.colour, False, {})
    if differs == ["shape"]:
        return changed(session, clause, target, replace(mine, shape=its.shape), article(its.shape), False, {})
    new = resized(mine, its.size)
    others = (obj for index, obj in enumerate(scene.objects) if index != target.index)
    if not clear_size(mine) or not all(apart(new, obj) for obj in others):
        return None
    return changed(session, clause, target, new, new.size, True, {})
