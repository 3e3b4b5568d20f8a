"""Which clips video models learn from: what a command leaves open is as usual, or is told beside it.

"The star moves right" fits slow stars and fast ones. A model that learns from both makes of a first glance at noise
their mean, a smear, and must then agree with itself on one. So words alone mean the middle of what is possible here,
and other speeds are only shown together with what they are (see examples.py): each clip follows from what was said.
Knows clips, no models.
"""

import random
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vitron_agent.shapes.clip import DIRECTIONS, DISTANCE, FACTOR, Clip, Motion, is_sound, sample_clip
from vitron_agent.training.examples import speed_of
from vitron_agent.training.planner_like import QUALITIES

TOLD = 0.5
"""Share of clips that show another speed than the usual one, where there is room for it: of what is drawn, a third."""
_STEPS = 16  # in which an amount comes nearer to the usual one


@dataclass(frozen=True)
class TaughtClip:
    """A clip to learn from.

    Attributes:
        clip: What is to be made.
        told: Whether its speed is told beside the words, which then mean no usual one.
    """

    clip: Clip
    told: bool

    @property
    def speed(self) -> Tensor:
        """What is told, (5,), see `speed_of`: zeros where nothing is."""
        return speed_of(self.clip) if self.told else torch.zeros(len(QUALITIES))


def sample_taught_clip(rng: random.Random) -> TaughtClip:
    """Draw a clip whose objects move as usual, or all at one speed that is told."""
    clip = as_usual(sample_clip(rng))
    if rng.random() < TOLD:
        distance = rng.uniform(*DISTANCE)
        motions = tuple(
            Motion(motion.name, distance) if motion and motion.name in DIRECTIONS else motion for motion in clip.motions
        )
        fast = replace(clip, motions=motions)
        if motions != clip.motions and is_sound(fast):
            return TaughtClip(fast, told=True)
    return TaughtClip(clip, told=False)


def as_usual(clip: Clip) -> Clip:
    """Return a clip with the amounts that its motions have if nobody says more: middle ones, where there is room."""
    for place, motion in enumerate(clip.motions):
        if motion is None:
            continue
        middle = sum(DISTANCE if motion.name in DIRECTIONS else FACTOR) / 2
        for step in range(_STEPS + 1):
            amount = middle + (motion.amount - middle) * step / _STEPS
            motions = (*clip.motions[:place], Motion(motion.name, amount), *clip.motions[place + 1 :])
            nearer = replace(clip, motions=motions)
            if is_sound(nearer):
                clip = nearer
                break
    return clip
