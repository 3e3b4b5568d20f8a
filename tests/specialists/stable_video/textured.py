"""Clips with known motion: a textured star over a textured background that pans; masks a little rough, as SEEM's are.

The edited truth is the same clip with another texture on the star.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vitron_agent.specialists.stable_video.layers import pixel_grid


@dataclass(frozen=True)
class Truth:
    """A clip and what is known of it.

    Attributes:
        frames: uint8 (T, 3, S, S).
        masks: bool (T, S, S), rough.
        exact: bool (T, S, S).
        edited: uint8 (T, 3, S, S), the star painted otherwise.
        points: (T, N, 2) where N points of the star are in every frame, x and y in pixels.
    """

    frames: Tensor
    masks: Tensor
    exact: Tensor
    edited: Tensor
    points: Tensor


def texture(seed: int, channels: int = 3) -> Tensor:
    """Smooth noise with some detail: (channels, 96, 96) in [0.05, 0.95]."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, channels, 96, 96)
    for side, weight in ((4, 1.0), (12, 0.7), (40, 0.5)):
        noise = torch.randn(1, channels, side, side, generator=generator)
        total += weight * F.interpolate(noise, (96, 96), mode="bicubic", align_corners=False)
    return (0.5 + 0.2 * total[0]).clamp(0.05, 0.95)


def textured_clip(
    size: int = 64, count: int = 12, turn: float = 30.0, grow: float = 1.1, step: float = 0.3, pan: float = 0.12
) -> Truth:
    """Draw a clip.

    Args:
        size: Side in pixels.
        count: Frames.
        turn: Degrees that the star turns over the clip.
        grow: Factor by which it grows.
        step: Share of the side that it moves to the right, and half as far down.
        pan: Share of the side that the background pans.
    """
    pixels = pixel_grid(size, size) / size
    star, ground, paint = texture(1), texture(2), texture(3)
    generator = torch.Generator().manual_seed(4)
    local = torch.rand(40, 2, generator=generator) * 0.16 - 0.08
    frames, exact, edited, points = [], [], [], []
    for frame in range(count):
        share = frame / (count - 1)
        angle, scale = math.radians(turn * share), grow**share
        centre = torch.tensor([0.35 + step * share, 0.4 + step * share / 2])
        rotation = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        own = (pixels - centre) @ rotation / scale  # pixels in the star's own coordinates
        inside = _star(own, 0.22, 1 / size)
        front, painted = (_look(t, own * 2) for t in (star, paint))
        back = _look(ground, (pixels - 0.5) * 1.2 + torch.tensor([pan * share, 0.0]))
        frames.append(back.lerp(front, inside))
        edited.append(back.lerp(painted, inside))
        exact.append(inside > 0.5)
        points.append((local @ rotation.T * scale + centre) * size)
    stacked = torch.stack(exact)
    shifts = [((0, 1, 0, -1)[i % 4], (0, 0, 1, 0, -1)[i % 5]) for i in range(count)]  # a pixel off, in every direction
    rough = torch.stack([mask.roll(shift, (0, 1)) for mask, shift in zip(stacked, shifts, strict=True)])
    return Truth(_bytes(frames), rough, stacked, _bytes(edited), torch.stack(points))


def _star(places: Tensor, radius: float, soft: float) -> Tensor:
    """A rounded five-pointed star: share of each pixel (H, W) inside."""
    angle = torch.atan2(places[..., 1], places[..., 0])
    edge = radius * (0.78 + 0.22 * torch.cos(5 * angle))
    return ((edge - places.norm(dim=-1)) / soft + 0.5).clamp(0, 1)


def _look(picture: Tensor, places: Tensor) -> Tensor:
    """A texture at places (H, W, 2) in [-1, 1]: (3, H, W)."""
    return F.grid_sample(picture[None], places[None], mode="bicubic", padding_mode="reflection", align_corners=False)[0]


def _bytes(frames: list[Tensor]) -> Tensor:
    return (torch.stack(frames).clamp(0, 1) * 255).round().to(torch.uint8)
