"""Reads commands for new videos back: which objects, on which ground, and what each of them does.

The inverse of clip_captions.py. The words are those of commands, not those of users; an object's own words are read by
tasks_refer.py.
"""

import re
from dataclasses import dataclass
from functools import cache

from vitron_agent.shapes.captions import PLACE_WORDS
from vitron_agent.shapes.clip import MOTIONS
from vitron_agent.shapes.clip_captions import STILL, forms_of
from vitron_agent.shapes.scene import BACKGROUNDS, Scene
from vitron_agent.shapes.tasks_refer import Words, read_words, resolve

_JOINT = re.compile(r",? and |,? while |, ")
_GROUND = re.compile(r"(.+) on an? (\w+) background")


@dataclass(frozen=True)
class Said:
    """What a command says of one object of a new video; None where it says nothing.

    Attributes:
        words: Its shape, colour and size.
        place: A place word of `place_of`, where it starts.
        motion: One of `MOTIONS`, or `STILL`.
    """

    words: Words
    place: str | None
    motion: str | None


def read_film(command: str) -> tuple[tuple[Said, ...], str | None]:
    """Read a command of module D: its objects in order, and the background if it names one.

    Raises:
        ValueError: A word is unknown.
    """
    found = _GROUND.fullmatch(command.strip())
    parts, ground = (found[1], found[2]) if found else (command.strip(), None)
    if ground is not None and ground not in BACKGROUNDS:
        raise ValueError(f"{ground!r} in {command!r} is no background of the small world")
    return tuple(_said(part) for part in _JOINT.split(parts)), ground


def _said(part: str) -> Said:
    who, motion = _who_does(part)
    for place, forms in PLACE_WORDS.items():
        for words in forms:
            if who.endswith(f" {words}"):
                return Said(read_words(who.removesuffix(f" {words}")), place, motion)
    return Said(read_words(who), None, motion)


def motions_in(scene: Scene, command: str) -> tuple[str, ...]:
    """What a command of module G lets each object of a picture do: one of `MOTIONS`, or `STILL`.

    Args:
        scene: What the picture shows; "it" is the only object of one.
        command: Such as "the red circle moves left and the star grows".

    Raises:
        ValueError: A word is unknown, or a part means no object, several, or says nothing of motion.
    """
    motions = [STILL] * len(scene.objects)
    for part in _JOINT.split(command.strip().removeprefix("make ")):
        who, motion = _who_does(part)
        found = tuple(range(len(scene.objects))) if who == "it" else resolve(scene, who)
        if len(found) != 1 or motion is None:
            raise ValueError(f"{part!r} sets {len(found)} objects of {[o.phrase for o in scene.objects]} in motion")
        motions[found[0]] = motion
    return tuple(motions)


def _who_does(part: str) -> tuple[str, str | None]:
    """The words for an object, and what it does; None where these say nothing of it."""
    found = _pattern().fullmatch(part.strip())
    return (found[1], _meanings()[found[2]]) if found else (part.strip(), None)


@cache
def _meanings() -> dict[str, str]:
    """What is said of a motion, in any form -> its name."""
    return {form: name for name in (*MOTIONS, STILL) for forms in forms_of(name) for form in forms}


@cache
def _pattern() -> re.Pattern[str]:
    longest = sorted(_meanings(), key=len, reverse=True)
    return re.compile(f"(.+?) ({'|'.join(longest)})")
