"""Changes that take several calls: moving, swapping colours, changing all objects, keeping one, doubling one.

The reply names all that will change before the first call: what is left to do can then be read off it.
"""

from dataclasses import replace

from vitron_agent.invocation import Module, parse_edit
from vitron_agent.shapes.captions import PLACE_WORDS, article, listed
from vitron_agent.shapes.scene import Scene, Size, apart
from vitron_agent.shapes.tasks_act import (
    Maker,
    edit_facts,
    ground,
    other_colour,
    recolour,
    recolour_like,
    remake,
    remove,
    replace_object,
    reshape,
    resize,
)
from vitron_agent.shapes.tasks_add import add
from vitron_agent.shapes.tasks_layout import free_place
from vitron_agent.shapes.tasks_refer import at_place, resized
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Action, Facts, Step, Style
from vitron_agent.shapes.tasks_words import clear_size, kind_of, pick, point_at


def move(session: Session, style: Style) -> Step | None:
    """Ask for an object at another place: it is removed, then added there."""
    before, writer = session.scene, session.writer
    target = pick(session)
    if target is None:
        return None
    obj = before.objects[target.index]
    place = writer.rng.choice([name for name in PLACE_WORDS if not at_place(obj, name)])
    rest = Scene(before.background, tuple(o for o in before.objects if o is not obj))
    if free_place(rest, obj.size, place) is None:
        return None
    words = writer.say(f"move.to.{place}") if writer.chance(0.6) else writer.word(f"place.{place}")
    clause = session.framed(style, "move", x=target.words, to=words)
    first = session.call(Module.C, f"remove {target.phrase}")
    second = session.call(Module.C, f"add {article(obj.phrase)} {PLACE_WORDS[place][0]}")
    session.focus = len(session.scene.objects) - 1
    facts = {**edit_facts("move", before, session.scene, target.index), "where": place}
    answer = f"Done: {target.phrase} is {PLACE_WORDS[place][0]} now."
    return Step(clause, (first, second), answer, facts, about=target.phrase)


def duplicate(session: Session, style: Style) -> Step | None:
    """Ask for one more object like one that is there."""
    before = session.scene
    target = pick(session)
    if target is None or len(before.objects) > 2:
        return None
    obj = before.objects[target.index]
    if free_place(before, obj.size) is None:
        return None
    clause = session.framed(style, "duplicate", x=target.words)
    action = session.call(Module.C, f"add {article(obj.phrase)}")
    facts = {**edit_facts("add", before, session.scene, None), "where": None}
    return Step(clause, (action,), f"Done: {article(obj.phrase)} is added.", facts)


def _all_of(clause: str, actions: list[Action], answer: str, facts: Facts) -> Step:
    """Return a step of one call for each of several objects."""
    targets = [parse_edit(action.invocation.command).target for action in actions]
    lead = "I will edit them." if len(targets) > 1 else ""
    return Step(clause, tuple(actions), answer, facts, about=listed([f"the {name}" for name in targets]), lead=lead)


def recolour_all(session: Session, style: Style) -> Step | None:
    """Ask for one colour for all objects: one call for each that has another."""
    before = session.scene
    if len(before.objects) < 2:
        return None
    names = [session.name_of(i) for i in range(len(before.objects))]
    if any(name is None for name in names):
        return None
    colour = other_colour(session, 0)
    pair = len(names) == 2 and session.writer.chance(0.5)
    clause = session.framed(
        style, "pair.recolour" if pair else "all.recolour", colour=session.writer.word(f"word.{colour}")
    )
    actions = []
    for index in by_place(before):
        obj = before.objects[index]
        name = session.name_of(index)
        if obj.colour == colour:
            continue
        if name is None:
            return None
        actions.append(session.call(Module.C, f"replace the {name} with {article(f'{colour} {obj.shape}')}"))
    facts = edit_facts("recolour all", before, session.scene, None)
    return _all_of(clause, actions, f"Done: everything is {colour} now.", facts)


def recolour_some(session: Session, style: Style) -> Step | None:
    """Ask for another colour of all objects of a shape or colour: one call for each."""
    before, found = session.scene, kind_of(session, 2)
    if found is None:
        return None
    colour = other_colour(session, found.indices[0])
    clause = session.framed(
        style, "recolour.some", xs=found.words, x1=found.word, colour=session.writer.word(f"word.{colour}")
    )
    actions = []
    for index in found.indices:
        obj, name = session.scene.objects[index], session.name_of(index)
        if name is None:
            return None
        if obj.colour != colour:
            actions.append(session.call(Module.C, f"replace the {name} with {article(f'{colour} {obj.shape}')}"))
    facts = edit_facts("recolour some", before, session.scene, None)
    return _all_of(clause, actions, f"Done: the {found.phrase} are {colour} now.", facts)


