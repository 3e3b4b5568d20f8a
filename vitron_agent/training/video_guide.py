"""Lets a tiny I2VGen-XL see its first frame from the first step on.

The first frame reaches the later ones through three convolutions, a normalisation and attention across time, none
wider than the latents. Started at random they lose most of it, and training does not bring it back: behind those of
weights trained for many hours, two thirds of the first frame's variance could not be read off linearly. Here they start
as a path that hands it on. Knows the layers of `I2VGenXLUNet`; knows nothing about clips.

What goes along the path are a pixel's parts along certain directions of latents: the weakest but one (which is lost on
the way), a constant, the stronger ones, and that of equal channels, in which later frames say where in time they are.
The weakest is left out. Normalisation takes two numbers from a pixel, its mean and its size. The parts are spread over
the channels by an orthogonal matrix whose first row is equal, so that the first number costs the lost part, the second
the constant.
"""

from __future__ import annotations

import math

import torch
from diffusers import I2VGenXLUNet
from torch import Tensor, nn

from vitron_agent.specialists.i2vgen_xl.picture import guide_latents

_CONSTANT = 40.0  # large beside latents: the normalisation then scales all pixels alike
_FRAMES = 8  # across which attention is fitted


@torch.no_grad()
def start_guide(unet: I2VGenXLUNet, first: Tensor) -> float:
    """Let a UNet's path for the first frame hand it on to every frame, and the first convolution read it as latents.

    Args:
        unet: changed in place.
        first: (B, c, h, w) latents of pictures that the path is fitted to; a dozen will do.

    Returns:
        The share of the first frame's variance that does not arrive.
    """
    directions, spread = _directions(first), _spread(first.shape[1])
    _start_convolutions(unet.image_latents_proj_in, directions, spread)
    _start_attention(unet, first, spread)
    arrives = torch.cat([torch.zeros_like(directions[:1]), directions[-1:], directions[2:-1], directions[:1] * 0])
    read = unet.conv_in.weight[:, : len(spread)]
    unet.conv_in.weight[:, len(spread) :] = torch.einsum("oixy,ji->ojxy", read, spread.T @ arrives)
    pixels = first.transpose(0, 1).flatten(1)
    pixels = pixels - pixels.mean(1, keepdim=True)
    return 1 - float((arrives @ pixels).square().sum() / pixels.square().sum())


def _directions(first: Tensor) -> Tensor:
    """Return what the path keeps of latents, (c, c), in the module's order; 0 where the constant is."""
    channels = first.shape[1]
    equal = torch.full((channels, 1), channels**-0.5)
    others = torch.eye(channels) - equal @ equal.T
    spread = first.transpose(0, 1).flatten(1).cov()
    ordered = torch.linalg.eigh(others @ spread @ others + others).eigenvectors.T  # `equal` comes first, then weak ones
    return torch.cat([ordered[2:3], torch.zeros(1, channels), ordered[3:], equal.T])


def _spread(channels: int) -> Tensor:
    """Return an orthogonal matrix (c, c) whose first row is equal everywhere: a cosine transform."""
    row, column = torch.arange(channels).view(-1, 1), torch.arange(channels) + 0.5
    matrix = torch.cos(math.pi / channels * row * column) * (2 / channels) ** 0.5
    matrix[0] = channels**-0.5
    return matrix


def _start_convolutions(layers: nn.Sequential, directions: Tensor, spread: Tensor) -> None:
    """Let three convolutions take latents to their parts and spread these over the channels.

    silu(x) - silu(-x) is x: half of the hidden channels carry parts through, the others keep their random start and
    are not listened to yet.
    """
    eye = torch.eye(len(spread))
    for place, matrix in (
        (0, torch.cat([directions, -directions])),
        (2, torch.cat([torch.cat([eye, -eye], 1), torch.cat([-eye, eye], 1)])),
        (4, spread.T @ torch.cat([eye, -eye], 1)),
    ):
        weight, bias = layers[place].get_parameter("weight"), layers[place].get_parameter("bias")
        weight[: len(matrix)] = 0
        weight[: len(matrix), : matrix.shape[1], 1, 1] = matrix
        bias[: len(matrix)] = 0
    bias.copy_(_CONSTANT * spread[1])


def _start_attention(unet: I2VGenXLUNet, first: Tensor, spread: Tensor) -> None:
    """Let attention across time add the first frame's parts to every frame, and take the constant away.

    It looks at all frames alike: of these only the first one tells pictures apart.
    """
    encoder, channels = unet.image_latents_temporal_encoder, len(spread)
    attention, final = encoder.attn1, encoder.attn1.to_out[0]
    for weight in (attention.to_q.weight, attention.to_v.weight, final.weight, final.bias):
        weight.zero_()
    encoder.norm1.reset_parameters()
    encoder.ff.net[-1].weight.zero_()
    encoder.ff.net[-1].bias.zero_()
    attention.to_v.weight[:channels] = final.weight[:, :channels] = torch.eye(channels)

    guide = guide_latents(first, _FRAMES).transpose(1, 2)
    tokens = unet.image_latents_proj_in(guide.flatten(0, 1)).unflatten(0, guide.shape[:2])
    tokens = tokens.permute(0, 3, 4, 1, 2).flatten(0, 2)  # (pixels, frames, c)
    seen = attention(encoder.norm1(tokens))[:, 0]
    parts = tokens[:, 0] @ spread.T
    parts[:, 1] = parts[:, -1] - _CONSTANT  # where the constant was
    parts[:, 0] = parts[:, -1] = 0
    seen = torch.cat([seen, torch.ones(len(seen), 1)], 1).double()
    fit = torch.linalg.lstsq(seen, (parts @ spread).double(), driver="gelsd").solution.float()
    final.weight[:, :channels] = fit[:-1].T
    final.bias.copy_(fit[-1])
