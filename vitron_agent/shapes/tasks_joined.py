"""Two changes in one sentence that says their verb once: "make the star red and the background navy".

The agent does them one after the other, as in a chain; what differs is that the second has to be read off the first.
Knows the single changes of tasks_act.
"""

from collections.abc import Callable
from dataclasses import replace

from vitron_agent.invocation import Module
from vitron_agent.shapes.captions import PLACE_WORDS
from vitron_agent.shapes.scene import BACKGROUNDS, SHAPES, clashes
from vitron_agent.shapes.tasks_act import added, changed, edit_facts, other_colour, removed
from vitron_agent.shapes.tasks_layout import free_place
from vitron_agent.shapes.tasks_refer import resolve
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Step
from vitron_agent.shapes.tasks_words import Reference, Wish, a_wish, new_object, pick, point_at

Words = tuple[str, list[Step]]
"""The request's words and its two steps, which the session has carried out."""


def change_two(session: Session) -> bool:
    """Plays one turn that asks for two changes; False where the picture in hand does not allow them."""
    kinds, weights = zip(*_KINDS, strict=True)
    made = session.writer.rng.choices(kinds, weights)[0](session)
    if made is None:
        return False
    text, steps = made
    frame = session.writer.chance(0.4) and text.split()[0] in _VERBS
    session.play(session.writer.say("polite", do=text) if frame else text, steps)
    return True


def _two(session: Session) -> list[Reference] | None:
    """Points at two different objects."""
    objects = range(len(session.scene.objects))
    if len(objects) < 2:
        return None
    found = [
        point_at(session, index, plain=session.writer.chance(0.8)) for index in session.writer.rng.sample(objects, 2)
    ]
    return None if None in found else [reference for reference in found if reference is not None]


def _still_meant(session: Session, target: Reference) -> bool:
    """Whether words for an object still mean it, after the first change."""
    return resolve(session.scene, target.phrase.removeprefix("the ")) == (target.index,)


def _recolour(session: Session, target: Reference, colour: str) -> Step:
    new = replace(session.scene.objects[target.index], colour=colour)
    return changed(session, "", target, new, colour, False, {})


def _two_colours(session: Session) -> Words | None:
    """Another colour for each of two objects, or the same for both."""
    pair, writer = _two(session), session.writer
    if pair is None:
        return None
    x, y = pair
    colours = [other_colour(session, x.index), other_colour(session, y.index)]
    same = writer.chance(0.4) and session.scene.objects[y.index].colour != colours[0]
    if same:
        text = writer.say("two.same", x=x.words, y=y.words, colour=writer.word(f"word.{colours[0]}"))
        colours[1] = colours[0]
    else:
        first, second = (writer.word(f"word.{colour}") for colour in colours)
        text = writer.say("two.recolour", x=x.words, y=y.words, colour=first, colour2=second)
    step = _recolour(session, x, colours[0])
    return (text, [step, _recolour(session, y, colours[1])]) if _still_meant(session, y) else None


def _colour_and_ground(session: Session) -> Words | None:
    """Another colour of an object, and another background."""
    writer, before = session.writer, session.scene
    target = pick(session, plain=True)
    if target is None:
        return None
    colour = other_colour(session, target.index)
    colours = {colour, *(obj.colour for obj in before.objects)}
    free = [b for b in BACKGROUNDS if b != before.background and not any(clashes(c, b) for c in colours)]
    if not free:
        return None
    name = writer.rng.choice(free)
    slots = {"colour": writer.word(f"word.{colour}"), "ground": writer.word(f"ground.{name}")}
    text = writer.say("two.recolour.ground", x=target.words, **slots)
    first, focus = _recolour(session, target, colour), session.focus
    between = session.scene
    action = session.call(Module.C, f"change the background to {name}")
    session.focus = focus
    facts = edit_facts("background", between, session.scene, None)
    return text, [first, Step("", (action,), f"Done: the background is {name} now.", facts)]


def _two_gone(session: Session) -> Words | None:
    """Two objects less; mostly something stays."""
    pair = _two(session)
    if pair is None or (len(session.scene.objects) == 2 and session.writer.chance(0.7)):
        return None
    x, y = pair
    text = session.writer.say("two.remove", x=x.words, y=y.words)
    step = removed(session, "", x, {})
    y = replace(y, index=y.index - (x.index < y.index))
    return (text, [step, removed(session, "", y, {})]) if _still_meant(session, y) else None


def _two_more(session: Session) -> Words | None:
    """Two objects more, each at a place or anywhere."""
    writer = session.writer
    if len(session.scene.objects) != 1:
        return None
    said, steps = [], []
    for _ in range(2):
        wish = replace(a_wish(writer.rng, session.scene.background), size=None)
        place = writer.rng.choice(tuple(PLACE_WORDS)) if writer.chance(0.5) else None
        if free_place(session.scene, None, place) is None:
            return None
        said.append(_named(session, wish, place))
        where = PLACE_WORDS[place][0] if place else ""
        steps.append(added(session, "", wish, {"wish": wish, "where": place}, where))
    return writer.say("two.add", a=said[0], b=said[1]), steps


def _named(session: Session, wish: Wish, place: str | None) -> str:
    words = new_object(session.writer, wish)
    return f"{words} {session.writer.word(f'place.{place}')}" if place else words


def _two_shapes(session: Session) -> Words | None:
    """Another shape for each of two objects."""
    pair, writer = _two(session), session.writer
    if pair is None:
        return None
    shapes = [writer.rng.choice([s for s in SHAPES if s != session.scene.objects[r.index].shape]) for r in pair]
    words = {f"shape{end}": writer.word(f"word.{shape}") for end, shape in zip(("", "2"), shapes, strict=True)}
    text, steps = writer.say("two.reshape", x=pair[0].words, y=pair[1].words, **words), []
    for target, shape in zip(pair, shapes, strict=True):
        if not _still_meant(session, target):
            return None
        new = replace(session.scene.objects[target.index], shape=shape)
        steps.append(changed(session, "", target, new, f"a {shape}", False, {}))
    return text, steps


_KINDS: tuple[tuple[Callable[[Session], Words | None], float], ...] = (
    (_two_colours, 0.35),
    (_colour_and_ground, 0.25),
    (_two_gone, 0.15),
    (_two_more, 0.15),
    (_two_shapes, 0.1),
)
_VERBS = {"make", "paint", "turn", "color", "colour", "change", "remove", "delete", "add", "draw", "put", "set"}
"""First words behind which a request is a bare imperative, which may stand behind "please" or "can you"."""