def by_place(scene: Scene) -> list[int]:
    """The objects from left to right: the order in which things are done and told."""
    return sorted(range(len(scene.objects)), key=lambda i: scene.objects[i].x)


def keep_only(session: Session, style: Style) -> Step | None:
    """Ask for all objects but one to go: one call for each of the others."""
    before, writer = session.scene, session.writer
    if len(before.objects) < 2:
        return None
    kept = writer.rng.randrange(len(before.objects))
    target = point_at(session, kept)
    if target is None:
        return None
    clause = session.framed(style, "keep.only", x=target.words)
    actions = _removed(session, before, [i for i in by_place(before) if i != kept])
    if actions is None:
        return None
    facts = edit_facts("keep only", before, session.scene, kept)
    return _all_of(clause, actions, f"Done: only {target.phrase} is left.", facts)


def swap_colours(session: Session, style: Style) -> Step | None:
    """Ask for two objects to trade their colours: two calls."""
    before, writer = session.scene, session.writer
    if len(before.objects) < 2:
        return None
    first, second = writer.rng.sample(range(len(before.objects)), 2)
    a, b = before.objects[first], before.objects[second]
    if a.colour == b.colour or a.shape == b.shape:
        return None
    if len(before.objects) == 2 and writer.chance(0.5):
        clause = session.framed(style, "pair.swap")
    else:
        x, y = point_at(session, first, plain=True), point_at(session, second, plain=True)
        if x is None or y is None:
            return None
        clause = session.framed(style, "swap.colours", x=x.words, y=y.words)
    actions = []
    for index, obj, colour in ((first, a, b.colour), (second, b, a.colour)):
        name = session.name_of(index)
        if name is None:
            return None
        actions.append(session.call(Module.C, f"replace the {name} with {article(f'{colour} {obj.shape}')}"))
    facts = edit_facts("swap colours", before, replace(session.scene), None)
    return _all_of(clause, actions, "Done: the colors are swapped.", facts)


def _removed(session: Session, scene: Scene, doomed: list[int]) -> list[Action] | None:
    """Remove objects of a scene (the one in hand), one call for each; None where words do not tell one apart."""
    actions = []
    for obj in [scene.objects[i] for i in doomed]:
        name = session.name_of(session.scene.objects.index(obj))
        if name is None:
            return None
        actions.append(session.call(Module.C, f"remove the {name}"))
    session.focus = 0 if len(session.scene.objects) == 1 else None
    return actions


def remove_some(session: Session, style: Style) -> Step | None:
    """Ask for all objects of a shape or colour to go, or for all objects: one call for each."""
    before, writer = session.scene, session.writer
    if not before.objects:
        return None
    if writer.chance(0.3):
        doomed, answer = by_place(before), "Done: everything is removed."
        clause = session.framed(style, "remove.all")
    else:
        found = kind_of(session, 1 if writer.chance(0.2) else 2)
        if found is None:
            return None
        doomed, answer = list(found.indices), f"Done: the {found.phrase} are removed."
        clause = session.framed(style, "remove.some", xs=found.words, x1=found.word)
    actions = _removed(session, before, doomed)
    if actions is None:
        return None
    return _all_of(clause, actions, answer, edit_facts("remove some", before, session.scene, None))


def resize_all(session: Session, style: Style) -> Step | None:
    """Ask for all objects to be bigger or smaller: one call for each that has the other size."""
    before, writer = session.scene, session.writer
    size: Size = writer.rng.choice(("small", "large"))
    others = [i for i in by_place(before) if before.objects[i].size != size]
    if len(before.objects) < 2 or not others or not all(clear_size(o) for o in before.objects):
        return None
    actions = []
    for index in others:
        obj, name = session.scene.objects[index], session.name_of(index)
        new = resized(obj, size)
        if name is None or not all(apart(new, o) for i, o in enumerate(session.scene.objects) if i != index):
            return None
        actions.append(session.call(Module.C, f"replace the {name} with {article(new.phrase)}"))
    word = writer.rng.choice(("bigger", "larger", "big") if size == "large" else ("smaller", "tiny", "small"))
    clause = session.framed(style, "resize.all", bigger=word)
    answer = f"Done: everything is {size} now."
    return _all_of(clause, actions, answer, edit_facts("resize all", before, session.scene, None))


EDITS: tuple[tuple[Maker, float], ...] = (
    (recolour, 0.24),
    (reshape, 0.14),
    (replace_object, 0.07),
    (resize, 0.14),
    (remove, 0.14),
    (add, 0.13),
    (ground, 0.13),
    (move, 0.05),
    (recolour_like, 0.03),
    (recolour_all, 0.03),
    (keep_only, 0.02),
    (duplicate, 0.02),
    (swap_colours, 0.02),
    (remove_some, 0.03),
    (recolour_some, 0.02),
    (remake, 0.04),
    (resize_all, 0.02),
)
"""All requests for a change, and how often each is drawn."""
