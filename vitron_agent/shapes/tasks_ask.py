"""Questions about the picture in hand, with answers that are true by the scene.

Answers are short fixed forms: what the question is about, the fact, and last, where it is due, yes or no: a small
planner finds best what it has just named, and judges best what it has just said. `facts["must"]` names the words that
an answer has to hold. Questions about two objects, places and extremes are in tasks_compare.py.
"""

from collections.abc import Iterable

from vitron_agent.shapes.captions import PLACE_WORDS, article, listed
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, Obj, Scene
from vitron_agent.shapes.tasks_many import by_place
from vitron_agent.shapes.tasks_results import show_box
from vitron_agent.shapes.tasks_segment import around
from vitron_agent.shapes.tasks_session import Session, capital
from vitron_agent.shapes.tasks_turns import Step, Style
from vitron_agent.shapes.tasks_words import Reference, clear_size, mark, pick, point_at_nothing

PRONOUNS = ("it", "that", "that one")


def answered(
    clause: str, question: str, answer: str, must: Iterable[str], scene: Scene, about: Obj | None = None
) -> Step:
    """A question with its answer and the words that any right answer holds.

    Where it is about one object, an answer may say more of that object than was asked, if it is true.
    """
    facts = {"kind": "ask", "question": question, "answer": answer, "must": tuple(must), "scene": scene}
    if about is not None:
        facts["true"] = f"{about.phrase} {placed(about)}"
    return Step(clause, (), answer, facts, is_question=True)


def ordered(session: Session, style: Style, family: str, do: str, **slots: str) -> str:
    """Word a question, or the order that asks for the same ("count the objects")."""
    if not session.writer.chance(0.25):
        return session.asked(family, style, **slots)
    clause = session.writer.say(do, **slots)
    return session.writer.say("polite", do=clause) if style == "full" else clause


def name(obj: Obj) -> str:
    """Colour and shape."""
    return f"{obj.colour} {obj.shape}"


def a_shape(obj: Obj, subject: str) -> str:
    """What an object is: colour and shape, or the shape alone of what is named by its colour."""
    return article(obj.shape if obj.colour in subject.split() else name(obj))


def placed(obj: Obj) -> str:
    """Where an object is, in the words of an answer."""
    return PLACE_WORDS[obj.place][0]


def describe_scene(scene: Scene) -> str:
    """A whole picture in one sentence, the objects from left to right."""
    ground = f"{article(scene.background)} background"
    if not scene.objects:
        return f"Only {ground}."
    parts = [f"{article(o.phrase)} {placed(o)}" for o in (scene.objects[i] for i in by_place(scene))]
    return f"{capital(listed(parts))}, on {ground}."


def describe(session: Session, style: Style) -> Step:
    """Ask for a description."""
    writer, scene = session.writer, session.scene
    draw = writer.rng.random()
    if draw < 0.4:
        clause = writer.say("describe")
        clause = writer.say("polite", do=clause) if style == "full" else clause
    elif draw < 0.7 and style == "full":
        clause = writer.say("question", q=writer.say("describe.q")) + "?"
    else:
        clause = writer.say("ask.lead" if style == "full" else "ask.do", ask=writer.say("describe.in"))
    must = [scene.background, *(word for o in scene.objects for word in (o.colour, o.shape))]
    return answered(clause, "describe", describe_scene(scene), must, scene)


def told(said: str, yes: bool) -> str:
    """A fact and what follows from it: "The star is white, so no."."""
    return f"{capital(said)}, so {'yes' if yes else 'no'}."


def _pointed(session: Session, *avoid: str) -> Reference | None:
    """Point at an object by words that do not hold what is asked for."""
    found = pick(session, 0.3)
    if found is None or any(word in f"{found.phrase} {found.words}".split() for word in avoid):
        return None
    session.focus = found.index
    return found


