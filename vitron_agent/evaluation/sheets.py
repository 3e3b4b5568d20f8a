"""Sample sheets: what was asked and what came, as one PNG per suite. A green edge is right, a red one wrong."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Picture = NDArray[np.uint8]

SCALE, GAP, COLUMNS, LINES = 2, 8, 4, 3
_GREEN, _RED, _INK, _PAPER = (40, 160, 60), (210, 40, 40), (20, 20, 20), (255, 255, 255)


@dataclass(frozen=True)
class Sample:
    """One case on a sheet.

    Attributes:
        title: The request.
        pictures: uint8 (64, 64, 3) arrays: the user's picture first, then what was made; masks over their picture;
            three of each video, see `moments`.
        right: Whether it was right.
    """

    title: str
    pictures: tuple[Picture, ...]
    right: bool


def shown(picture: torch.Tensor) -> Picture:
    """Turn a picture, (3, H, W) uint8, into an array (H, W, 3): tensors do not travel well between processes."""
    return picture.permute(1, 2, 0).contiguous().numpy()


def moments(video: torch.Tensor) -> tuple[Picture, ...]:
    """The first, the middle and the last frame of a video, uint8 (T, 3, H, W), as arrays."""
    return tuple(shown(video[at]) for at in (0, len(video) // 2, len(video) - 1))


def over(picture: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Show a mask on its picture: everything else is faded.

    Args:
        picture: uint8 (3, H, W), or of a video (T, 3, H, W).
        mask: bool (H, W), or (T, 1, H, W).
    """
    faded = picture.float() * 0.25 + 190
    return torch.where(mask, picture.float(), faded).to(torch.uint8)


def save_sheet(samples: list[Sample], path: Path) -> None:
    """Write a sheet; nothing for no samples.

    Args:
        samples: The cases, at most 24 are shown.
        path: Where the PNG goes.
    """
    samples = samples[:24]
    if not samples:
        return
    most = max(1, *(len(sample.pictures) for sample in samples))
    side = 64 * SCALE
    width, height = most * (side + 4) + 4, side + 8 + 12 * LINES
    columns = max(1, min(COLUMNS, 1600 // (width + GAP)))
    rows = -(-len(samples) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for index, sample in enumerate(samples):
        left = GAP + (index % columns) * (width + GAP)
        top = GAP + (index // columns) * (height + GAP)
        pen.rectangle((left, top, left + width - 1, top + side + 7), outline=_GREEN if sample.right else _RED, width=2)
        for place, picture in enumerate(sample.pictures):
            tile = Image.fromarray(picture)
            sheet.paste(tile.resize((side, side), Image.Resampling.NEAREST), (left + 4 + place * (side + 4), top + 4))
        lines = textwrap.wrap(sample.title, max(12, width // 6))[:LINES]
        pen.multiline_text((left + 2, top + side + 8), "\n".join(lines), fill=_INK, spacing=1)
    sheet.save(path)
