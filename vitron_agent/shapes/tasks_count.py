"""Questions of how many there are, and whether there is one at all; with answers that are true by the scene."""

from vitron_agent.shapes.captions import article, listed
from vitron_agent.shapes.language import plural
from vitron_agent.shapes.scene import COLOURS, SHAPES
from vitron_agent.shapes.tasks_ask import answered, medium, name, ordered
from vitron_agent.shapes.tasks_many import by_place
from vitron_agent.shapes.tasks_refer import Words, fits
from vitron_agent.shapes.tasks_session import Session, capital
from vitron_agent.shapes.tasks_turns import Step, Style


def count(session: Session, style: Style) -> Step:
    """Ask for the number of objects: of all, of a shape, of a colour, of a colour and shape, or of a size."""
    writer, scene, rng = session.writer, session.scene, session.writer.rng
    if writer.chance(0.4):
        total = len(scene.objects)
        clause = ordered(session, style, "count", "count.do")
        return answered(clause, "count", counted(total, "object"), (_number(total),), scene)
    form = rng.choice(("shape", "shape", "colour", "both", "size"))
    shown = rng.choice(scene.objects) if scene.objects and writer.chance(0.75) else None
    shape = shown.shape if shown else rng.choice(SHAPES)
    colour = shown.colour if shown else rng.choice(tuple(COLOURS))
    size = shown.size if shown else rng.choice(("small", "large"))
    words = {
        "shape": Words(shape=shape),
        "colour": Words(colour=colour),
        "both": Words(shape, colour),
        "size": Words(size=size),
    }[form]
    found = [scene.objects[i] for i in by_place(scene) if fits(scene.objects[i], words)]
    total = len(found)
    said = {"shape": shape, "colour": f"{colour} object", "both": f"{colour} {shape}", "size": f"{size} object"}[form]
    if form in ("shape", "both"):
        noun = plural(writer.word(f"word.{shape}"))
        noun = noun if form == "shape" else f"{writer.word(f'word.{colour}')} {noun}"
        clause = ordered(session, style, "count.some", "count.some.do", xs=noun)
    else:
        slots = {"colour": writer.word(f"word.{colour}"), "size": writer.word(f"word.{size}")}
        clause = session.direct(style, f"count.{form}", **slots)
    names = listed([f"the {name(obj)}" for obj in found]) if found else "none"
    answer = f"{capital(plural(said))}: {names}, so {_lower(counted(total, said))}"
    return answered(clause, "count", answer, (_number(total),), scene)


def _number(total: int) -> str:
    return str(total) if total else "no"


def counted(total: int, noun: str) -> str:
    """How many there are: "There are 2 circles.", "There is 1 circle.", "There are no circles."."""
    if total == 1:
        return f"There is 1 {noun}."
    return f"There are {_number(total)} {plural(noun)}."


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def exists(session: Session, style: Style) -> Step:
    """Ask whether there is an object of a shape, or of a colour and shape: half of the answers are yes."""
    writer = session.writer
    there = bool(session.scene.objects) and writer.chance(0.5)
    words = _of_object(session) if there else _of_nothing(session)
    noun = writer.word(f"word.{words.shape}") if words.shape else writer.word("shape_noun")
    noun = f"{writer.word(f'word.{words.colour}')} {noun}" if words.colour else noun
    phrase = " ".join(word for word in (words.colour, words.shape or "object") if word)
    clause = session.asked("exists", style, x=f"a {noun}", xs=plural(noun), x1=noun)
    answer = (
        f"{capital(article(phrase))} is {'' if there else 'not '}in the {medium(session)}: {'yes' if there else 'no'}."
    )
    return answered(clause, "exists", answer, ("yes" if there else "no",), session.scene)


def _of_object(session: Session) -> Words:
    """Colour, shape or both of some object of the picture in hand."""
    obj = session.writer.rng.choice(session.scene.objects)
    forms = (Words(obj.shape, obj.colour), Words(obj.shape), Words(None, obj.colour))
    return session.writer.rng.choices(forms, (0.5, 0.35, 0.15))[0]


def _of_nothing(session: Session) -> Words:
    """Colour, shape or both of no object; both often hold one that some object has."""
    rng, objects = session.writer.rng, session.scene.objects
    while True:
        shape, colour = rng.choice(SHAPES), rng.choice(tuple(COLOURS))
        if objects and session.writer.chance(0.6):
            near = rng.choice(objects)
            shape, colour = (near.shape, colour) if session.writer.chance(0.5) else (shape, near.colour)
        words = rng.choices((Words(shape, colour), Words(shape), Words(None, colour)), (0.5, 0.35, 0.15))[0]
        if not any(fits(obj, words) for obj in objects):
            return words