def attribute(session: Session, style: Style) -> Step | None:
    """Ask for the colour, shape or size of an object."""
    scene, rng = session.scene, session.writer.rng
    found = _pointed(session)
    if found is None:
        return None
    obj, words = scene.objects[found.index], found.phrase.split()
    pronoun = found.words in PRONOUNS
    if pronoun and session.turns and style == "full" and session.writer.chance(0.25):
        clause = session.writer.say("question", q=session.writer.say("colour.short")) + "?"
        return answered(clause, "colour", f"The {obj.shape} is {obj.colour}.", (obj.colour,), scene, obj)
    which = rng.choice(("colour", "colour", "shape", "size"))
    if which == "colour" and (pronoun or obj.colour not in words):
        clause = ordered(session, style, "colour.of", "colour.of.do", x=found.words)
        subject = f"the {obj.shape}" if pronoun else found.phrase
        return answered(clause, "colour", f"{capital(subject)} is {obj.colour}.", (obj.colour,), scene, obj)
    if which == "shape" and (pronoun or obj.shape not in words):
        clause = session.asked("shape.of.it" if pronoun else "shape.of", style, x=found.words)
        subject = "it" if pronoun else found.phrase
        return answered(clause, "shape", f"{capital(subject)} is {a_shape(obj, subject)}.", (obj.shape,), scene, obj)
    if which == "size" and clear_size(obj) and (pronoun or obj.size not in words):
        clause = session.asked("size.of", style, x=found.words)
        return answered(clause, "size", f"{capital(found.phrase)} is {obj.size}.", (obj.size,), scene, obj)
    return None


def medium(session: Session) -> str:
    """What is in hand: "picture" or "video"."""
    return "video" if session.playing else "picture"


def verify(session: Session, style: Style) -> Step | None:
    """Ask whether an object, or the background, is what it may be."""
    writer, scene, rng = session.writer, session.scene, session.writer.rng
    if writer.chance(0.2):
        asked = scene.background if writer.chance(0.5) else rng.choice(tuple(BACKGROUNDS))
        yes = asked == scene.background
        clause = session.direct(style, "ground.is", ground=writer.word(f"ground.{asked}"))
        answer = told(f"the background is {scene.background}", yes)
        return answered(clause, "verify", answer, ("yes" if yes else "no",), scene)
    found = _pointed(session)
    if found is None:
        return None
    obj = scene.objects[found.index]
    subject = found.phrase if found.words not in PRONOUNS else "it"
    if writer.chance(0.65) and obj.colour not in subject:
        others = [o.colour for o in scene.objects] if writer.chance(0.5) else tuple(COLOURS)
        asked = obj.colour if writer.chance(0.5) else rng.choice(others)
        yes, fact = asked == obj.colour, obj.colour
        clause = session.direct(style, "is.colour", x=found.words, colour=writer.word(f"word.{asked}"))
    elif obj.shape not in subject:
        asked = obj.shape if writer.chance(0.5) else rng.choice(SHAPES)
        yes, fact = asked == obj.shape, article(obj.shape)
        clause = session.direct(style, "is.shape", x=found.words, shape=writer.word(f"word.{asked}"))
    else:
        return None
    return answered(clause, "verify", told(f"{subject} is {fact}", yes), ("yes" if yes else "no",), scene)


def they_are(found: list[Obj], where: str) -> str:
    """Which objects are somewhere: "Left of the star is the red circle."."""
    names = listed([f"the {name(o)}" for o in found]) if found else "nothing"
    return f"{capital(where)} {'is' if len(found) < 2 else 'are'} {names}."


def must_of(found: list[Obj]) -> list[str]:
    """The words that an answer naming these objects holds."""
    return [word for o in found for word in (o.colour, o.shape)] or ["nothing"]


def where(session: Session, style: Style) -> Step | None:
    """Ask where an object is: the answer names the place and the box."""
    found = _pointed(session)
    if found is None:
        return None
    return place_answer(session, ordered(session, style, "where", "where.do", x=found.words), found)


def place_answer(session: Session, clause: str, target: Reference) -> Step:
    """Where an object is: its place and its box."""
    obj = session.scene.objects[target.index]
    answer = f"{capital(target.phrase)} is {placed(obj)}: {show_box(obj.box)}."
    step = answered(clause, "where", answer, obj.place.split(), session.scene, obj)
    step.facts["box"] = obj.box
    return step


