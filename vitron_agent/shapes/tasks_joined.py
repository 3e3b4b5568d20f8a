"""Several wishes in one sentence: two changes that say their verb once, two questions.

"Make the star red and the background navy": the agent does one after the other, as in a chain; what differs is that the
second has to be read off the first. Knows the single changes of tasks_act.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from vitron_agent.shapes.captions import PLACE_WORDS, article
from vitron_agent.shapes.scene import SHAPES, Obj
from vitron_agent.shapes.tasks_act import Maker, changed, grounded, other_colour, other_ground, removed
from vitron_agent.shapes.tasks_add import added
from vitron_agent.shapes.tasks_layout import free_place
from vitron_agent.shapes.tasks_play import attempt, is_question, some
from vitron_agent.shapes.tasks_refer import resolve
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Facts, Step, Style
from vitron_agent.shapes.tasks_words import Reference, Wish, a_wish, new_object, pick, point_at

Request = tuple[str, list[Step | None]]
"""The request's words and its two steps, which the session has carried out; None for one that could not be."""


def change_two(session: Session) -> bool:
    """Play one turn that asks for two changes; False where the picture in hand does not allow them."""
    kinds, weights = zip(*_KINDS, strict=True)
    request = session.writer.rng.choices(kinds, weights)[0](session)
    if request is None:
        return False
    text, steps = request[0], [step for step in request[1] if step is not None]
    if len(steps) < 2:
        return False
    bare = text.split()[0] in _VERBS and session.writer.chance(0.4)
    session.play(session.writer.say("polite", do=text) if bare else text, steps)
    return True


def _denies(step: Step) -> bool:
    """Whether an answer that is no yes or no says that something is not so: "no" would not tell to which question."""
    return re.search(r"\b(no|not|nothing|none|neither)\b", step.answer, re.I) is not None


def twice(session: Session, makers: Sequence[tuple[Maker, float]]) -> bool:
    """Two questions in one turn about what is in hand: each is answered, in the order of asking."""
    first, second = (some(session, makers, "full") for _ in range(2))
    if first is None or second is None or first.answer == second.answer:
        return False
    decided = [step for step in (first, second) if {"yes", "no"} & {*step.facts["must"]}]
    if len(decided) == 2 or decided and _denies(second if decided[0] is first else first):
        return False
    a, b = (step.clause.rstrip(" .?!") for step in (first, second))
    end = "?" if is_question(first) else "."
    text = session.writer.say("ask.two", a=a, b=b, end=end) + ("?" if is_question(second) else "")
    session.play(text, [first, second], is_question(second))
    return True


def _two(session: Session) -> list[Reference] | None:
    """Point at two different objects."""
    objects = range(len(session.scene.objects))
    if len(objects) < 2:
        return None
    pair = session.writer.rng.sample(objects, 2)
    found = [point_at(session, index, plain=session.writer.chance(0.8)) for index in pair]
    return [target for target in found if target is not None] if None not in found else None


def _on(session: Session, target: Reference, change: Callable[[Reference, Obj], Step]) -> Callable[[], Step | None]:
    """Return what changes an object of the picture in hand later, if its words still mean it then."""
    meant = session.scene.objects[target.index]

    def make(now: Session, style: object) -> Step | None:
        found = resolve(now.scene, target.phrase.removeprefix("the "))
        if len(found) != 1 or now.scene.objects[found[0]] is not meant:
            return None
        return change(replace(target, index=found[0]), meant)

    return lambda: attempt(session, make, "bare")


def _recolour(session: Session, target: Reference, colour: str) -> Callable[[], Step | None]:
    return _on(
        session, target, lambda now, obj: changed(session, "", now, replace(obj, colour=colour), colour, False, {})
    )


