"""Scenes as training examples for drawing: prompts with layout, loss weights, a pool of latents.

Knows scenes and latents; knows nothing about noise, edits or optimisation.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from vitron_agent.shapes.captions import caption, phrase_of
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Obj, Scene, sample_scene
from vitron_agent.training.gligen_data import Prompt, ShardedPool, encode_pictures, encoder_digest

INSIDE = 6.0
"""How much a cell counts that an object of radius `_MIDDLE` stands in; one of background counts 1."""
_MIDDLE = 0.14
_THIN = {"star": 2.0, "cross": 1.5}
"""How much more the shapes count whose arms are thinner than a cell: of small stars, half came out as discs."""


def importance(obj: Obj) -> float:
    """How much a cell counts that an object stands in: a small object, all in all, as much as a large one."""
    return INSIDE * (_MIDDLE / obj.r) ** 2 * _THIN.get(obj.shape, 1.0)


def make_prompt(scene: Scene, rng: random.Random) -> Prompt:
    """Return a scene's prompt with parts dropped at random: caption 5 %, layout 6 %.

    Boxes say exactly where objects are: what is blurred in training is drawn blurred.
    """
    layout = tuple((phrase_of(obj, rng), obj.box) for obj in scene.objects)
    text = caption(scene, rng)
    if rng.random() < 0.05:
        text = ""
        layout = layout if rng.random() < 0.4 else ()
    elif rng.random() < 0.04:
        layout = ()
    return Prompt(text, layout)


def object_weight(scenes: Sequence[Sequence[Obj]], size: int) -> Tensor:
    """Return per-cell loss weights (B, 1, size, size): `importance` around objects, mean 1 per batch."""
    weight = torch.ones(len(scenes), 1, size, size)
    for i, objects in enumerate(scenes):
        for obj in objects:
            x1, y1, x2, y2 = (round(c * size) for c in obj.box)
            weight[i, :, max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = importance(obj)
    return weight / weight.mean()


def scene_pool(folder: Path, seed: int, vae: AutoencoderKL) -> ShardedPool[Scene]:
    """Return the pool of training scenes with their latents (key "latents")."""

    def encode(scenes: Sequence[Scene]) -> dict[str, Tensor]:
        return {"latents": encode_pictures(vae, render(scenes).images).half()}

    return ShardedPool(folder, f"scenes-{seed}-{encoder_digest(vae.encoder)}", sample_scene, encode)
