"""Requests on which words lose, as cases, and how far their results are from the example.

Done means that the object is there and its names are right (shape, colour, and size where that was asked for): that is
the planner's part. How far it is from exactly the example is measured where it is done.
"""

import random

from vitron_agent.evaluation.cases import Case, Like, Step, Turn
from vitron_agent.evaluation.drive import CallRecord
from vitron_agent.evaluation.films import SHADE
from vitron_agent.evaluation.heldout import as_typed
from vitron_agent.evaluation.seen import Seen
from vitron_agent.shapes.check.like import find_like, likeness, reach_error, speed_error
from vitron_agent.shapes.tasks import Conversation
from vitron_agent.shapes.tasks_like import LIKE_TASKS, sample_like

MEASURES: dict[str, tuple[str, ...]] = {
    "shade": ("shade",),
    "size": ("size",),
    "place": ("place",),
    "picture": ("shade", "size", "place"),
    "speed": ("speed",),
    "reach": ("reach",),
}
"""Kind of request -> what is compared with the example."""
_MOVED = {"speed": speed_error, "reach": reach_error}


def like_cases(count: int, seed: int) -> list[Case]:
    """Draw held-out cases, of each kind in turn.

    Args:
        count: How many.
        seed: Another seed draws other cases.
    """
    cases = []
    for index in range(count):
        kind = LIKE_TASKS[index % len(LIKE_TASKS)]
        talk = sample_like(random.Random(f"evaluation like {kind} {seed} {index}"), "heldout", kind)
        cases.append(like_case(talk, f"like-{index:04d}", index))
    return cases


def like_case(talk: Conversation, name: str, seed: int = 0) -> Case:
    """Turn a conversation of shapes.tasks_like into a case.

    Args:
        talk: Request, call, result and closing words.
        name: Unique within its suite.
        seed: Of the run.
    """
    user, reply, facts = talk.turns[0], talk.turns[1], talk.turns[1].facts
    assert reply.invocation is not None
    wanted, kind, clip = facts["wanted"], facts["measure"], facts.get("clip")
    others = tuple(obj for obj in facts["after"].objects if obj != wanted)
    motion = clip.motions[facts["target"]] if clip is not None else None
    step = Step(reply.invocation.module.letter, like=Like(reply.invocation, wanted, MEASURES[kind], others, motion))
    region = user.regions[-1] if user.regions else None
    return Case(name, kind, (Turn(as_typed(user.text), user.scenes, region, ((step,),), clips=user.clips),), seed)


def judge_like(like: Like, call: CallRecord, seen: Seen) -> dict[str, float] | None:
    """Measure a call's result against the example.

    Args:
        like: What it must be exactly like.
        call: What was made, of which picture.
        seen: The conversation before the call.

    Returns:
        The errors by what was to be compared (see `Likeness`; "speed" is a factor less 1, "reach" a share of the
        side); None where it is not done.
    """
    if call.source is None or call.source != seen.pictures.number(like.call.media):
        return None
    if like.motion is not None:
        (name,) = like.measures
        error = _MOVED[name](call.video, like.wanted, like.motion) if call.video is not None else None
        return None if error is None else {name: error}
    if call.image is None:
        return None
    found = find_like(call.image, like.wanted, like.others)
    measured = likeness(call.image, like.wanted, like.others)
    if found is None or measured is None:
        return None
    named = found.colour == like.wanted.colour or measured.shade <= SHADE
    sized = "size" not in like.measures or found.size == like.wanted.size
    return {name: getattr(measured, name) for name in like.measures} if named and sized else None
