"""Clips of the small world: a scene whose objects move, grow or shrink, each in its own way, over eight frames.

Knows scenes and how they change with time; drawing is render.py's, words are not known here. Motion is even: the same
step from every frame to the next.
"""

import random
from dataclasses import dataclass, replace
from itertools import combinations

import torch

from vitron_agent.shapes.render import Rendered, render
from vitron_agent.shapes.scene import MARGIN, Obj, Scene, apart, sample_scene, sample_shade

FRAMES, FPS = 8, 8.0
DIRECTIONS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
"""Steps along x and y; y runs down."""
MOTIONS = (*DIRECTIONS, "grow", "shrink")
DISTANCE = (0.2, 0.5)
"""How far an object moves over a clip, as a share of the side."""
FACTOR = (1.5, 2.2)
"""By how much it grows or shrinks over a clip."""


@dataclass(frozen=True)
class Motion:
    """What one object does.

    Attributes:
        name: One of `MOTIONS`.
        amount: Share of the side for a direction, factor (above 1) for "grow" and "shrink".
    """

    name: str
    amount: float

    def at(self, obj: Obj, share: float) -> Obj:
        """The object when `share` (0 to 1) of the clip is over; its size word stays that of the first frame."""
        if self.name in DIRECTIONS:
            dx, dy = DIRECTIONS[self.name]
            return replace(obj, x=obj.x + dx * self.amount * share, y=obj.y + dy * self.amount * share)
        last = self.amount if self.name == "grow" else 1 / self.amount
        return replace(obj, r=obj.r * (1 + (last - 1) * share))


@dataclass(frozen=True)
class Clip:
    """A first scene and one motion per object, None for one that stands still."""

    scene: Scene
    motions: tuple[Motion | None, ...]

    def at(self, frame: int) -> Scene:
        """The scene of a frame, 0 to `FRAMES` - 1."""
        share = frame / (FRAMES - 1)
        pairs = zip(self.scene.objects, self.motions, strict=True)
        return replace(self.scene, objects=tuple(motion.at(obj, share) if motion else obj for obj, motion in pairs))

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All frames' scenes."""
        return tuple(self.at(frame) for frame in range(FRAMES))


def render_clip(clip: Clip, size: int = 64) -> Rendered:
    """Draw all frames: images (FRAMES, 3, S, S) float32 in [0, 1] and masks (FRAMES, 3, S, S) bool by object slot."""
    return render(clip.scenes, size)


def frames_of(clip: Clip, size: int = 64) -> torch.Tensor:
    """The clip as a video: uint8 (FRAMES, 3, S, S) RGB."""
    return (render_clip(clip, size).images * 255).round().to(torch.uint8)


def is_sound(clip: Clip) -> bool:
    """Whether all objects stay inside the picture and keep their gap in every frame."""
    for scene in clip.scenes:
        for obj in scene.objects:
            if min(obj.x, obj.y) - obj.r < MARGIN or max(obj.x, obj.y) + obj.r > 1 - MARGIN:
                return False
        if not all(apart(a, b) for a, b in combinations(scene.objects, 2)):
            return False
    return True


def sample_motion(rng: random.Random) -> Motion:
    """Draw a motion of any kind."""
    return sample_amount(rng, rng.choice(MOTIONS))


def sample_amount(rng: random.Random, name: str) -> Motion:
    """Draw how far or by how much, for a motion by its name."""
    return Motion(name, rng.uniform(*(DISTANCE if name in DIRECTIONS else FACTOR)))


def sample_clip(rng: random.Random, count: int | None = None, alike: bool = False) -> Clip:
    """Draw a clip in which at least one object moves.

    Args:
        rng: Source of randomness.
        count: Number of objects, 1 to 3; drawn if None.
        alike: The first two objects have the same shape, colour and size (their shades differ a little), and both
            move; `count` must not be 1 then.

    Raises:
        ValueError: Two alike objects are asked for with a count of 1.
    """
    if alike and count == 1:
        raise ValueError("two alike objects need a count of 2 or 3")
    while True:
        scene = sample_scene(rng, count if count or not alike else rng.choice((2, 3)))
        objects = list(scene.objects)
        if alike:
            first = objects[0]
            shade = sample_shade(rng, first.colour, 0.02)
            objects[1] = replace(
                objects[1], shape=first.shape, colour=first.colour, size=first.size, r=first.r, rgb=shade
            )
        motions = [sample_motion(rng) if rng.random() < 0.6 or (alike and i < 2) else None for i in range(len(objects))]
        clip = Clip(replace(scene, objects=tuple(objects)), tuple(motions))
        if any(motions) and is_sound(clip):
            return clip
