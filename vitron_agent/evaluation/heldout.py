"""Held-out cases: scenes and wordings that training never sees, with what must come out.

The wordings are held out by construction (the language keeps a share of its templates from training); here
conversations are turned into cases: what was asked for is judged, not how our own generator would have put it.
"""

import random
from collections.abc import Callable

from vitron_agent.evaluation.answers import Answer, words_of
from vitron_agent.evaluation.cases import Case, Change, ClipChange, MadeFilm, Step, Target, Turn
from vitron_agent.invocation import Invocation, Module, parse_edit
from vitron_agent.media import Region
from vitron_agent.shapes.check import Wanted, WantedObject
from vitron_agent.shapes.clip import Clip
from vitron_agent.shapes.clip_captions import STILL, motion_name
from vitron_agent.shapes.language import REGION_MARK
from vitron_agent.shapes.scene import Scene
from vitron_agent.shapes.tasks import Conversation, sample_conversation
from vitron_agent.shapes.tasks_turns import Turn as Said

REFUSALS = {
    "no picture": r"\b(picture|image|photo)s?\b",
    "no video": r"\b(video|clip|movie|film)s?\b",
    "missing object": r"\b(no|not|cannot|there is)\b|n.t\b",
    "missing in video": r"\b(no|not|cannot|there is)\b|n.t\b",
}
"""What a refusal must speak of, by reason."""
VIDEO_REFUSALS = ("refuse: no video", "refuse: missing in video")
"""Kinds of cases about a video that is not there, or an object that it lacks."""
Accept = Callable[[Case], bool]


def heldout_cases(task: str | None, count: int, seed: int, accept: Accept = lambda case: True) -> list[Case]:
    """Draw cases of one task.

    Args:
        task: One of the language's tasks, None for their mixture.
        count: How many.
        seed: Another seed draws other cases.
        accept: Which cases to keep.
    """
    cases: list[Case] = []
    index = 0
    while len(cases) < count:
        rng = random.Random(f"evaluation {task} {seed} {index}")
        case = case_of(sample_conversation(rng, "heldout", task), f"{task or 'mixed'}-{index:04d}", index)
        index += 1
        if accept(case):
            cases.append(case)
    return cases


def case_of(conversation: Conversation, name: str, seed: int = 0) -> Case:
    """Turn a conversation with its truth into a case."""
    turns: list[Turn] = []
    kind = conversation.task
    drawn: Region | None = None
    said: list[Said] = list(conversation.turns)
    starts = [i for i, turn in enumerate(said) if turn.role == "user"] + [len(said)]
    for first, following in zip(starts, starts[1:], strict=False):
        user, replies = said[first], [turn for turn in said[first + 1 : following] if turn.role == "assistant"]
        drawn = user.regions[-1] if user.regions else drawn
        steps = tuple(_step(turn.invocation, turn.facts, drawn) for turn in replies if turn.invocation is not None)
        region = user.regions[-1] if user.regions else None
        answer = _answer(user, replies)
        turns.append(Turn(as_typed(user.text), user.scenes, region, _in_one(steps), answer, clips=user.clips))
        if first == 0:
            kind = _kind(conversation.task, user, replies)
    return Case(name, kind, tuple(turns), seed, max(1, len(said[starts[0]].facts["steps"])))


def as_typed(text: str) -> str:
    """The request without the region's mark at its ends: a user draws, and types no mark."""
    text = text.strip()
    return text.removeprefix(REGION_MARK).removesuffix(REGION_MARK).strip()


def _step(call: Invocation, facts: dict[str, object], drawn: Region | None) -> Step:
    if call.module is Module.A:
        return Step("A", show=_wanted(facts))
    if call.module in (Module.B, Module.E):
        return Step(call.module.letter, target=Target(call=call, drawn=drawn))
    if call.module is Module.F:
        return Step("F", clip_change=ClipChange(call, drawn))
    if call.module is Module.G:
        return Step("G", film=_film(facts) if facts["kind"] == "film" else MadeFilm(call=call))
    where, before = facts.get("where"), facts.get("before")
    if isinstance(where, tuple) and isinstance(before, Scene):
        where = where[0], before.objects[where[1]]
    return Step("C", change=Change(call=call, drawn=drawn, where=where))  # type: ignore[arg-type]


