"""A layered atlas: two textures, and for every frame a map of pixels into each and how much of each pixel is object.

StableVideo and layered neural atlases (Kasten et al. 2021) hold the maps and textures in networks; here they are
explicit: a texture, an affine map and a coarse grid of residual shifts per frame. Knows how to look textures up and how
to put pixels into them; how they are found is fit.py's.
"""

import hashlib
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

GRID = 6
"""Residual shifts per axis and frame."""


@dataclass(frozen=True)
class Layer:
    """One layer of a clip of T frames, H x W pixels.

    Attributes:
        texture: (3, h, w) float RGB, about [0, 1]: the atlas.
        affine: (T, 2, 3) float: frame pixels (x, y) to anchor pixels.
        residual: (T, 2, GRID, GRID) float: further shifts in anchor pixels, bilinear between the knots.
        origin: Anchor pixel (x, y) of the texture's top left corner.
        density: Texels per anchor pixel.
    """

    texture: Tensor
    affine: Tensor
    residual: Tensor
    origin: tuple[float, float]
    density: float

    def places(self, height: int, width: int) -> Tensor:
        """Where every frame's pixels lie in the texture: (T, H, W, 2) float, x and y in texels."""
        pixels = pixel_grid(height, width, self.texture.device)
        mapped = torch.einsum("tij,hwj->thwi", self.affine[:, :, :2], pixels) + self.affine[:, None, None, :, 2]
        shifts = F.interpolate(self.residual, (height, width), mode="bilinear", align_corners=True)
        origin = mapped.new_tensor(self.origin)
        return (mapped + shifts.permute(0, 2, 3, 1) - origin) * self.density

    def seen_at(self, places: Tensor) -> Tensor:
        """The texture at `places` (T, H, W, 2): (T, 3, H, W)."""
        height, width = self.texture.shape[-2:]
        grid = 2 * places / places.new_tensor((width, height)) - 1
        texture = self.texture[None].expand(len(places), -1, -1, -1)
        return F.grid_sample(texture, grid, mode="bilinear", padding_mode="border", align_corners=False)

    def with_texture(self, texture: Tensor) -> "Layer":
        """The same layer painted otherwise."""
        return replace(self, texture=texture)


@dataclass(frozen=True)
class LayeredAtlas:
    """A clip as two layers.

    Attributes:
        foreground: The object.
        background: Everything else.
        alpha: (T, H, W) float in [0, 1], how much of a pixel is object.
    """

    foreground: Layer
    background: Layer
    alpha: Tensor

    def digest(self) -> str:
        """Return 16 hex digits that stand for all that it holds, on whatever device that lies."""
        found = hashlib.sha256(_bytes(self.alpha))
        for layer in (self.foreground, self.background):
            found.update(repr((layer.origin, layer.density)).encode())
            for values in (layer.texture, layer.affine, layer.residual):
                found.update(_bytes(values))
        return found.hexdigest()[:16]

    def render(self) -> Tensor:
        """The clip as the atlas remembers it: (T, 3, H, W) float in [0, 1]."""
        size = self.alpha.shape[1:]
        front, back = (layer.seen_at(layer.places(*size)) for layer in (self.foreground, self.background))
        return back.lerp(front, self.alpha[:, None]).clamp(0, 1)


def _bytes(values: Tensor) -> bytes:
    """Return a tensor's shape, type and contents."""
    return f"{tuple(values.shape)} {values.dtype} ".encode() + values.detach().cpu().numpy().tobytes()


def pixel_grid(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Pixel centres (H, W, 2) as x and y, the first at (0.5, 0.5)."""
    rows = torch.arange(height, device=device) + 0.5
    columns = torch.arange(width, device=device) + 0.5
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)


def splat(values: Tensor, weights: Tensor, places: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Put pixels into a texture, each shared among the four texels around it.

    Args:
        values: (N, 3).
        weights: (N,), how much each counts.
        places: (N, 2), x and y in texels.
        size: Height and width of the texture.

    Returns:
        Weighted means (3, h, w), 0 where nothing fell, and coverage (h, w), the sum of weights.
    """
    height, width = size
    low = (places - 0.5).floor()
    share = places - 0.5 - low
    total = values.new_zeros(height * width, 3)
    coverage = values.new_zeros(height * width)
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = (low[:, 0] + dx).long(), (low[:, 1] + dy).long()
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            near = (share[:, 0] if dx else 1 - share[:, 0]) * (share[:, 1] if dy else 1 - share[:, 1])
            weight = (near * weights)[inside]
            index = (row * width + column)[inside]
            total.index_add_(0, index, values[inside] * weight[:, None])
            coverage.index_add_(0, index, weight)
    means = total / coverage.clamp_min(1e-8)[:, None]
    means = torch.where(coverage[:, None] > 1e-4, means, 0.0)
    return means.T.reshape(3, height, width), coverage.view(height, width)


def filled(texture: Tensor, coverage: Tensor) -> Tensor:
    """Fill texels that nothing fell on from their surroundings, coarse to fine (push-pull, Gortler et al. 1996).

    Args:
        texture: (C, h, w).
        coverage: (h, w), 0 where nothing is known.
    """
    weight = coverage.clamp(0, 1)[None]
    if weight.min() >= 1 or min(weight.shape[-2:]) <= 1:
        return texture
    height, width = weight.shape[-2:]
    padding = (0, width % 2, 0, height % 2)
    stacked = F.pad(torch.cat([texture * weight, weight]), padding)
    small = F.avg_pool2d(stacked[None], 2)[0] * 4
    known = small[-1].clamp(0, 1)
    coarse = filled(small[:-1] / small[-1:].clamp_min(1e-8), known)
    rough = F.interpolate(coarse[None], scale_factor=2, mode="bilinear", align_corners=False)[0, :, :height, :width]
    return rough.lerp(texture, weight)
