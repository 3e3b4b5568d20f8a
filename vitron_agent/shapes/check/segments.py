"""Cuts a picture of the small world into a background and connected objects, by colour alone.

Knows palettes and pixels; it does not know shapes (fit.py) or words. Everything works on single pictures, because the
number of components differs from picture to picture; a 64x64 picture takes a few milliseconds.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, nearest_name

BORDER = 2
"""Width in pixels of the frame from which the background is read (at 64 pixels)."""
MIN_CONTRAST = 0.08
"""Least RGB distance (channels in [0, 1]) at which a pixel counts as not background, in a clean picture."""
MIN_AREA = 0.004
"""Least share of the picture that an object covers: a third of the smallest star (16 pixels at 64)."""


@dataclass(frozen=True)
class Component:
    """One connected object.

    Attributes:
        alpha: (S, S) float32 in [0, 1], how much of each pixel the object covers, from the mix of its colour and the
            ground's.
        rgb: (3,) float32, mean colour of the object's core.
    """

    alpha: torch.Tensor
    rgb: torch.Tensor


def dilate(mask: torch.Tensor, radius: int = 1) -> torch.Tensor:
    """Grow a (S, S) bool mask by `radius` pixels in all eight directions."""
    return F.max_pool2d(mask[None, None].float(), 2 * radius + 1, 1, radius)[0, 0] > 0


def erode(mask: torch.Tensor) -> torch.Tensor:
    """Shrink a (S, S) bool mask by one pixel in all eight directions; beyond the picture nothing is inside."""
    return ~dilate(F.pad(~mask, (1, 1, 1, 1), value=True))[1:-1, 1:-1]


def connected(mask: torch.Tensor, groups: torch.Tensor | None = None) -> list[torch.Tensor]:
    """Split a mask into its four-connected parts, largest first.

    Args:
        mask: (H, W) bool.
        groups: (H, W) int64; pixels are joined only with pixels of the same group. None: one group.
    """
    height, width = mask.shape
    inside = mask.tolist()
    group = groups.tolist() if groups is not None else [[0] * width] * height
    parts = []
    for top in range(height):
        for left in range(width):
            if not inside[top][left]:
                continue
            part, stack = torch.zeros_like(mask), [(top, left)]
            inside[top][left] = False
            cells = []
            while stack:
                y, x = stack.pop()
                cells.append((y, x))
                for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    if 0 <= v < height and 0 <= u < width and inside[v][u] and group[v][u] == group[y][x]:
                        inside[v][u] = False
                        stack.append((v, u))
            rows, columns = zip(*cells, strict=True)
            part[list(rows), list(columns)] = True
            parts.append(part)
    return sorted(parts, key=lambda part: -int(part.sum()))


def read_background(image: torch.Tensor) -> tuple[str, torch.Tensor, float]:
    """Find the ground's colour from the picture's frame.

    Args:
        image: (3, S, S) float in [0, 1].

    Returns:
        The nearest background's name, the measured colour (3,), and the noise: the robust deviation per channel.
    """
    frame = torch.ones(image.shape[1:], dtype=torch.bool)
    frame[BORDER:-BORDER, BORDER:-BORDER] = False
    pixels = image[:, frame].T
    palette = torch.tensor(list(BACKGROUNDS.values()))
    nearest = torch.cdist(pixels, palette).argmin(1)
    chosen = int(nearest.bincount(minlength=len(palette)).argmax())
    pixels = pixels[nearest == chosen]
    colour = pixels.median(0).values
    noise = 1.4826 * float((pixels - colour).abs().median())
    return nearest_name(_rgb(colour), BACKGROUNDS), colour, noise


def _rgb(colour: torch.Tensor) -> tuple[float, float, float]:
    red, green, blue = colour.tolist()
    return red, green, blue


def _seeds(part: torch.Tensor, difference: torch.Tensor, image: torch.Tensor, least: int) -> list[torch.Tensor]:
    """Parts of a component that are objects of their own: more than one where soft edges or touching sides joined them.

    Args:
        part: (S, S) bool, one connected component.
        difference: (S, S) float, RGB distance from the ground.
        image: (3, S, S) float in [0, 1].
        least: Least area of a seed in pixels.
    """
    inside = difference * part
    solid = part & (difference > 0.5 * F.max_pool2d(inside[None, None], 9, 1, 4)[0, 0])
    smooth = F.avg_pool2d(image[None], 3, 1, 1, count_include_pad=False)[0]
    names = torch.cdist(smooth.flatten(1).T, torch.tensor(list(COLOURS.values()))).argmin(1).view(part.shape)
    seeds: list[torch.Tensor] = []
    for blob in connected(solid):
        if int(blob.sum()) < least:
            break
        kept: list[torch.Tensor] = []
        for piece in connected(erode(blob), names):
            colour = image[:, piece].mean(1)
            # a thin band of another name is where a soft edge mixes two colours, not an object
            distinct = all(float((colour - image[:, other].mean(1)).norm()) > 0.3 for other in kept)
            if int(piece.sum()) >= least and (not kept or (distinct and erode(piece).any())):
                kept.append(piece)
        seeds += kept or [blob]
    return seeds or [part]


def _grow(seeds: list[torch.Tensor], mask: torch.Tensor) -> list[torch.Tensor]:
    """Share out a mask's pixels among seeds, each pixel to the seed that reaches it first."""
    if len(seeds) == 1:
        return [mask]
    owner = torch.zeros(mask.shape)
    for number, seed in enumerate(seeds, start=1):
        owner[seed] = number
    for _ in range(max(mask.shape)):
        spread = F.max_pool2d(owner[None, None], 3, 1, 1)[0, 0]
        grown = torch.where((owner == 0) & mask, spread, owner)
        if torch.equal(grown, owner):
            break
        owner = grown
    return [owner == number for number in range(1, len(seeds) + 1)]