def _wanted(facts: dict[str, object]) -> Wanted:
    """What a request for a picture or a new video asks for: wishes, relations, and the background if it was named."""
    wishes, relations = facts["objects"], facts.get("relations", ())
    assert isinstance(wishes, tuple)
    assert isinstance(relations, tuple)
    objects = tuple(WantedObject(wish.shape, wish.colour, wish.size, wish.place) for wish in wishes)
    background = facts["background"]
    assert background is None or isinstance(background, str)
    return Wanted(objects, background, relations)


def _film(facts: dict[str, object]) -> MadeFilm:
    """What a request for a video asks for; where nothing was said of motion, any will do."""
    said = facts["said"]
    assert isinstance(said, tuple)
    return MadeFilm(_wanted(facts), None if None in said else said)


def _in_one(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], ...]:
    """The right sequences of calls: as they are, and with each video of words made by one call of module D."""
    short = list(steps)
    for index in reversed(range(1, len(steps))):
        film = steps[index].film
        if film is not None and film.call is None:
            short[index - 1 : index + 1] = [Step("D", film=film)]
    return (steps,) if len(short) == len(steps) else (steps, tuple(short))


def _answer(user: Said, replies: list[Said]) -> Answer | None:
    """What the turn's words must say: answers to its questions, or the reason of a refusal."""
    must: list[str] = []
    allowed: list[str] = words_of(" ".join(turn.text for turn in replies))
    for facts in user.facts["steps"]:
        if facts.get("kind") == "refuse":
            pattern = REFUSALS.get(_reason(facts, user))
            return Answer(pattern=pattern) if pattern else None
        must += facts.get("must", ())
        allowed += words_of(f"{facts.get('answer', '')} {facts.get('true', '')}")
    return Answer(must=tuple(must), allowed=tuple(allowed)) if must else None


def _kind(task: str, user: Said, replies: list[Said]) -> str:
    """The row of the report that a case counts for besides its suite's."""
    steps = user.facts["steps"]
    facts = steps[0] if steps else {}
    if facts.get("kind") == "ask":
        return str(facts["question"])
    if facts.get("kind") == "refuse":
        return f"refuse: {_reason(facts, user)}"
    calls = [turn.invocation for turn in replies if turn.invocation is not None]
    if facts.get("kind") == "edit":
        return edit_kind(facts, calls)
    if facts.get("kind") == "edit_video":
        return clip_edit_kind(facts)
    if facts.get("kind") == "film":
        return film_kind(facts["said"])
    if facts.get("kind") == "animate":
        return film_kind(tuple(map(motion_name, facts["motions"])))
    if facts.get("kind") == "track":
        return "by region" if calls and calls[0].uses_drawn_region else "by words"
    return "chat" if facts.get("kind") == "chat" else task


def _reason(facts: dict[str, object], user: Said) -> str:
    """Why a request is refused, told apart where it is about the video that comes with it."""
    return "missing in video" if facts["reason"] == "missing object" and user.clips else str(facts["reason"])


def edit_kind(facts: dict[str, object], calls: list[Invocation]) -> str:
    """Name an edit: recolour, reshape, resize, replace, remove, add, background, or an edit of several calls."""
    operation = str(facts["operation"])
    if len(calls) != 1 or operation not in ("replace", "remove", "add", "background"):
        return "several calls"
    if parse_edit(calls[0].command).operation != "replace":
        return operation
    before, after, target = facts["before"], facts["after"], facts["target"]
    assert isinstance(before, Scene)
    assert isinstance(after, Scene)
    assert isinstance(target, int)
    return _replaced(before, after, target)


def clip_edit_kind(facts: dict[str, object]) -> str:
    """Name an edit of a video: recolour, reshape, background, or both an object and the background."""
    before, after, target = facts["before"], facts["after"], facts["target"]
    if facts["operation"] != "replace":
        return str(facts["operation"])
    assert isinstance(before, Clip)
    assert isinstance(after, Clip)
    assert isinstance(target, int)
    return _replaced(before.scene, after.scene, target)


def film_kind(said: tuple[str | None, ...]) -> str:
    """Name a request for a video by what moves in it: one motion, "several motions", or "any motion"."""
    names = [name for name in said if name not in (None, STILL)]
    return str(names[0]) if len(names) == 1 else "several motions" if names else "any motion"


def _replaced(before: Scene, after: Scene, target: int) -> str:
    """Name what changed of an object."""
    old, new = before.objects[target], after.objects[target]
    changed = [n for n in ("colour", "shape", "size") if getattr(old, n) != getattr(new, n)]
    return {"colour": "recolour", "shape": "reshape", "size": "resize"}.get(" ".join(changed), "replace")
