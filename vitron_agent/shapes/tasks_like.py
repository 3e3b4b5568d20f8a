"""Requests on which words lose: exactly the shade, place, size or speed of an example, with ground truth.

The call that is right for such a request says less than was asked ("replace the star with a blue star"): what it leaves
out (which blue) stands in the facts, is to be carried by the planner's signals, and is measured by shapes.check.like.
These conversations are drawn by kind and never by `tasks.sample_conversation`. What `facts` of their turns hold:
{"kind": "like", "measure": one of `LIKE_TASKS`, "wanted": the object exactly as it must come out, "before" and "after":
scenes, "target": its index in `before` or None}; for "speed" and "reach" also "clip" (the right outcome), "wanted"
being the object in the first frame; for "speed" "example", the clip that was shown.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from vitron_agent.invocation import Invocation, Module
from vitron_agent.media import Region, RegionKind
from vitron_agent.shapes.captions import article
from vitron_agent.shapes.clip import DIRECTIONS, DISTANCE, Clip, Motion, is_sound
from vitron_agent.shapes.language import Split, Writer, heldout_ids
from vitron_agent.shapes.scene import MARGIN, Obj, Scene, Size, apart, clashes, sample_object, sample_scene
from vitron_agent.shapes.tasks import Conversation
from vitron_agent.shapes.tasks_layout import LARGE_R, SMALL_R
from vitron_agent.shapes.tasks_refer import hit, phrase_for
from vitron_agent.shapes.tasks_session import LEADS, RESULT_PICTURE, Session
from vitron_agent.shapes.tasks_turns import Facts, Turn
from vitron_agent.shapes.tasks_words import Reference, Wish, drawn_around, mark, new_object, point_at

LIKE_TASKS = ("shade", "size", "place", "picture", "speed", "reach")
"""What is asked to be like the example: one thing each, "picture" shade, size and place of an object at once. Both
"place" and "reach" ask for the place of a click: for a new object, whose call says it, and for one that is to move
there, whose call does not."""
REACH: dict[Size, tuple[float, float]] = {"small": (0.09, 0.13), "large": (0.15, 0.20)}
"""Half sides of example and result: an editor paints no further than 1/32 beyond the size that the word alone means."""


def sample_like(rng: random.Random, split: Split, kind: str) -> Conversation:
    """Draw a conversation: one request by an example, the right call, its exact outcome.

    Args:
        rng: Source of randomness.
        split: "train", or "heldout": wordings that training never sees.
        kind: One of `LIKE_TASKS`.

    Raises:
        KeyError: There is no such kind.
    """
    play = _PLAYS[kind]
    while True:
        session = Session(Writer(rng, split))
        if play(session) and (split == "train" or not heldout_ids().isdisjoint(session.writer.used)):
            return Conversation(tuple(session.turns), f"like {kind}", tuple(session.writer.used))


def _say(session: Session, clause: str, call: Invocation, outcome: Scene | Clip, facts: Facts, about: str) -> bool:
    """Play the turn to its end: request, call, result, closing words."""
    session.user(session.writer.say("polite", do=clause))
    session.turns[-1] = replace(session.turns[-1], facts={"steps": (facts,)})
    session.assistant(LEADS[call.module], facts, call)
    scenes, clips = ((outcome,), ()) if isinstance(outcome, Scene) else ((), (outcome,))
    session.turns.append(Turn("result", RESULT_PICTURE, scenes, clips=clips))
    session.assistant(f"Done: {about}.", facts)
    return True


def _facts(measure: str, wanted: Obj, before: Scene, after: Scene, target: int | None) -> Facts:
    return {
        "kind": "like",
        "operation": "add" if target is None else "replace",
        "measure": measure,
        "wanted": wanted,
        "before": before,
        "after": after,
        "target": target,
    }


def _with(scene: Scene, index: int, new: Obj) -> Scene:
    return replace(scene, objects=(*scene.objects[:index], new, *scene.objects[index + 1 :]))


def _pair(session: Session) -> tuple[Scene, Reference, Obj, str] | None:
    """A new picture, what changes in it, in words, and what is marked as the example with its words."""
    rng = session.writer.rng
    scene = sample_scene(rng, rng.choice((2, 3)))
    session.upload(scene)
    first, second = rng.sample(range(len(scene.objects)), 2)
    target, region = point_at(session, first, plain=True), drawn_around(scene.objects[second], rng)
    if target is None or hit(scene, region) != second:
        return None
    session.draw(region)
    return scene, target, scene.objects[second], session.writer.say("region.np", mark=mark(session.writer))


def _shade(session: Session) -> bool:
    """The shade of an object that is marked."""
    pair = _pair(session)
    if pair is None:
        return False
    scene, target, shown, words = pair
    old = scene.objects[target.index]
    new = replace(old, colour=shown.colour, rgb=shown.rgb)
    command = f"replace {target.phrase} with {article(f'{new.colour} {new.shape}')}"
    call = Invocation(module=Module.C, command=command)
    after = _with(scene, target.index, new)
    clause = session.writer.say("like.shade", x=target.words, y=words)
    facts = _facts("shade", new, scene, after, target.index)
    return _say(session, clause, call, after, facts, f"{target.phrase} has that shade now")


def _size(session: Session) -> bool:
    """The size of an object that is marked; what is small becomes large, or the other way round."""
    pair = _pair(session)
    if pair is None:
        return False
    scene, target, shown, words = pair
    old = scene.objects[target.index]
    low, high = REACH[shown.size]
    new = replace(old, size=shown.size, r=shown.r)
    others = [obj for i, obj in enumerate(scene.objects) if i != target.index]
    usual = replace(new, r=LARGE_R if new.size == "large" else SMALL_R)
    room = all(_inside(obj) and all(apart(obj, other) for other in others) for obj in (new, usual))
    if old.size == shown.size or not low <= shown.r <= high or not room:
        return False
    command = f"replace {target.phrase} with {article(new.phrase)}"
    call = Invocation(module=Module.C, command=command)
    after = _with(scene, target.index, new)
    clause = session.writer.say("like.size", x=target.words, y=words)
    facts = _facts("size", new, scene, after, target.index)
    return _say(session, clause, call, after, facts, f"{target.phrase} has that size now")


def _inside(obj: Obj) -> bool:
    return min(obj.x, obj.y) - obj.r >= MARGIN and max(obj.x, obj.y) + obj.r <= 1 - MARGIN


def _place(session: Session) -> bool:
    """The place of a click, for a new object."""
    rng = session.writer.rng
    scene = sample_scene(rng, rng.choice((1, 2)))
    session.upload(scene)
    new = sample_object(rng, scene.background)
    new = replace(new, r=LARGE_R if new.size == "large" else SMALL_R)
    if not _inside(new) or not all(apart(new, other) for other in scene.objects):
        return False
    session.draw(Region(kind=RegionKind.CLICK, points=((new.x, new.y),)))
    call = Invocation(module=Module.C, command=f"add {article(new.phrase)}", uses_drawn_region=True)
    words = new_object(session.writer, Wish(new.shape, new.colour, new.size))
    here = session.writer.say("like.here", mark=mark(session.writer))
    clause = session.writer.say("like.place", new=words, here=here)
    after = replace(scene, objects=(*scene.objects, new))
    facts = _facts("place", new, scene, after, None)
    return _say(session, clause, call, after, facts, f"{article(new.phrase)} is added")


def _picture(session: Session) -> bool:
    """The object of the first picture, once more in the second."""
    rng = session.writer.rng
    example = sample_scene(rng, 1)
    scene = sample_scene(rng, rng.choice((1, 2)))
    new = example.objects[0]
    if clashes(new.colour, scene.background) or not all(apart(new, other) for other in scene.objects):
        return False
    session.upload(example)
    session.upload(scene)
    x1, y1, x2, y2 = (round(side, 2) for side in new.box)
    region = Region.from_box(x1, y1, x2, y2)
    call = Invocation(module=Module.C, command=f"add {article(new.phrase)}", region=region)
    say = session.writer.say
    noun = session.writer.word("thing") if session.writer.chance(0.5) else session.writer.word(f"word.{new.shape}")
    clause = say("like.picture", noun=noun, first=say("like.first"), second=say("like.second"))
    after = replace(scene, objects=(*scene.objects, new))
    facts = _facts("picture", new, scene, after, None)
    return _say(session, clause, call, after, facts, f"{article(new.phrase)} is added")


def _speed(session: Session) -> bool:
    """The speed of an object of a video, for an object of a picture."""
    rng = session.writer.rng
    name, way = rng.choice(tuple(DIRECTIONS)), rng.choice(tuple(DIRECTIONS))
    amount = rng.uniform(*DISTANCE)
    shown, scene = sample_scene(rng, 1), sample_scene(rng, rng.choice((1, 2)))
    index = rng.randrange(len(scene.objects))
    example = Clip(shown, (Motion(name, amount),))
    motions = tuple(Motion(way, amount) if i == index else None for i in range(len(scene.objects)))
    clip = Clip(scene, motions)
    phrase = phrase_for(scene, index)
    if phrase is None or not is_sound(example) or not is_sound(clip):
        return False
    session.upload(scene)
    target = point_at(session, index, plain=True)
    if target is None:
        return False
    session.upload_clip(example)
    words = f"the {session.writer.word(f'word.{shown.objects[0].shape}')}"
    clause = session.writer.say("like.speed", x=target.words, y=words, way=session.writer.word(f"like.to.{way}"))
    call = Invocation(module=Module.G, command=f"the {phrase} moves {way}")
    facts = _facts("speed", scene.objects[index], scene, scene, index) | {"clip": clip, "example": example}
    return _say(session, clause, call, clip, facts, f"the {phrase} moves {way} at that speed")


def _reach(session: Session) -> bool:
    """The place of a click, for an object that is to move there."""
    rng = session.writer.rng
    way, amount = rng.choice(tuple(DIRECTIONS)), rng.uniform(*DISTANCE)
    scene = sample_scene(rng, rng.choice((1, 2)))
    index = rng.randrange(len(scene.objects))
    obj, phrase = scene.objects[index], phrase_for(scene, index)
    clip = Clip(scene, tuple(Motion(way, amount) if i == index else None for i in range(len(scene.objects))))
    if phrase is None or not is_sound(clip):
        return False
    session.upload(scene)
    target = point_at(session, index, plain=True)
    if target is None:
        return False
    dx, dy = DIRECTIONS[way]
    session.draw(Region(kind=RegionKind.CLICK, points=((obj.x + dx * amount, obj.y + dy * amount),)))
    there = session.writer.say("like.there", mark=mark(session.writer))
    clause = session.writer.say("like.reach", x=target.words, there=there)
    call = Invocation(module=Module.G, command=f"the {phrase} moves {way}")
    facts = _facts("reach", obj, scene, scene, index) | {"clip": clip}
    return _say(session, clause, call, clip, facts, f"the {phrase} moves {way}, to where you clicked")


_PLAYS: dict[str, Callable[[Session], bool]] = {
    "shade": _shade,
    "size": _size,
    "place": _place,
    "picture": _picture,
    "speed": _speed,
    "reach": _reach,
}
