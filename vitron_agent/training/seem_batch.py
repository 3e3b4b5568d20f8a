"""One training step's pictures and prompts as tensors; a function of seed and step alone.

Knows the small world, the tokenizer and the sizes of the model's input; knows nothing of losses.
"""

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from vitron_agent.shapes.scene import Scene
from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.model import prepare_images
from vitron_agent.training.seem_auxiliary import attribute_table
from vitron_agent.training.seem_data import (
    BACKGROUND_SLOT,
    STROKES,
    Pictures,
    answer,
    augment,
    draw,
    sample_pair,
    shared_object,
    stroke_batch,
    upscale,
)
from vitron_agent.training.seem_language import CLASSES, hint_phrase, training_phrase

PHRASES, STROKED = 3, 1  # prompts of each kind per picture, besides one panoptic run and one example
PROMPTS = 1 + PHRASES + STROKED + 1
READINGS = 6  # further phrases per picture, matched with the truth instead of the picture
HINT = 10  # words beside a stroke take this many of its tokens


@dataclass(frozen=True)
class Batch:
    """B pictures and N = B * PROMPTS prompts, those of one picture together: panoptic, phrases, strokes, example."""

    images: Tensor  # (B, 3, S, S) float32, normalised
    segments: Tensor  # (B, 4, 64, 64) float32
    present: Tensor  # (B, 4) bool
    classes: Tensor  # (B, 4) int64
    ids: Tensor  # (B * PHRASES, L) int64
    attention: Tensor  # (B * PHRASES, L)
    meant: Tensor  # (B, PHRASES, 4) bool
    reading_ids: Tensor  # (B * READINGS, L) int64, further phrases
    reading_meant: Tensor  # (B, READINGS, 4) bool
    hint_ids: Tensor  # (B, HINT) int64, words beside the first stroke
    hinted: Tensor  # (B,) bool, whether there are any
    strokes: Tensor  # (B, STROKED, T, 2)
    stroked: Tensor  # (B, STROKED) int64 slots
    example: Tensor  # (B, T, 2), on this picture, for the partner
    like: Tensor  # (B, 4) bool, the objects here that the partner's example means
    names: Tensor  # (B, 3, 2) int64, and `places` (B, 3, 3), see `attribute_table`
    places: Tensor

    def to(self, device: str) -> "Batch":
        """Move everything to a device."""
        return Batch(**{name: value.to(device) for name, value in vars(self).items()})


def partner(count: int) -> Tensor:
    """Pair pictures 2i and 2i + 1: (count,) indices."""
    return torch.arange(count) ^ 1


def class_slots(pictures: Pictures) -> Tensor:
    """Give every segment its class: (B, 4) int64, void for empty slots."""
    rows = []
    for scene in pictures.scenes:
        labels = [CLASSES.index(f"{obj.colour} {obj.shape}") for obj in scene.objects]
        rows.append([*labels, *[len(CLASSES) - 1] * (BACKGROUND_SLOT - len(labels)), CLASSES.index("background")])
    return torch.tensor(rows)


def make_batch(seed: int, step: int, count: int, config: SeemConfig, tokenizer: CLIPTokenizer) -> Batch:
    """Draw the batch of one step; a function of its arguments alone."""
    rng = random.Random(f"seem/{seed}/{step}")
    numbers = np.random.default_rng([seed, step])
    scenes = [scene for _ in range(count // 2) for scene in sample_pair(rng)]
    pictures = draw(scenes)
    generator = torch.Generator().manual_seed(rng.getrandbits(60))
    images = prepare_images(upscale(augment(pictures.images, generator), config.short_side))
    phrases = [[training_phrase(scene, rng) for _ in range(PHRASES)] for scene in scenes]
    readings = [[training_phrase(scene, rng) for _ in range(READINGS)] for scene in scenes]
    reading_words = tokenizer(
        [phrase.text for row in readings for phrase in row],
        padding=True,
        truncation=True,
        max_length=config.max_points,
        return_tensors="pt",
    )
    words = tokenizer(
        [phrase.text for row in phrases for phrase in row], padding=True, truncation=True,
        max_length=config.max_points, return_tensors="pt",
    )  # fmt: skip
    stroked = [[_slot(scene, rng) for _ in range(STROKED)] for scene in scenes]
    hints = [
        hint_phrase(scene, row[0], rng) if rng.random() < 0.35 else None
        for scene, row in zip(scenes, stroked, strict=True)
    ]
    kinds = [rng.choices(STROKES, k=count) for _ in range(STROKED)]
    # A hint that says enough by itself may come with a box around everything.
    kinds[0] = ["picture" if h and h[1] and rng.random() < 0.5 else k for h, k in zip(hints, kinds[0], strict=True)]
    strokes = [
        stroke_batch(pictures, [row[i] for row in stroked], kinds[i], numbers, config.max_points)
        for i in range(STROKED)
    ]
    hint_words = tokenizer(
        [hint[0] if hint else "" for hint in hints], padding="max_length", truncation=True, max_length=HINT,
        return_tensors="pt",
    )  # fmt: skip
    other = partner(count).tolist()
    shared = [shared_object(scene, scenes[other[i]]) for i, scene in enumerate(scenes)]
    like = torch.zeros(count, 4, dtype=torch.bool)
    for i, scene in enumerate(scenes):
        example = scenes[other[i]].objects[shared[other[i]]]
        for j, obj in enumerate(scene.objects):
            like[i, j] = (obj.colour, obj.shape) == (example.colour, example.shape)
    return Batch(
        images, pictures.segments, pictures.present, class_slots(pictures), words.input_ids, words.attention_mask,
        torch.stack([torch.stack([answer(phrase) for phrase in row]) for row in phrases]),
        reading_words.input_ids,
        torch.stack([torch.stack([answer(phrase) for phrase in row]) for row in readings]),
        hint_words.input_ids, torch.tensor([hint is not None for hint in hints]),
        torch.stack(strokes, dim=1), torch.tensor(stroked),
        stroke_batch(pictures, shared, rng.choices(STROKES, k=count), numbers, config.max_points), like,
        *attribute_table(scenes),
    )  # fmt: skip


def _slot(scene: Scene, rng: random.Random) -> int:
    """Choose the segment a stroke means: an object, seldom the background."""
    return BACKGROUND_SLOT if rng.random() < 0.08 else rng.randrange(len(scene.objects))
