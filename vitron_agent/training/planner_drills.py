"""Conversations that only training holds: many requests about one picture, drills in seeing, calls that fail.

A drill asks in a terse form that nobody types. It teaches in few ids what a picture's tokens hold, and how to find what
words point at (grounded captions and referring expressions, the paper's stage 2.1); people's wordings then have less to
teach. Knows the task generators; it knows no ids.
"""

import random
from collections.abc import Sequence

from vitron_agent.planner.processor import RESULT, AssistantTurn, Turn, UserTurn
from vitron_agent.shapes import tasks
from vitron_agent.shapes.captions import PLACE_WORDS
from vitron_agent.shapes.clip import sample_clip
from vitron_agent.shapes.language import Writer
from vitron_agent.shapes.scene import Scene, relation, sample_scene
from vitron_agent.shapes.tasks_act import Maker
from vitron_agent.shapes.tasks_ask import attribute, missing, region_what, verify, which_colour
from vitron_agent.shapes.tasks_chat import refuse_missing
from vitron_agent.shapes.tasks_compare import QUESTIONS, at, compare, related
from vitron_agent.shapes.tasks_count import count, exists
from vitron_agent.shapes.tasks_many import EDITS, by_place
from vitron_agent.shapes.tasks_play import a_scene, is_question, one_more, some, take_back
from vitron_agent.shapes.tasks_refer import EXTREMES, resolve
from vitron_agent.shapes.tasks_results import show_box
from vitron_agent.shapes.tasks_segment import area_of, segment, segment_region
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.training.planner_facts import attributes

MANY: tuple[tuple[tuple[tuple[Maker, float], ...], float], ...] = (
    (QUESTIONS, 0.5),
    (((missing, 1.0),), 0.1),
    (((region_what, 1.0),), 0.08),
    (((segment, 0.9), (area_of, 0.1)), 0.15),
    (((segment_region, 1.0),), 0.05),
    (EDITS[:7], 0.12),
)
"""What is asked in a conversation of many requests, and how often. After a change it is asked of what is there now."""
MISSING = 0.15
"""How often, instead, a mask or change is asked of what is not there: about as often as of what is, or the planner
would guess from the words."""
QUICK: tuple[tuple[Maker, float], ...] = (
    (exists, 0.2),
    (attribute, 0.2),
    (verify, 0.14),
    (missing, 0.14),
    (count, 0.1),
    (related, 0.08),
    (compare, 0.05),
    (which_colour, 0.05),
    (at, 0.04),
)
"""Questions whose answer is one word among a few, and how often each is put in a row of them."""
FAILURES = (
    "the region is empty",
    "the picture cannot be read",
    "there is no picture in this conversation yet: draw one, or ask the user for one",
)
FAILED = "Sorry, that did not work."
"""What the planner says when a call came back with an error that is not the request's fault."""


def several(rng: random.Random) -> tasks.Conversation:
    """Two to five requests about one picture, most of which leave it as it is."""
    session = Session(Writer(rng, "train", plain=rng.random() < 0.3))
    session.upload(a_scene(session))
    for _ in range(rng.randint(2, 5)):
        if rng.random() < MISSING:
            refuse_missing(session)
            continue
        step = some(session, rng.choices([m for m, _ in MANY], [w for _, w in MANY])[0], "full")
        if step is not None:
            session.play(step.clause, [step], is_question(step))
    return tasks.Conversation(tuple(session.turns), "several", tuple(session.writer.used))


def quick(rng: random.Random) -> tasks.Conversation:
    """Five to eight short questions about one picture, worded as people do."""
    session = Session(Writer(rng, "train", plain=rng.random() < 0.5))
    session.upload(a_scene(session))
    for _ in range(rng.randint(5, 8)):
        step = some(session, QUICK, "full")
        if step is not None:
            session.play(step.clause, [step], is_question(step))
    return tasks.Conversation(tuple(session.turns), "quick", tuple(session.writer.used))


