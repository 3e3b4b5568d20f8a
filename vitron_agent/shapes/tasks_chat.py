"""Turns that words alone answer: small talk, and requests that cannot be met."""

from vitron_agent.shapes.language import plural
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, sample_scene
from vitron_agent.shapes.tasks_act import Maker, ground, recolour, remove, resize
from vitron_agent.shapes.tasks_compare import QUESTIONS
from vitron_agent.shapes.tasks_segment import segment
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Facts
from vitron_agent.shapes.tasks_words import SIZES, point_at_nothing

TOPICS = ("hello", "abilities", "who", "thanks", "bye", "ok", "offtopic")
_TOPIC_WEIGHTS = (0.16, 0.22, 0.13, 0.12, 0.06, 0.07, 0.24)
_QUESTIONS = ("abilities", "who", "offtopic")


def reply(session: Session, name: str) -> str:
    """The fixed reply of a name, such as "no_picture"."""
    return session.writer.say(f"say.{name}")


def refusal(reason: str) -> Facts:
    """The truth about a request that cannot be met."""
    return {"kind": "refuse", "reason": reason}


def chat(session: Session, topic: str | None = None) -> None:
    """Play one turn of small talk."""
    writer = session.writer
    topic = topic or writer.rng.choices(TOPICS, _TOPIC_WEIGHTS)[0]
    text = writer.say(topic)
    if topic in _QUESTIONS and writer.chance(0.15):
        text = f"{writer.say('hello').rstrip('.!?')}{writer.rng.choice((', ', '! ', '. ', ' '))}{text}"
    session.say(text, reply(session, topic), {"kind": "chat", "topic": topic}, question=topic in _QUESTIONS)


def any_slots(session: Session) -> dict[str, str]:
    """Fillings from anywhere in the small world, for requests whose content does not matter."""
    word, rng = session.writer.word, session.writer.rng
    shapes = [word(f"word.{shape}") for shape in rng.sample(SHAPES, 4)]
    return {
        "shape": shapes[0],
        "shape2": shapes[1],
        "shape3": shapes[2],
        "shape4": shapes[3],
        "shapes": plural(shapes[0]),
        "colour": word(f"word.{rng.choice(tuple(COLOURS))}"),
        "size": word(f"word.{rng.choice(SIZES)}"),
        "ground": word(f"ground.{rng.choice(tuple(BACKGROUNDS))}"),
        "strange": word("strange_shape"),
        "strangec": word("strange_colour"),
        "strangeg": word("strange_ground"),
        "x": f"the {shapes[0]}",
    }


_STRANGE = {
    "noun.draw": ("noun.draw", False, 0.26),
    "noun.film": ("noun.draw", False, 0.08),
    "noun.find": ("noun.find", True, 0.14),
    "noun.add": ("noun.draw", True, 0.1),
    "strange.colour": ("strange.colour", False, 0.1),
    "strange.recolour": ("strange.colour", True, 0.06),
    "strange.ground.draw": ("strange.ground", False, 0.08),
    "strange.ground.edit": ("strange.ground", True, 0.06),
    "too.many": ("too.many", False, 0.08),
    "video": ("video", False, 0.16),
    "cannot": ("cannot", True, 0.16),
}
"""Family -> reply, whether there is a picture, and how often."""


_IMPERATIVES = {"draw", "make", "paint", "create", "add", "cut", "segment", "remove", "turn", "animate", "rotate"}


def refuse_strange(session: Session) -> None:
    """Play a request for what the small world or this agent does not have."""
    writer = session.writer
    family = writer.rng.choices(tuple(_STRANGE), [weight for _, _, weight in _STRANGE.values()])[0]
    name, picture, _ = _STRANGE[family]
    if not session.pictures and (picture or writer.chance(0.25)):
        session.upload(sample_scene(writer.rng))
    text = writer.say(family, **any_slots(session))
    if writer.chance(0.3) and text.split()[0] in _IMPERATIVES:
        text = writer.say("polite", do=text)
    session.say(text, reply(session, name), refusal(name))


