"""Prompts as tokens: strokes to sampled points, and several prompts of different kinds in one padded batch.

Knows neither regions nor words: a stroke arrives as a boolean mask, a phrase as embedded rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Kinds of prompt tokens. Grounding tokens see the object queries and travel through the layers; spatial and visual
# ones see only their own kind and are set anew at every level.
PAD, GROUNDING, SPATIAL, VISUAL = 0, 1, 2, 3


@dataclass(frozen=True)
class StrokePoints:
    """Points of N strokes, padded to the longest."""

    places: Tensor  # (N, T, 2) float32, (column / W, row / H) in [0, 1)
    signs: Tensor  # (N, T) int64: 1 positive, -1 negative, 0 padding


@dataclass(frozen=True)
class PromptTokens:
    """Tokens of N prompts for the three levels, padded to the longest."""

    levels: tuple[Tensor, ...]  # three of (N, T, C)
    kinds: Tensor  # (N, T) int64: PAD, GROUNDING, SPATIAL or VISUAL

    @classmethod
    def none(cls, count: int, like: Tensor) -> "PromptTokens":
        """Make `count` empty prompts (a panoptic run) with the type, device and channels of `like` (..., C)."""
        empty = like.new_zeros(count, 0, like.shape[-1])
        return cls((empty, empty, empty), torch.zeros(count, 0, dtype=torch.int64, device=like.device))

    def join(self, other: "PromptTokens") -> "PromptTokens":
        """Put the tokens of `other` behind these, prompt by prompt (both kinds then act together)."""
        levels = tuple(torch.cat(pair, dim=1) for pair in zip(self.levels, other.levels, strict=True))
        return PromptTokens(levels, torch.cat((self.kinds, other.kinds), dim=1))

    def pad(self, length: int) -> "PromptTokens":
        """Fill up with padding to `length` tokens."""
        extra = length - self.kinds.shape[1]
        return PromptTokens(
            tuple(F.pad(level, (0, 0, 0, extra)) for level in self.levels), F.pad(self.kinds, (0, extra), value=PAD)
        )


def stroke_points(
    positive: Sequence[Tensor], limit: int, negative: Sequence[Tensor] | None = None, seed: int = 0
) -> StrokePoints:
    """Turn strokes into points: the set pixels, at most `limit` of each sign.

    Above the limit a random subset is taken as in SEEM, but a seeded one: the same stroke gives the same points.

    Args:
        positive: N masks, each bool (H, W), at the padded size of the model's input.
        limit: the most points of one sign and stroke.
        negative: N masks of what is not meant, or None.
        seed: of the subset.

    Returns:
        The points; T is the largest number of them (0 when every mask is empty).
    """
    rows = []
    for index, mask in enumerate(positive):
        parts = [_pixels(mask, limit, seed)]
        if negative is not None:
            parts.append(_pixels(negative[index], limit, seed))
        signs = torch.cat([torch.full((len(part),), sign) for part, sign in zip(parts, (1, -1), strict=False)])
        rows.append((torch.cat(parts), signs))
    length = max(len(signs) for _, signs in rows)
    places = torch.stack([F.pad(place, (0, 0, 0, length - len(place))) for place, _ in rows])
    return StrokePoints(places, torch.stack([F.pad(sign, (0, length - len(sign))) for _, sign in rows]))


def _pixels(mask: Tensor, limit: int, seed: int) -> Tensor:
    """Give the set pixels of a bool mask (H, W) as (n, 2) float32 (column / W, row / H), n at most `limit`."""
    pixels = mask.nonzero()
    if len(pixels) > limit:
        order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(seed))[:limit]
        pixels = pixels[order.sort().values.to(pixels.device)]
    height, width = mask.shape
    return pixels.flip(1).float() / torch.tensor([width, height], device=mask.device)


def sample(features: Tensor, places: Tensor) -> Tensor:
    """Read maps at points, bilinearly, corners aligned, zero outside (SEEM's `point_sample`).

    Args:
        features: (B, C, H, W).
        places: (N, T, 2) in [0, 1], x first; N is a multiple of B, the prompts of one image stand together.

    Returns:
        (N, T, C).
    """
    batch, count, length = features.shape[0], places.shape[0], places.shape[1]
    if length == 0:
        return features.new_zeros(count, 0, features.shape[1])
    grid = (2 * places - 1).reshape(batch, -1, 1, 2).to(features.dtype)
    values = F.grid_sample(features, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return values[..., 0].transpose(1, 2).reshape(count, length, -1)


def pool(features: Tensor, points: StrokePoints, sign: int) -> Tensor:
    """Average maps over the points of one sign.

    Args:
        features: (B, C, H, W), usually the mask features.
        points: of N strokes, N a multiple of B.
        sign: 1 or -1.

    Returns:
        (N, C); zeros where a stroke has no such point.
    """
    weight = (points.signs == sign).to(features.dtype)
    total = (sample(features, points.places) * weight[..., None]).sum(1)
    return total / weight.sum(1, keepdim=True).clamp(min=1)
