"""Reads a picture of the small world back into a scene: background, objects, colours, shapes, places and masks.

No learning: colours are compared with the palette, silhouettes with the six analytic shapes. It is meant for clean
renders and for what a small diffusion decoder draws (soft edges, ringing, slight noise); it does not know photographs.
"""

from dataclasses import dataclass

import torch

from vitron_agent.shapes.check.fit import fit_shape
from vitron_agent.shapes.check.segments import Component, find_components, read_background, split
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, RADII, Obj, Scene, Size, nearest_name

SIZE_THRESHOLD = (RADII["small"][1] + RADII["large"][0]) / 2
"""Half side from which an object reads as large: midway between the largest small and the smallest large one."""

SURE = 0.85
"""Below this IoU with its best shape, a silhouette may be two objects that touch."""


@dataclass(frozen=True)
class ReadScene:
    """What was read from a picture.

    Attributes:
        scene: Background and objects, largest first, with measured centres, half sides and shades.
        masks: (N, S, S) bool, one per object in the scene's order.
        confidences: Per object, the IoU of its silhouette with the fitted shape, in [0, 1]; clean objects exceed 0.9.
        background_error: RGB distance of the measured ground from the named background's base colour.
    """

    scene: Scene
    masks: torch.Tensor
    confidences: tuple[float, ...]
    background_error: float


def as_float(image: torch.Tensor) -> torch.Tensor:
    """Bring a picture to float32 in [0, 1] on the CPU.

    Args:
        image: (3, S, S) uint8 or float in [0, 1].

    Raises:
        ValueError: Another shape, or not square.
    """
    if image.ndim != 3 or image.shape[0] != 3 or image.shape[1] != image.shape[2]:
        raise ValueError(f"a picture of shape {tuple(image.shape)} cannot be read; pass one square picture (3, S, S)")
    image = image.detach().cpu()
    return image.float() / 255 if image.dtype == torch.uint8 else image.float().clamp(0, 1)


def _describe(component: Component) -> tuple[Obj, torch.Tensor, float]:
    """Name one component: the object, its mask (S, S) bool, and the fit's IoU."""
    fit = fit_shape(component.alpha)
    red, green, blue = component.rgb.tolist()
    colour = nearest_name((red, green, blue), COLOURS)
    word: Size = "large" if fit.r >= SIZE_THRESHOLD else "small"
    obj = Obj(fit.shape, colour, word, fit.x, fit.y, fit.r, (red, green, blue))
    return obj, component.alpha > 0.5, fit.iou


def read_scene(image: torch.Tensor) -> ReadScene:
    """Read a picture back into a scene.

    Args:
        image: (3, S, S) uint8, or float in [0, 1]; RGB.

    Raises:
        ValueError: The picture is not (3, S, S).
    """
    pixels = as_float(image)
    size = pixels.shape[-1]
    with torch.no_grad():
        background, ground, noise = read_background(pixels)
        found = []
        for component in find_components(pixels, ground, noise):
            one = _describe(component)
            parts = [_describe(part) for part in split(pixels, ground, component)] if one[2] < SURE else []
            found += parts if parts and min(part[2] for part in parts) > one[2] else [one]
    masks = torch.stack([mask for _, mask, _ in found]) if found else torch.zeros(0, size, size, dtype=torch.bool)
    error = float((ground - torch.tensor(BACKGROUNDS[background])).norm())
    scene = Scene(background, tuple(obj for obj, _, _ in found))
    return ReadScene(scene, masks, tuple(iou for _, _, iou in found), error)
