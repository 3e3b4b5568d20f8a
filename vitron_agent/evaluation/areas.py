"""Which pixels a target means, and which an edit may change: bool masks drawn from scenes and clips.

Knows the small world's truth only, no calls and no results.
"""

import torch

from vitron_agent.evaluation.cases import Change, Target
from vitron_agent.shapes.check.segments import dilate
from vitron_agent.shapes.clip import Clip, render_clip
from vitron_agent.shapes.render import MAX_OBJECTS, render
from vitron_agent.shapes.scene import Obj, Scene

MARGIN = 0.06
"""How far from an object an edit of it may change pixels, share of the side: its soft edge and the mask's margin."""


def box_mask(obj: Obj, margin: float, size: int) -> torch.Tensor:
    """The pixels of an object's square, grown by `margin` (share of the side), (S, S) bool."""
    grid = (torch.arange(size) + 0.5) / size
    reach = obj.r + margin
    return ((grid - obj.y).abs() <= reach)[:, None] & ((grid - obj.x).abs() <= reach)[None]


def mask_of(scene: Scene, target: Target, size: int = 64) -> torch.Tensor:
    """The true mask, (S, S) bool, of what a target means; all False if it means nothing."""
    indices = target.find(scene)
    drawn = render([Scene(scene.background, scene.objects[:MAX_OBJECTS])], size).masks[0]
    if indices is None:
        return ~drawn.any(0)
    chosen = [drawn[i] for i in indices if i < MAX_OBJECTS]
    return torch.stack(chosen).any(0) if chosen else torch.zeros(size, size, dtype=torch.bool)


def masks_of(clip: Clip, target: Target, size: int = 64) -> torch.Tensor:
    """The true masks, (T, S, S) bool, of what a target means in the first frame; all False if it means nothing."""
    return render_clip(clip, size).masks[:, list(target.find(clip.scene) or ())].any(1)


def allowed_region(change: Change, before: Scene, size: int, painted: torch.Tensor | None) -> torch.Tensor:
    """Where an edit may change pixels, (S, S) bool: around what it touches; for an addition, where the tool painted.

    A new background may change everything but the objects (their soft edges included in what it may change).
    """
    if change.is_background:
        objects = render([Scene(before.background, before.objects[:MAX_OBJECTS])], size).masks[0].any(0)
        return dilate(~objects, 1)
    region = torch.zeros(size, size, dtype=torch.bool)
    for obj in change.touched(before):
        region |= box_mask(obj, MARGIN, size)
    if not region.any():
        return painted if painted is not None else ~region
    return region


def untouched(before: Clip, after: Clip, size: int = 64) -> torch.Tensor:
    """Where an edit that makes one clip of another must leave the frames alone, (T, S, S) bool.

    A changed object may change what is around it; a new background everything but the objects.
    """
    changed = [
        i for i, pair in enumerate(zip(before.scene.objects, after.scene.objects, strict=True)) if len({*pair}) > 1
    ]
    grounds = before.scene.background, after.scene.background
    kept = []
    for old, new, masks in zip(before.scenes, after.scenes, render_clip(before, size).masks, strict=True):
        touched = torch.zeros(size, size, dtype=torch.bool)
        for obj in (scene.objects[i] for scene in (old, new) for i in changed):
            touched |= box_mask(obj, MARGIN, size)
        kept.append(~touched if grounds[0] == grounds[1] else ~touched & ~dilate(~masks.any(0), 1))
    return torch.stack(kept)