def colour_answer(session: Session, clause: str, target: Reference) -> Step:
    """Which colour an object has; words that say so themselves are left out of the answer."""
    obj = session.scene.objects[target.index]
    subject = f"the {obj.shape}" if obj.colour in target.phrase.split() else target.phrase
    return answered(clause, "colour", f"{capital(subject)} is {obj.colour}.", (obj.colour,), session.scene, obj)


def ground_of(session: Session, style: Style) -> Step:
    """Ask for the background's colour."""
    clause = ordered(session, style, "ground.of", "ground.of.do")
    answer = f"The background is {session.scene.background}."
    return answered(clause, "background", answer, (session.scene.background,), session.scene)


def which_colour(session: Session, style: Style) -> Step:
    """Ask which object has a colour."""
    writer, scene = session.writer, session.scene
    there = [o.colour for o in scene.objects]
    colour = writer.rng.choice(there if there and writer.chance(0.8) else tuple(COLOURS))
    found = [o for o in (scene.objects[i] for i in by_place(scene)) if o.colour == colour]
    clause = session.direct(style, "which.colour", colour=writer.word(f"word.{colour}"))
    names = listed([f"the {o.shape}" for o in found]) if found else "nothing"
    answer = f"{capital(names)} {'is' if len(found) < 2 else 'are'} {colour}."
    return answered(clause, "which colour", answer, [o.shape for o in found] or ["nothing"], scene)


def colours(session: Session, style: Style) -> Step | None:
    """Ask for the colours of the objects."""
    scene = session.scene
    if not scene.objects:
        return None
    seen = list(dict.fromkeys(scene.objects[i].colour for i in by_place(scene)))
    clause = session.direct(style, "colours")
    return answered(clause, "colours", f"The objects are {listed(seen)}.", seen, scene)


def missing(session: Session, style: Style) -> Step:
    """Ask about an object that is not there, as about one that is."""
    words, phrase = point_at_nothing(session)
    held = phrase.split()
    families = ["where"]
    if not set(held) & set(COLOURS):
        families += ["colour.of", "colour.of"]
    if not set(held) & set(SHAPES):
        families.append("shape.of")
    if not set(held) & {"small", "large"}:
        families.append("size.of")
    family = session.writer.rng.choice(families)
    if family in ("where", "colour.of"):
        clause = ordered(session, style, family, f"{family}.do", x=words)
    else:
        clause = session.asked(family, style, x=words)
    answer = f"The {phrase} is not in the {medium(session)}."
    return answered(clause, "missing", answer, ("not", *(word for word in held if word != "object")), session.scene)


def region_what(session: Session, style: Style) -> Step | None:
    """Ask what a drawn region holds, or for its colour, shape or size."""
    writer, scene = session.writer, session.scene
    drawn = around(session)
    if drawn is None:
        return None
    obj = scene.objects[drawn[0]]
    session.focus = drawn[0]
    token = mark(writer)
    words = writer.say("region.np", mark=token)
    draw = writer.rng.random()
    if draw < 0.55:
        clause = session.direct(
            style, "region.what", region=words, rplace=writer.say("region.place", mark=token), mark=token
        )
        return answered(clause, "region", f"It is {article(obj.phrase)}.", (obj.colour, obj.shape), scene, obj)
    if draw < 0.72:
        clause = session.asked("colour.of", style, x=words)
        return answered(clause, "region colour", f"It is {obj.colour}.", (obj.colour,), scene, obj)
    if draw < 0.86:
        clause = session.asked("shape.of", style, x=words)
        return answered(clause, "region shape", f"It is {a_shape(obj, words)}.", (obj.shape,), scene, obj)
    if draw < 0.93 or not clear_size(obj):
        clause = session.asked("where", style, x=words)
        answer = f"It is {placed(obj)}: {show_box(obj.box)}."
        return answered(clause, "region where", answer, obj.place.split(), scene, obj)
    clause = session.asked("size.of", style, x=words)
    return answered(clause, "region size", f"It is {obj.size}.", (obj.size,), scene, obj)