def _two_colours(session: Session) -> Request | None:
    """Another colour for each of two objects, or the same for both."""
    pair, writer = _two(session), session.writer
    if pair is None:
        return None
    x, y = pair
    first, second = other_colour(session, x.index), other_colour(session, y.index)
    if writer.chance(0.4) and session.scene.objects[y.index].colour != first:
        text, second = writer.say("two.same", x=x.words, y=y.words, colour=writer.word(f"word.{first}")), first
    else:
        colours = {"colour": writer.word(f"word.{first}"), "colour2": writer.word(f"word.{second}")}
        text = writer.say("two.recolour", x=x.words, y=y.words, **colours)
    changes = _recolour(session, x, first), _recolour(session, y, second)
    return text, [change() for change in changes]


def _colour_and_ground(session: Session) -> Request | None:
    """Another colour of an object, and another background."""
    writer = session.writer
    target = pick(session, plain=True)
    if target is None:
        return None
    colour = other_colour(session, target.index)
    first = _recolour(session, target, colour)()
    name = other_ground(session)
    second = attempt(session, lambda now, style: grounded(now, "", name), "bare")
    slots = {"colour": writer.word(f"word.{colour}"), "ground": writer.word(f"ground.{name}")}
    return writer.say("two.recolour.ground", x=target.words, **slots), [first, second]


def _two_gone(session: Session) -> Request | None:
    """Two objects less; mostly something stays."""
    pair = _two(session)
    if pair is None or (len(session.scene.objects) == 2 and session.writer.chance(0.7)):
        return None
    text = session.writer.say("two.remove", x=pair[0].words, y=pair[1].words)
    changes = [_on(session, target, lambda now, obj: removed(session, "", now, {})) for target in pair]
    return text, [change() for change in changes]


def _two_more(session: Session) -> Request | None:
    """Two objects more, each at a place or anywhere."""
    writer, said, steps = session.writer, [], []
    if len(session.scene.objects) != 1:
        return None
    for _ in range(2):
        wish = replace(a_wish(writer.rng, session.scene.background), size=None)
        place = writer.rng.choice(tuple(PLACE_WORDS)) if writer.chance(0.5) else None
        if free_place(session.scene, None, place) is None:
            return None
        words, where = new_object(writer, wish), PLACE_WORDS[place][0] if place else ""
        said.append(f"{words} {writer.word(f'place.{place}')}" if place else words)
        facts = {"wish": wish, "where": place}
        steps.append(attempt(session, partial(_added, wish=wish, facts=facts, where=where), "bare"))
    return writer.say("two.add", a=said[0], b=said[1]), steps


def _added(session: Session, style: Style, wish: Wish, facts: Facts, where: str) -> Step:
    return added(session, "", wish, facts, where)


def _two_shapes(session: Session) -> Request | None:
    """Another shape for each of two objects."""
    pair, writer = _two(session), session.writer
    if pair is None:
        return None
    words, changes = {}, []
    for end, target in zip(("", "2"), pair, strict=True):
        shape = writer.rng.choice([s for s in SHAPES if s != session.scene.objects[target.index].shape])
        words[f"shape{end}"] = writer.word(f"word.{shape}")
        changes.append(_reshape(session, target, shape))
    text = writer.say("two.reshape", x=pair[0].words, y=pair[1].words, **words)
    return text, [change() for change in changes]


def _reshape(session: Session, target: Reference, shape: str) -> Callable[[], Step | None]:
    return _on(
        session,
        target,
        lambda now, obj: changed(session, "", now, replace(obj, shape=shape), article(shape), False, {}),
    )


_KINDS: tuple[tuple[Callable[[Session], Request | None], float], ...] = (
    (_two_colours, 0.35),
    (_colour_and_ground, 0.25),
    (_two_gone, 0.15),
    (_two_more, 0.15),
    (_two_shapes, 0.1),
)
_VERBS = {"make", "paint", "turn", "color", "colour", "change", "remove", "delete", "add", "draw", "put", "set"}
"""First words behind which a request is a bare imperative, which may stand behind "please" or "can you"."""
