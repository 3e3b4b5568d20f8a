"""Words that video specialists are given: captions of whole clips, and commands that set a picture in motion.

These are the plain forms a planner writes into a command, with modest variety. How people word their requests is
language.py's business.
"""

import random
from collections.abc import Sequence

from vitron_agent.shapes.captions import PLACE_WORDS, article, joined, phrase_of, referring
from vitron_agent.shapes.clip import Clip, Motion

STILL = "still"
_GOES = (("moves", "moving", "move"), ("goes", "going", "go"), ("slides", "sliding", "slide"))
_DRIFTS = (("drifts", "drifting", "drift"), ("travels", "travelling", "travel"), ("moves", "moving", "move"))
_TO = {
    "left": ("left", "to the left", "leftwards"),
    "right": ("right", "to the right", "rightwards"),
    "up": ("up", "upwards", "to the top"),
    "down": ("down", "downwards", "to the bottom"),
}
Forms = tuple[str, str, str]
"""A verb in three forms: "moves", "moving", "move"."""
_CHANGES: dict[str, tuple[Forms, ...]] = {
    "grow": (
        ("grows", "growing", "grow"),
        ("gets bigger", "getting bigger", "get bigger"),
        ("gets larger", "getting larger", "get larger"),
        ("becomes larger", "becoming larger", "become larger"),
    ),
    "shrink": (
        ("shrinks", "shrinking", "shrink"),
        ("gets smaller", "getting smaller", "get smaller"),
        ("becomes smaller", "becoming smaller", "become smaller"),
    ),
    STILL: (
        ("stands still", "standing still", "stand still"),
        ("stays still", "staying still", "stay still"),
        ("stays in place", "staying in place", "stay in place"),
        ("does not move", "not moving", "not move"),
    ),
}
_LAST = (" and ", " and ", " and ", ", ", " while ")
"""What stands before the last of several parts."""


def motion_forms(motion: Motion | None, rng: random.Random) -> Forms:
    """Return what an object does in three forms, such as "moves left", "moving left", "move left"."""
    name = motion_name(motion)
    if name not in _TO:
        return rng.choice(_CHANGES[name])
    verb, where = rng.choice(_GOES if rng.random() < 0.8 else _DRIFTS), rng.choice(_TO[name])
    finite, participle, infinitive = (f"{form} {where}" for form in verb)
    return finite, participle, infinitive


def motion_name(motion: Motion | None) -> str:
    """Return the name of what an object does: one of `MOTIONS`, or `STILL`."""
    return motion.name if motion else STILL


def forms_of(name: str) -> tuple[Forms, ...]:
    """Return all that can be said of a motion, one of `MOTIONS`, or of `STILL`."""
    if name not in _TO:
        return _CHANGES[name]
    verbs = dict.fromkeys((*_GOES, *_DRIFTS))
    return tuple((f"{a} {to}", f"{b} {to}", f"{c} {to}") for a, b, c in verbs for to in _TO[name])


def clip_caption(clip: Clip, rng: random.Random) -> str:
    """Describe a clip in one line, the form in which a planner writes a command for a new video.

    What stands still is sometimes only named. Places are those of the first frame, and said in some captions only.
    """
    order = list(zip(clip.scene.objects, clip.motions, strict=True))
    rng.shuffle(order)
    finite, placed, terse = rng.random() < 0.7, rng.random() < 0.25, rng.random() < 0.25
    if terse:
        order.sort(key=lambda pair: pair[1] is None)  # "a star and a circle moves" would be said of both
    parts = []
    for obj, motion in order:
        part = article(phrase_of(obj, rng))
        if placed:
            part = f"{part} {rng.choice(PLACE_WORDS[obj.place])}"
        if motion or not terse:
            forms = motion_forms(motion, rng)
            part = f"{part} {forms[0] if finite else forms[1]}"
        parts.append(part)
    return f"{_joined(parts, rng)} on {article(clip.scene.background)} background"


def motion_command(clip: Clip, rng: random.Random) -> str:
    """Say how what a picture shows shall move, the form in which a planner writes a command for an animation.

    What stands still is mostly left out.
    """
    everything, finite = rng.random() < 0.3, rng.random() < 0.6
    parts = []
    for index, motion in enumerate(clip.motions):
        if motion is None and not everything:
            continue
        alone = len(clip.motions) == 1 and rng.random() < 0.3
        who = "it" if alone else referring(clip.scene, index, rng)
        forms = motion_forms(motion, rng)
        parts.append(f"{who} {forms[0] if finite else forms[2]}")
    rng.shuffle(parts)
    return f"{'' if finite else 'make '}{_joined(parts, rng)}"


def _joined(parts: Sequence[str], rng: random.Random) -> str:
    # a single part draws nothing, or all that is drawn after it would change
    return joined(parts, rng.choice(_LAST) if len(parts) > 1 else "")