def find_components(image: torch.Tensor, ground: torch.Tensor, noise: float) -> list[Component]:
    """Find the objects of a picture.

    Args:
        image: (3, S, S) float in [0, 1].
        ground: (3,) background colour.
        noise: Deviation per channel on the ground; the threshold rises with it.

    Returns:
        The objects, largest first; specks are dropped.
    """
    difference = (image - ground[:, None, None]).norm(dim=0)
    foreground = difference > max(MIN_CONTRAST, 5 * noise)
    least = max(4, round(MIN_AREA * foreground.numel()))
    parts: list[torch.Tensor] = []
    for part in connected(foreground):
        if int(part.sum()) < least:
            break
        parts += _grow(_seeds(part, difference, image, least // 2), part)
    everything = torch.stack(parts).sum(0) if parts else foreground
    found = [_component(image, ground, part, everything.bool() & ~part) for part in parts]
    return [component for component in found if float(component.alpha.sum()) >= least]


def split(image: torch.Tensor, ground: torch.Tensor, component: Component) -> list[Component]:
    """Cut a component at its waists: two objects of one colour whose soft edges meet.

    Args:
        image: (3, S, S) float in [0, 1].
        ground: (3,) background colour.
        component: What may be two objects.

    Returns:
        Two parts or more, or nothing where erosion does not take it apart.
    """
    mask = component.alpha > 0.5
    least = max(4, round(MIN_AREA * mask.numel()))
    core = mask
    for _ in range(2):
        core = erode(core)
        seeds = [seed for seed in connected(core) if int(seed.sum()) >= least // 2]
        if len(seeds) > 1:
            parts = _grow(seeds, mask)
            return [_component(image, ground, part, mask & ~part) for part in parts]
    return []


def _component(image: torch.Tensor, ground: torch.Tensor, part: torch.Tensor, others: torch.Tensor) -> Component:
    """Measure colour and coverage of one part; `others` are the pixels that belong to other objects."""
    core = part
    for _ in range(2):  # two erosions where the object is thick enough, so that soft edges do not tint the colour
        core = erode(core) if int(erode(core).sum()) >= 4 else core
    colour = image[:, core].mean(1)
    axis = colour - ground
    alpha = ((image - ground[:, None, None]) * axis[:, None, None]).sum(0) / axis.square().sum().clamp_min(1e-6)
    near = dilate(part, 2) & ~dilate(others)
    return Component(alpha.clamp(0, 1) * (near | part), colour)
