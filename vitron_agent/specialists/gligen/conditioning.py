"""What GLIGEN's UNet is told: the caption's tokens, phrases with their boxes, the planner's signals, positions.

Does not know noise schedules or pictures.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vitron_agent.specialists.places import POSITION_PLANES, position_planes

MAX_PHRASES = 30  # GLIGEN's own limit (diffusers, StableDiffusionGLIGENPipeline)
_PHRASE_PLANES = 32  # leading dimensions of a phrase's embedding that are painted into its box
LAYOUT_PLANES = _PHRASE_PLANES + 3
TINY_PLANES = POSITION_PLANES + LAYOUT_PLANES


@dataclass(frozen=True, eq=False)
class Condition:
    """Everything but the noisy latents and the time.

    Attributes:
        text: (B, n, d) token states of the captions.
        boxes: (B, m, 4) xyxy in [0, 1].
        phrases: (B, m, d) pooled phrase embeddings.
        masks: (B, m), 1 where a phrase is present.
    """

    text: Tensor
    boxes: Tensor
    phrases: Tensor
    masks: Tensor

    def arguments(self) -> dict[str, Any]:
        """Return the UNet's keyword arguments; without any phrase slot the fusers stay off."""
        grounding = {"boxes": self.boxes, "positive_embeddings": self.phrases, "masks": self.masks}
        return {
            "encoder_hidden_states": self.text,
            "cross_attention_kwargs": {"gligen": grounding} if self.boxes.shape[1] else None,
        }


def layout_planes(condition: Condition, height: int, width: int) -> Tensor:
    """Return what stands where, (B, 35, height, width): phrase, coverage, place within the box; zero elsewhere.

    GLIGEN gives spatially aligned conditions to the UNet's input (paper, section 4.2: keypoints, edges, semantic maps,
    by a "grounding downsampler"). The tiny UNets get their boxes this way too, besides the fusers' tokens: what a cell
    shows is then learned locally, which takes a fraction of the samples.
    """
    boxes, device = condition.boxes.float(), condition.boxes.device
    ys, xs = ((torch.arange(n, device=device) + 0.5) / n for n in (height, width))

    def axis(low: Tensor, high: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
        half = 0.5 / len(centres)
        low, high = low[..., None], high[..., None]
        cover = (torch.minimum(high, centres + half) - torch.maximum(low, centres - half)).clamp_min(0) * len(centres)
        return cover, ((2 * centres - low - high) / (high - low).clamp_min(1e-3)).clamp(-2, 2)

    cover_x, u = axis(boxes[..., 0], boxes[..., 2], xs)
    cover_y, v = axis(boxes[..., 1], boxes[..., 3], ys)
    cover = cover_y[..., :, None] * cover_x[..., None, :] * condition.masks.float()[..., None, None]  # (B, m, h, w)
    inside = (cover > 0).float()
    places = torch.stack([cover, u[..., None, :] * inside, v[..., :, None] * inside], 2)  # (B, m, 3, h, w)
    phrases = condition.phrases[..., :_PHRASE_PLANES].float()
    painted = torch.einsum("bmd,bmhw->bdhw", phrases, cover.sqrt())
    return torch.cat([painted, places.sum(1)], 1)


def model_input(latents: Tensor, extra: Tensor | None, condition: Condition, in_channels: int) -> Tensor:
    """Join noisy latents, an inpainting UNet's masked latents and mask, and the tiny UNets' maps where there is room.

    Args:
        latents: (B, c, h, w).
        extra: (B, c + 1, h, w) or None.
        condition: of B rows.
        in_channels: what the UNet takes: with or without `TINY_PLANES` more.

    Raises:
        ValueError: the channels do not add up.
    """
    parts = [latents] if extra is None else [latents, extra]
    height, width = latents.shape[2:]
    missing = in_channels - sum(part.shape[1] for part in parts)
    if missing == TINY_PLANES:
        parts.append(position_planes(height, width, latents.device).to(latents.dtype).expand(len(latents), -1, -1, -1))
        parts.append(layout_planes(condition, height, width).to(latents.dtype))
    elif missing:
        raise ValueError(
            f"a UNet with {in_channels} input channels cannot take {in_channels - missing} channels of latents"
        )
    return torch.cat(parts, 1)
