"""Edits as training examples: replace, add, remove, change the background, with the mask an editor would be given.

For a new background the wanted picture is the bare background, since the editor pastes the objects' own pixels back.
Knows scenes and latents; knows nothing about noise or optimisation.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from vitron_agent.invocation import EditCommand
from vitron_agent.shapes.captions import phrase_of
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import BACKGROUNDS, Obj, Scene, apart, clashes, sample_object, sample_scene
from vitron_agent.specialists.gligen.editor import edit_words
from vitron_agent.training.gligen_data import Prompt, ShardedPool, encode_pictures, encoder_digest
from vitron_agent.training.gligen_scenes import importance

_SIZE = 64


@dataclass(frozen=True)
class Edit:
    """One edit: the scene before, the wanted picture, the command's words, the layout, and the boxes that may change.

    `holes` is None for a new background: everything but the objects may change.
    """

    before: Scene
    after: Scene
    words: str
    new: Obj | None
    holes: tuple[tuple[float, float, float, float], ...] | None


def sample_edit(rng: random.Random) -> Edit:
    """Draw an edit: replace 55 %, add 25 %, remove 12 %, background 8 % (in order of difficulty)."""
    kind = rng.choices(("replace", "add", "remove", "background"), (55, 25, 12, 8))[0]
    scene = sample_scene(rng)
    index = rng.randrange(len(scene.objects))
    obj, rest = scene.objects[index], scene.objects[:index] + scene.objects[index + 1 :]
    without = replace(scene, objects=rest)
    named = phrase_of(obj, rng)
    if kind == "remove":
        return Edit(scene, without, edit_words(EditCommand("remove", target=named)), None, (obj.box,))
    if kind == "add":
        return Edit(without, scene, edit_words(EditCommand("add", new=named)), obj, (obj.box,))
    if kind == "background":
        name = rng.choice([other for other in BACKGROUNDS if other != scene.background])
        return Edit(scene, Scene(name, ()), edit_words(EditCommand("background", new=name)), None, None)
    new = _replacement(scene, obj, rest, rng)
    words = edit_words(EditCommand("replace", target=named, new=phrase_of(new, rng)))
    return Edit(scene, replace(scene, objects=(*rest, new)), words, new, (obj.box, new.box))


def _replacement(scene: Scene, old: Obj, rest: Sequence[Obj], rng: random.Random) -> Obj:
    """Draw what comes instead: mostly in the old one's box, else of another size about the same centre."""
    fresh = sample_object(rng, scene.background)
    if rng.random() < 0.5:  # recolour or reshape alone
        if rng.random() < 0.5 and not clashes(old.colour, scene.background):
            fresh = replace(fresh, colour=old.colour, rgb=old.rgb)
        else:
            fresh = replace(fresh, shape=old.shape)
    same_box = replace(fresh, x=old.x, y=old.y, r=old.r, size=old.size)
    resized = replace(fresh, x=min(max(old.x, fresh.r), 1 - fresh.r), y=min(max(old.y, fresh.r), 1 - fresh.r))
    fits = all(apart(resized, other) for other in rest)
    return resized if fits and rng.random() < 0.4 else same_box


def hole_mask(edit: Edit, masks: Tensor, rng: random.Random) -> Tensor:
    """Return where pixels may change, bool (1, S, S): grown boxes, sometimes the objects' own outlines.

    Args:
        edit: the edit.
        masks: (slots, S, S) bool, the objects before.
        rng: how much is grown.
    """
    if edit.holes is None:
        objects = masks.any(0).float()[None]
        cells = rng.choice((0, 0, 1))
        grown = torch.nn.functional.max_pool2d(objects, 2 * cells + 1, 1, cells)
        return grown < 0.5
    mask = torch.zeros(1, _SIZE, _SIZE, dtype=torch.bool)
    grow = rng.choice((1, 2, 2, 3)) / _SIZE
    for x1, y1, x2, y2 in edit.holes:
        left, top = (max(round((c - grow) * _SIZE), 0) for c in (x1, y1))
        right, bottom = (round((c + grow) * _SIZE) for c in (x2, y2))
        mask[:, top:bottom, left:right] = True
    return mask


def encode_edits(edits: Sequence[Edit], seed: int, vae: AutoencoderKL) -> dict[str, Tensor]:
    """Return latents (B, c, S/4, S/4) before and after, float16, and the holes (B, 1, S, S), uint8."""
    before = render([edit.before for edit in edits])
    after = render([edit.after for edit in edits])
    rng = random.Random(f"holes/{seed}/{edits[0].words}")
    holes = torch.stack([hole_mask(edit, masks, rng) for edit, masks in zip(edits, before.masks, strict=True)])
    return {
        "before": encode_pictures(vae, before.images).half(),
        "after": encode_pictures(vae, after.images).half(),
        "holes": holes.to(torch.uint8),
    }


def edit_pool(folder: Path, seed: int, vae: AutoencoderKL) -> ShardedPool[Edit]:
    """Return the pool of edits: latents before and after, and the holes (packed as uint8)."""
    key = f"edits-2-{seed}-{encoder_digest(vae.encoder)}"
    return ShardedPool(folder, key, sample_edit, lambda edits: encode_edits(edits, seed, vae))


def edit_weight(holes: Tensor, edits: Sequence[Edit], size: int) -> Tensor:
    """Return loss weights (B, 1, size, size): what is painted counts, the new object most; mean 1."""
    weight = 0.2 + torch.nn.functional.adaptive_max_pool2d(holes.float(), size)
    for i, edit in enumerate(edits):
        if edit.new is not None:
            x1, y1, x2, y2 = (round(c * size) for c in edit.new.box)
            weight[i, :, max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = importance(edit.new)
        elif edit.holes is None:
            weight[i] = 0.5
    return weight / weight.mean()


def edit_prompt(edit: Edit, rng: random.Random) -> Prompt:
    """Return an edit's prompt; in 8 % the words are dropped, as guidance and thin commands need."""
    layout = () if edit.new is None else ((phrase_of(edit.new, rng), edit.new.box),)
    return Prompt("" if edit.new is not None and rng.random() < 0.08 else edit.words, layout)
