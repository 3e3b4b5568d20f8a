"""Judges a clip against what was asked: are the things there, on their ground, and does each move as it should.

Reads a few frames of the clip as pictures; it does not know how clips are made or worded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from vitron_agent.shapes.check.compare import Wanted, check_generation
from vitron_agent.shapes.check.read import read_scene
from vitron_agent.shapes.clip import DIRECTIONS, Clip
from vitron_agent.shapes.scene import Obj

MOVED = 0.1
"""Least distance, share of the side, that counts as a motion; half of the shortest one that is asked for."""
GROWN, SHRUNK = 1.2, 0.85
"""Half sides, last frame over first, from which a thing has grown, and below which it has shrunk."""
UNCLEAR = "unclear"


@dataclass(frozen=True)
class ClipCheck:
    """What is right in a clip.

    Attributes:
        background_ok: The ground has the wanted name in the first, the middle and the last frame.
        objects_ok: Every object has its shape and colour, and none is too many, in the first and the middle frame.
        motions_ok: Every object moves, grows, shrinks or rests as wanted, from the first frame to the last.
    """

    background_ok: bool
    objects_ok: bool
    motions_ok: bool

    @property
    def all_ok(self) -> bool:
        """Everything is as wanted."""
        return self.background_ok and self.objects_ok and self.motions_ok


def check_clip(frames: torch.Tensor, clip: Clip) -> ClipCheck:
    """Judge a clip; where things are, how large and how fast, is free.

    Args:
        frames: (T, 3, S, S) uint8, or float in [0, 1]; RGB.
        clip: What was asked for.
    """
    wanted = Wanted.of(clip.scene, sizes=False)
    wanted = replace(wanted, objects=tuple(replace(obj, near=None) for obj in wanted.objects))
    checks = [check_generation(frames[index], wanted) for index in (0, len(frames) // 2)]
    first, last = (read_scene(frames[index]).scene for index in (0, -1))
    grounds = [check.background_ok for check in checks] + [last.background == clip.scene.background]
    pairs = zip(clip.scene.objects, clip.motions, strict=True)
    moved = [_moves(obj, motion.name if motion else None, first.objects, last.objects) for obj, motion in pairs]
    return ClipCheck(all(grounds), all(check.objects_ok for check in checks), all(moved))


def motion_between(first: Obj, last: Obj | None) -> str | None:
    """Name what happened to an object: one of `MOTIONS`, None for nothing, or `UNCLEAR`.

    Args:
        first: As read in the first frame.
        last: As read in the last, None where it is not seen any more: it has shrunk.
    """
    if last is None:
        return "shrink"
    dx, dy = last.x - first.x, last.y - first.y
    if max(abs(dx), abs(dy)) < MOVED:
        ratio = last.r / first.r
        return "grow" if ratio > GROWN else "shrink" if ratio < SHRUNK else None
    if min(abs(dx), abs(dy)) > MOVED / 2:
        return UNCLEAR
    step = (round(dx / abs(dx)), 0) if abs(dx) > abs(dy) else (0, round(dy / abs(dy)))
    return next(name for name, direction in DIRECTIONS.items() if direction == step)


def _moves(wanted: Obj, name: str | None, first: Sequence[Obj], last: Sequence[Obj]) -> bool:
    """Whether some object of this shape and colour does that; in the last frame its shape may be too small to read."""
    starts = [obj for obj in first if (obj.colour, obj.shape) == (wanted.colour, wanted.shape)]
    ends: list[Obj | None] = [obj for obj in last if obj.colour == wanted.colour]
    return any(motion_between(start, end) == name for start in starts for end in ends or [None])
