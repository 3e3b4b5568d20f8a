"""Batches for SEEM's training: augmented pictures, masks of what is in them, and prompts with their answers.

Scenes come in pairs that share an object of one colour and shape, so that each can be the other's example. Knows the
small world and numpy; knows nothing of the model but the sizes of its input.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vitron_agent.shapes.render import MAX_OBJECTS, render
from vitron_agent.shapes.scene import (
    BACKGROUNDS,
    MARGIN,
    Obj,
    Scene,
    Size,
    apart,
    clashes,
    sample_object,
    sample_scene,
    sample_shade,
)
from vitron_agent.training.seem_language import Phrase

SIDE = 64
STROKES = ("click", "box", "polygon", "scribble")
BACKGROUND_SLOT = MAX_OBJECTS  # segments of a scene: its object slots, then the background
Points = NDArray[np.float32]


@dataclass(frozen=True)
class Pictures:
    """Rendered scenes."""

    scenes: tuple[Scene, ...]
    images: Tensor  # (B, 3, 64, 64) float32 in [0, 1]
    segments: Tensor  # (B, 4, 64, 64) float32 0 or 1, slots 0-2 objects, slot 3 background
    present: Tensor  # (B, 4) bool, False for empty object slots


def sample_pair(rng: random.Random) -> tuple[Scene, Scene]:
    """Draw two scenes that have an object of one colour and shape in common; it is object 0 of the second."""
    first = sample_scene(rng, rng.choice((1, 2, 3, 3, 3)))
    shared = rng.choice(first.objects)
    background = rng.choice([name for name in BACKGROUNDS if not clashes(shared.colour, name)])
    r = min(max(shared.r * rng.uniform(0.7, 1.4), 0.09), 0.22)
    size: Size = "small" if r <= 0.13 else "large"
    r = r if size == "small" else max(r, 0.15)
    low, high = r + MARGIN, 1 - r - MARGIN
    x, y = rng.uniform(low, high), rng.uniform(low, high)
    objects: list[Obj] = [replace(shared, rgb=sample_shade(rng, shared.colour), x=x, y=y, r=r, size=size)]
    wanted = rng.choice((1, 2, 3, 3, 3))
    for _ in range(60):
        if len(objects) == wanted:
            break
        candidate = sample_object(rng, background)
        if all(apart(candidate, other) for other in objects):
            objects.append(candidate)
    return first, Scene(background, tuple(objects))


def shared_object(scene: Scene, other: Scene) -> int:
    """Index in `scene` of an object whose colour and shape also occur in `other` (0 if there is none)."""
    kinds = {(obj.colour, obj.shape) for obj in other.objects}
    return next((i for i, obj in enumerate(scene.objects) if (obj.colour, obj.shape) in kinds), 0)


def draw(scenes: Sequence[Scene]) -> Pictures:
    """Render scenes and their segments."""
    rendered = render(scenes, SIDE)
    objects = rendered.masks.float()
    background = 1 - objects.amax(1, keepdim=True)
    present = torch.cat((rendered.masks.flatten(2).any(2), torch.ones(len(scenes), 1, dtype=torch.bool)), dim=1)
    return Pictures(tuple(scenes), rendered.images, torch.cat((objects, background), dim=1), present)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Make renders look drawn by a model: soft edges, uneven colour, noise; half of them stay as they are.

    Args:
        images: (B, 3, S, S) in [0, 1].
        generator: source of randomness.
    """
    count = len(images)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    touched = (uniform(1, 1, 1) > 0.5).float()
    soft = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    strength = uniform(1, 1, 1) * 0.8 * touched
    images = images + (soft - images) * strength
    patches = torch.randn(count, 3, 8, 8, generator=generator)
    patches = F.interpolate(patches, size=images.shape[-2:], mode="bilinear", align_corners=False)
    noise = torch.randn(images.shape, generator=generator)
    tint = torch.randn(count, 3, 1, 1, generator=generator) * 0.02
    images = images + touched * (patches * 0.03 * uniform(1, 1, 1) + noise * 0.04 * uniform(1, 1, 1) ** 2 + tint)
    return images.clamp(0, 1)


def upscale(images: Tensor, short_side: int) -> Tensor:
    """Resize (B, 3, S, S) in [0, 1] to the model's side, bicubic, as 0..255 whole numbers in float32."""
    images = (images * 255).round()
    large = F.interpolate(images, size=(short_side, short_side), mode="bicubic", antialias=True)
    return large.round().clamp(0, 255)


def stroke(kind: str, mask: NDArray[np.bool_], rng: np.random.Generator, count: int) -> Points:
    """Draw a stroke for one segment the way `Region.to_mask` would fill it, as sampled points.

    Args:
        kind: one of `STROKES`, or "picture" for a box around the whole picture.
        mask: (S, S), the segment.
        rng: source of randomness.
        count: number of points T.

    Returns:
        (T, 2) x, y in [0, 1).
    """
    rows, columns = np.nonzero(mask)
    pixels = np.stack((columns, rows), axis=1).astype(np.float32) + 0.5
    if kind == "click":
        angle, radius = rng.uniform(0, 2 * np.pi, count), 1.9 * np.sqrt(rng.uniform(0, 1, count))
        points = pixels[rng.integers(len(pixels))] + np.stack((np.cos(angle), np.sin(angle)), axis=1) * radius[:, None]
    elif kind == "picture":
        points = rng.uniform(0, SIDE, (count, 2))
    elif kind == "scribble":
        knots = pixels[rng.integers(len(pixels), size=rng.integers(2, 5))]
        along = rng.uniform(0, len(knots) - 1, count)
        first = np.minimum(along.astype(int), len(knots) - 2)
        share = (along - first)[:, None]
        points = knots[first] * (1 - share) + knots[first + 1] * share + rng.uniform(-1, 1, (count, 2))
    else:
        low, high = pixels.min(0) - 0.5, pixels.max(0) + 0.5
        centre, half = (low + high) / 2, (high - low) / 2
        if kind == "box":
            jitter = rng.uniform(0.85, 1.2, 2)
            points = centre + rng.uniform(-1, 1, (count, 2)) * half * jitter + rng.uniform(-1, 1, 2)
        else:
            corners = rng.uniform(0.6, 1.2, 8)
            angle = rng.uniform(0, 8, count)
            first = angle.astype(int) % 8
            edge = corners[first] * (1 - angle % 1) + corners[(first + 1) % 8] * (angle % 1)
            radius = (edge * np.sqrt(rng.uniform(0, 1, count)))[:, None]
            turn = angle * np.pi / 4
            points = centre + np.stack((np.cos(turn), np.sin(turn)), axis=1) * radius * half
    return (np.clip(points, 0, SIDE - 0.01) / SIDE).astype(np.float32)


def stroke_batch(
    pictures: Pictures, chosen: Sequence[int], kinds: Sequence[str], rng: np.random.Generator, count: int
) -> Tensor:
    """Draw one stroke per picture: `chosen` segment slots, `kinds` -> (B, T, 2)."""
    masks = pictures.segments.numpy() > 0.5
    drawn = [stroke(kind, masks[i, slot], rng, count) for i, (slot, kind) in enumerate(zip(chosen, kinds, strict=True))]
    return torch.from_numpy(np.stack(drawn))


def answer(phrase: Phrase) -> Tensor:
    """Say which segments a phrase means: (4,) bool, all False when nothing matches."""
    slots = [index in phrase.objects for index in range(MAX_OBJECTS)]
    return torch.tensor([*slots, phrase.background])
