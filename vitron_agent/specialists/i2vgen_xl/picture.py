"""What I2VGen-XL is told of its picture: latents of the first frame with the frames' places in time, and an embedding.

Knows pictures and their encoders, no noise and no words.
"""

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPVisionModelWithProjection
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD


def fitted(picture: Tensor, height: int, width: int) -> Tensor:
    """Return a picture, uint8 (3, H, W), as uint8 (3, height, width): scaled to cover it, its middle cut out.

    A picture of that size comes back as it is.
    """
    tall, broad = picture.shape[1:]
    if (tall, broad) == (height, width):
        return picture
    scale = max(height / tall, width / broad)
    size = max(round(tall * scale), height), max(round(broad * scale), width)
    grown = F.interpolate(picture[None].float(), size=size, mode="bilinear", antialias=True)[0]
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return grown[:, top : top + height, left : left + width].round().clamp(0, 255).to(torch.uint8)


def picture_latents(vae: AutoencoderKL, picture: Tensor) -> Tensor:
    """Return the scaled latents (1, c, h, w) of a picture, uint8 (3, H, W): the posterior's mode."""
    pixels = (picture.float() / 127.5 - 1)[None].to(vae.device, vae.dtype)
    latents: Tensor = vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor
    return latents


def guide_latents(first: Tensor, frames: int) -> Tensor:
    """Return what the UNet sees beside the noise, (B, c, frames, h, w), for latents (B, c, h, w) of the first frame.

    Every later frame holds its place in time instead, up to 1 in the last.
    """
    places = torch.arange(frames, device=first.device, dtype=first.dtype) / max(frames - 1, 1)
    guide = places.view(1, 1, -1, 1, 1).expand(*first.shape[:2], -1, *first.shape[2:]).clone()
    guide[:, :, 0] = first
    return guide


def picture_embedding(encoder: CLIPVisionModelWithProjection, picture: Tensor) -> Tensor:
    """Return CLIP's embedding (1, 1, d) of a picture, uint8 (3, H, W): its middle square, at the encoder's size."""
    side = min(picture.shape[1:])
    size = int(encoder.config.image_size)
    square = fitted(fitted(picture, side, side), size, size)
    return embed_squares(encoder, (square.float() / 255)[None])


def embed_squares(encoder: CLIPVisionModelWithProjection, squares: Tensor) -> Tensor:
    """Return CLIP's embeddings (B, 1, d) of pictures (B, 3, S, S) in [0, 1] of the encoder's size."""
    squares = squares.to(encoder.device, encoder.dtype)
    mean, std = (squares.new_tensor(values).view(3, 1, 1) for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    embedded: Tensor = encoder((squares - mean) / std).image_embeds
    return embedded[:, None]