def undone(rng: random.Random) -> tasks.Conversation:
    """One or two changes, all or the last taken back in a turn of its own, and what is asked of the picture then."""
    while True:
        session = Session(Writer(rng, "train", plain=rng.random() < 0.3))
        session.upload(a_scene(session))
        changes = (one_more(session, EDITS[:7]) for _ in range(rng.choice((1, 1, 2))))
        if all(changes) and take_back(session, alone=True) and one_more(session, (*EDITS[:7], (segment, 0.2))):
            return tasks.Conversation(tuple(session.turns), "undone", tuple(session.writer.used))


def inventory(rng: random.Random) -> list[Turn]:
    """A picture and the list of its objects with their boxes."""
    scene = sample_scene(rng)
    entries = [f"{obj.phrase} {show_box(obj.box)}" for obj in sorted(scene.objects, key=lambda obj: obj.x)]
    return [UserTurn("inventory", (scene,)), AssistantTurn(f"{', '.join(entries)}; {scene.background}.")]


def motions(rng: random.Random) -> list[Turn]:
    """A video and what each of its objects does, from left to right by the first frame."""
    clip = sample_clip(rng)
    pairs = sorted(zip(clip.scene.objects, clip.motions, strict=True), key=lambda pair: pair[0].x)
    entries = [f"{obj.phrase} {motion.name if motion else 'still'}" for obj, motion in pairs]
    return [UserTurn("motions", videos=(clip,)), AssistantTurn(f"{', '.join(entries)}; {clip.scene.background}.")]


def lookup(rng: random.Random) -> list[Turn]:
    """A picture and three to six phrases as commands hold them; each is answered with all objects that it means."""
    scene = sample_scene(rng, rng.choice((None, 3)))
    turns: list[Turn] = []
    for _ in range(rng.randint(3, 6)):
        phrase = _phrase(rng, scene)
        found = [scene.objects[i] for i in by_place(scene) if i in resolve(scene, phrase)]
        entries = [f"{obj.phrase} {PLACE_WORDS[obj.place][0]} {show_box(obj.box)}" for obj in found]
        turns.append(UserTurn(f"lookup {phrase}", () if turns else (scene,)))
        turns.append(AssistantTurn(f"{len(found)}: {', '.join(entries)}." if found else "0."))
    return turns


def _phrase(rng: random.Random, scene: Scene) -> str:
    """A phrase that may mean none, one or several objects: attributes, a place, an extreme, or a relation."""
    shown = rng.choice(scene.objects) if scene.objects else None
    draw = rng.random()
    if draw < 0.6 or shown is None:
        return attributes(rng, shown)
    noun = rng.choice(("object", "object", shown.shape, f"{shown.colour} object"))
    if draw < 0.72:
        return f"{noun} {rng.choice(PLACE_WORDS[shown.place])}"
    if draw < 0.85:
        return f"{rng.choice(EXTREMES)} {noun}"
    other = rng.choice(scene.objects)
    words = relation(shown, other) if other is not shown else ()
    return f"{noun} {rng.choice(words)} the {attributes(rng, other)}" if words else attributes(rng, shown)


def failing(turns: Sequence[Turn], rng: random.Random) -> list[Turn]:
    """A conversation cut at its first call, whose result is an error; as it was if nothing is called.

    A mask of what is not there is answered by saying so: the error names it. Other errors are regretted.
    """
    for place, turn in enumerate(turns):
        if isinstance(turn, AssistantTurn) and turn.invocations:
            call = turn.invocations[0]
            words = call.command.removeprefix("the ")
            reason, answer = rng.choice((*FAILURES, f"nothing found for {words}")), FAILED
            if call.module.letter == "B" and words not in ("everything", "background"):
                reason = f"nothing in the picture matches {words!r}: ask what is there, or say it otherwise"
                answer = f"The {words} is not in the picture."
            return [*turns[: place + 1], UserTurn(f"{RESULT}not done: {reason}"), AssistantTurn(answer)]
    return list(turns)