_NEEDS_PICTURE: tuple[Maker, ...] = (segment, segment, recolour, resize, remove, ground)


def ghost_text(writer_session: Session) -> tuple[str, bool] | None:
    """A request about a picture, as if there was one: its text, and whether it is a question."""
    ghost = Session(writer_session.writer)
    ghost.upload(sample_scene(ghost.writer.rng))
    if ghost.writer.chance(0.55):
        step = ghost.writer.rng.choice(_NEEDS_PICTURE)(ghost, "full")
        return None if step is None else (step.clause, False)
    maker = ghost.writer.rng.choices([m for m, _ in QUESTIONS], [w for _, w in QUESTIONS])[0]
    step = maker(ghost, "full")
    return None if step is None else (step.clause, True)


def refuse_no_picture(session: Session) -> None:
    """Play a request about a picture where none was given."""
    found = None
    while found is None:
        found = ghost_text(session)
    session.say(found[0], reply(session, "no_picture"), refusal("no picture"), question=found[1])


def refuse_no_region(session: Session) -> None:
    """Play a request that speaks of a drawn region where none was drawn."""
    writer, rng = session.writer, session.writer.rng
    session.upload(sample_scene(rng))
    words = writer.say("region.ghost")
    form = rng.choice(("segment", "remove", "recolour", "colour.of", "region.what"))
    if form in ("segment", "remove"):
        text = session.worded(form, "full", x=words)
    elif form == "recolour":
        text = session.worded(form, "full", x=words, colour=writer.word(f"word.{rng.choice(tuple(COLOURS))}"))
    else:
        text = writer.say(
            "question", q=writer.say(form, x=words, region=words, rplace="in the region I marked", mark="")
        )
    session.say(text, reply(session, "no_region"), refusal("no region"), question="." in form)


def refuse_missing(session: Session) -> None:
    """Play a request for a mask or change of an object that the picture does not have."""
    writer, rng = session.writer, session.writer.rng
    if not session.pictures:
        session.upload(sample_scene(rng))
    words, phrase = point_at_nothing(session)
    form = rng.choice(("segment", "segment", "segment", "remove", "recolour", "reshape", "grow", "shrink"))
    other = rng.choice([s for s in SHAPES if not phrase.endswith(s)])
    slots = {"colour": writer.word(f"word.{rng.choice(tuple(COLOURS))}"), "shape": writer.word(f"word.{other}")}
    if form in ("grow", "shrink"):
        text = session.framed("full", form, x=words)
    else:
        text = session.worded(form, "full", x=words, **slots)
    session.say(text, f"The {phrase} is not in the picture.", refusal("missing object"), number=session.media)


def refuse_ambiguous(session: Session) -> None:
    """Play "make it blue" where three objects could be meant: the agent asks back."""
    writer, rng = session.writer, session.writer.rng
    session.upload(sample_scene(rng, 3))
    slots = {
        "colour": writer.word(f"word.{rng.choice(tuple(COLOURS))}"),
        "shape": writer.word(f"word.{rng.choice(SHAPES)}"),
    }
    form = rng.choice(("recolour", "reshape", "grow", "shrink", "remove"))
    if form in ("grow", "shrink"):
        text = writer.say("polite", do=writer.say(form, x="it"))
    else:
        text = session.worded(form, "full", x="it", **slots)
    session.say(text, reply(session, "which"), refusal("ambiguous"))


def refuse_undo(session: Session) -> None:
    """Play an undo where nothing was done yet."""
    if session.writer.chance(0.5):
        session.upload(sample_scene(session.writer.rng))
    session.say(session.writer.say("undo"), reply(session, "no_undo"), refusal("nothing to undo"))


REFUSALS = (
    (refuse_strange, 0.5),
    (refuse_no_picture, 0.2),
    (refuse_missing, 0.14),
    (refuse_no_region, 0.06),
    (refuse_ambiguous, 0.06),
    (refuse_undo, 0.03),
)
