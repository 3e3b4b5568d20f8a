"""The planner's region encoder: one token for whatever the user drew.

Osprey's way (osprey/model/layer.py): the patch features under the mask are averaged and projected, and a geometry term
made of the mask itself is added. Click, box, polygon and scribble are all masks, so one encoder serves them all. This
file does not know how a region was drawn, nor which words stand around it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitron_agent.media import box_of

GEOMETRY_SIDE = 16
"""The mask is seen by the geometry term at 16x16; Osprey uses 112x112 at 512 pixels."""
FRAME = 224
"""Side, in pixels, of the frame that boxes of VITRON's release lie on."""


class RegionEncoder(nn.Module):
    """Turns masks into tokens of the language model's width."""

    def __init__(self, d_vision: int, d_llm: int, hidden: int = 256) -> None:
        """Build the two branches.

        Args:
            d_vision: Width of the tower's patch features.
            d_llm: Width of the language model.
            hidden: Width of both branches' hidden layer.
        """
        super().__init__()
        self.feature = nn.Sequential(nn.Linear(d_vision, hidden), nn.GELU(), nn.Linear(hidden, d_llm))
        self.geometry = nn.Sequential(
            nn.Linear(GEOMETRY_SIDE**2 + 6, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, d_llm),
        )

    def forward(self, patches: Tensor, masks: Tensor) -> Tensor:
        """Encode one region per picture.

        Args:
            patches: (N, P, d_vision) patch features of the pictures, row-major, P a square number.
            masks: (N, H, W) bool or float in [0, 1]: where the regions are.

        Returns:
            (N, d_llm). An empty mask counts as the whole picture.
        """
        masks = filled(masks).to(patches.dtype)
        pooled = masked_mean(patches, masks)
        coarse = F.adaptive_avg_pool2d(masks[:, None], GEOMETRY_SIDE).flatten(1)
        return self.feature(pooled) + self.geometry(torch.cat([coarse, mask_moments(masks)], 1))


class ProjectedRegions(nn.Module):
    """Stands in for a region encoder that was never trained: the mean of the patches under the mask, projected.

    To a published LLaVA such a token is one more patch of a picture, which it knows how to read. It has no weights.
    """

    def __init__(self, projector: nn.Module) -> None:
        """Read regions with the picture's own projector, which stays the model's: it is not stored twice."""
        super().__init__()
        self._projector = (projector,)

    def forward(self, patches: Tensor, masks: Tensor) -> Tensor:
        """Encode one region per picture; arguments and result as `RegionEncoder.forward`."""
        tokens: Tensor = self._projector[0](masked_mean(patches, filled(masks).float()))
        return tokens


def filled(masks: Tensor) -> Tensor:
    """Masks (N, H, W), of which the empty ones count as the whole picture."""
    return torch.where(masks.flatten(1).any(1)[:, None, None], masks, torch.ones_like(masks))


def masked_mean(patches: Tensor, masks: Tensor) -> Tensor:
    """The mean (N, D) of the patch features (N, P, D) under masks (N, H, W) of a float type, none of them empty."""
    side = round(patches.shape[1] ** 0.5)
    weights = F.adaptive_avg_pool2d(masks[:, None], side).flatten(1)
    mean = torch.einsum("np,npd->nd", weights, patches.to(masks.dtype)) / weights.sum(1, keepdim=True)
    return mean.to(patches.dtype)


def mask_moments(masks: Tensor) -> Tensor:
    """Where a mask lies and how large it is.

    Args:
        masks: (N, H, W) float in [0, 1], none empty.

    Returns:
        (N, 6): x and y of the centre of mass, then left, top, right, bottom edge, as shares of the sides (x right, y
        down).
    """
    _, height, width = masks.shape
    x = (torch.arange(width, device=masks.device, dtype=masks.dtype) + 0.5) / width
    y = (torch.arange(height, device=masks.device, dtype=masks.dtype) + 0.5) / height
    columns, rows = masks.sum(1), masks.sum(2)
    total = masks.sum((1, 2))
    centre = torch.stack([(columns * x).sum(1) / total, (rows * y).sum(1) / total], 1)
    edges = []
    for line, places in ((columns, x), (rows, y)):
        inside = line > 0
        edges.append((torch.where(inside, places, 2.0).amin(1), torch.where(inside, places, -1.0).amax(1)))
    (left, right), (top, bottom) = edges
    return torch.cat([centre, torch.stack([left, top, right, bottom], 1)], 1)


class BoxRegions(nn.Module):
    """VITRON's region encoder: the patches under a box's mask, and the box itself on a frame of 224 pixels.

    The release fills its mask with rows and columns swapped, in training and use alike; weights that learned that want
    it so.
    """

    def __init__(self, d_vision: int, d_llm: int) -> None:
        """Build it untrained; names are the release's."""
        super().__init__()
        self.region_linear = nn.ModuleDict(
            {"layers": nn.ModuleList(nn.Linear(n, d_llm) for n in (d_vision, d_llm, d_llm))}
        )
        self.loc_encoder = nn.ModuleDict(
            {"loc_encoder": nn.Sequential(nn.Linear(4, d_llm // 2), nn.ReLU(), nn.Linear(d_llm // 2, d_llm))}
        )

    def forward(self, patches: Tensor, masks: Tensor) -> Tensor:
        """Encode one region per picture, as `RegionEncoder.forward` does; of a mask, its box is used."""
        boxes = _boxes(masks).to(patches.device)
        side, count = round(patches.shape[1] ** 0.5), len(patches)
        frame = torch.zeros(count, 1, FRAME, FRAME, device=patches.device)
        for place, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
            frame[place, 0, x1 : max(x2, x1 + 1), y1 : max(y2, y1 + 1)] = 1
        inside = nn.functional.interpolate(frame, (side, side), mode="bilinear", align_corners=False).flatten(1) > 0
        weights = inside / inside.sum(1, keepdim=True).clamp(min=1)
        state = torch.einsum("np,npd->nd", weights, patches.float()).to(patches.dtype)
        layers: Any = self.region_linear["layers"]
        for layer in layers[:-1]:
            state = layer(state).relu()
        place_of: Tensor = self.loc_encoder["loc_encoder"](boxes.to(patches.dtype))
        token: Tensor = layers[-1](state) + place_of
        return token


def _boxes(masks: Tensor) -> Tensor:
    """Return the boxes (N, 4) xyxy around masks (N, H, W), on a frame of 224 pixels; an empty mask is the whole."""
    boxes = [box_of(mask) if mask.any() else (0.0, 0.0, 1.0, 1.0) for mask in masks.cpu() > 0]
    return torch.tensor(boxes) * FRAME
