"""What GLIGEN's UNet is told: the caption's tokens, phrases with their boxes, the planner's signals, positions.

Knows the text encoder's conventions (Stable Diffusion's: the caption without attention mask, phrases pooled with mask).
Does not know noise schedules or pictures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

MAX_PHRASES = 30  # GLIGEN's own limit (diffusers, StableDiffusionGLIGENPipeline)
# The frequencies in which diffusers' GLIGENTextBoundingboxProjection writes boxes: 100^(k/8), the six lowest.
_FREQUENCIES = tuple(100 ** (k / 8) for k in range(6))
POSITION_PLANES = 4 * len(_FREQUENCIES)
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


def encode_captions(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Tensor:
    """Return the token states (B, n, d) of captions, padded or cut to the encoder's length, without attention mask."""
    length = int(encoder.config.max_position_embeddings)
    ids, _ = _padded(tokenizer, captions, length, least=length)
    states: Tensor = encoder(ids.to(encoder.device)).last_hidden_state
    return states


def encode_phrases(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, phrases: Sequence[str]) -> Tensor:
    """Return the pooled states (n, d) of phrases, with attention mask."""
    if not phrases:
        return torch.zeros(0, encoder.config.hidden_size, device=encoder.device)
    ids, mask = _padded(tokenizer, phrases, int(encoder.config.max_position_embeddings))
    pooled: Tensor = encoder(ids.to(encoder.device), attention_mask=mask.to(encoder.device)).pooler_output
    return pooled


def _padded(tokenizer: CLIPTokenizer, texts: Sequence[str], most: int, least: int = 0) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask, both (n, length) int64, cut to `most` and padded to the longest, or to `least`.

    A fast tokenizer's own padding is a state of its: threads that pad differently would spoil each other's captions.
    """
    rows = tokenizer(list(texts), truncation=True, max_length=most).input_ids
    length = max(least, *(len(row) for row in rows))
    ids = [row + [tokenizer.pad_token_id] * (length - len(row)) for row in rows]
    mask = [[1] * len(row) + [0] * (length - len(row)) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)


def position_planes(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Return sine and cosine of each cell's place, (1, 24, height, width), in the frequencies of the boxes.

    The published UNets have no such input (they read places off the zero padding, over months of training); the tiny
    one finds "am I inside this box" in minutes with it.
    """
    ys = (torch.arange(height, device=device) + 0.5) / height
    xs = (torch.arange(width, device=device) + 0.5) / width
    grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij"))  # (2, h, w)
    angles = torch.cat([grid * frequency for frequency in _FREQUENCIES])
    return torch.cat([angles.sin(), angles.cos()])[None] * math.sqrt(2)


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
