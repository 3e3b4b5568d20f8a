"""What a 3D UNet is told besides the noisy clip: the command's tokens with the planner's signals, places and times.

3D UNets take no attention mask, so the number of tokens is fixed: that of the text encoder's positions. Does not know
noise schedules or pictures.
"""

import math

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from vitron_agent.signals import SignalEmbeddings, SignalMapper
from vitron_agent.specialists.places import POSITION_PLANES, position_planes

TIME_PLANES = 8
CLIP_PLANES = POSITION_PLANES + TIME_PLANES


def encode_text(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, text: str, skipped: int = 0) -> Tensor:
    """Return the token states (1, n, d) of a text, padded or cut to the encoder's length, without attention mask.

    Args:
        encoder: CLIP's text encoder.
        tokenizer: its tokenizer.
        text: the words.
        skipped: how many of the encoder's last layers are left out (I2VGen-XL: one); its last norm is not.
    """
    length = encoder.config.max_position_embeddings
    ids = tokenizer(text, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
    out = encoder(ids.to(encoder.device), output_hidden_states=skipped > 0)
    if not skipped:
        states: Tensor = out.last_hidden_state
        return states
    normed: Tensor = getattr(encoder, "text_model", encoder).final_layer_norm(out.hidden_states[-1 - skipped])
    return normed


def with_signals(text: Tensor, mapper: SignalMapper | None, signals: SignalEmbeddings | None) -> Tensor:
    """Return token states (1, n, d) with the planner's signals added; behind a closed gate that adds exact zeros."""
    if mapper is None or signals is None:
        return text
    weight = mapper.proj_in.weight
    mapped: Tensor = mapper(signals.joined[None].to(weight.device, weight.dtype))
    return text + mapped.to(text.dtype)


def place_planes(latents: Tensor) -> Tensor:
    """Return sine and cosine of each cell's place and each frame's time, (B, 32, T, h, w), for latents of that shape.

    The published UNets have no such input; the tiny one learns "moves to the right" faster with it.
    """
    batch, _, frames, height, width = latents.shape
    places = position_planes(height, width, latents.device)[:, :, None].expand(batch, -1, frames, -1, -1)
    moments = (torch.arange(frames, device=latents.device) + 0.5) / frames
    angles = moments * math.pi * 2.0 ** torch.arange(TIME_PLANES // 2, device=latents.device)[:, None]
    times = torch.cat([angles.sin(), angles.cos()]) * math.sqrt(2)
    times = times[None, :, :, None, None].expand(batch, -1, -1, height, width)
    return torch.cat([places, times], 1).to(latents.dtype)


def clip_input(latents: Tensor, in_channels: int) -> Tensor:
    """Return what a text-to-video UNet takes in: noisy latents (B, c, T, h, w), and the planes where there is room.

    Raises:
        ValueError: the channels do not add up.
    """
    missing = in_channels - latents.shape[1]
    if missing == 0:
        return latents
    if missing != CLIP_PLANES:
        raise ValueError(f"a UNet with {in_channels} input channels cannot take {latents.shape[1]} channels of latents")
    return torch.cat([latents, place_planes(latents)], 1)
