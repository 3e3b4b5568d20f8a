"""Where the autoencoder's training starts: as the linear (principal component) code of 4x4 patches.

From random weights the normalisation layers need thousands of steps until flat colours survive them (measured on one
core: 29 dB after 13 minutes, colours off). Started here, colours are right at step 0 and only edges are left to learn.
Knows `AutoencoderKL` with three blocks and one normalisation group; knows nothing about training.
"""

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import Decoder, Encoder
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

_NOISE = 0.1  # share of the usual random start kept in weights that the code does not use
_STEADY = 2.0  # constant in unused channels: it dominates the normalisation's statistics, which so become constants too


def patch_components(pictures: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean (48,), directions (count, 48) and scales (count,) of 4x4 patches; order: channel, row, column."""
    patches = F.unfold(pictures, 4, stride=4).transpose(1, 2).flatten(0, 1)
    mean = patches.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(patches.T))
    return mean, vectors.T.flip(0)[:count].contiguous(), values.flip(0)[:count].clamp_min(1e-6).sqrt()


def _quiet(layer: nn.Conv2d) -> None:
    layer.weight.mul_(_NOISE)
    assert layer.bias is not None
    layer.bias.zero_()


def _pass(layer: nn.Conv2d, matrix: Tensor) -> None:
    """Let the first channels of `layer` apply `matrix` (outputs, inputs) at the middle tap, and nothing else."""
    outputs, inputs = matrix.shape
    row, column = layer.kernel_size[0] // 2, layer.kernel_size[1] // 2
    layer.weight[:outputs] = 0
    layer.weight[:outputs, :inputs, row, column] = matrix


def _mirrored(matrix: Tensor) -> Tensor:
    return torch.cat([matrix, -matrix])


def _steady_head(shortcut: nn.Conv2d, head: nn.Conv2d, used: int) -> None:
    """Make norm, SiLU and `head` linear in `used` mirrored channel pairs: silu(a) - silu(-a) = a."""
    assert shortcut.bias is not None
    steady = shortcut.out_channels - 2 * used
    signs = torch.tensor([1.0, -1.0]).repeat(steady // 2 + 1)[:steady]
    shortcut.bias[2 * used :] = _STEADY * signs
    shortcut.weight[2 * used :] = 0
    deviation = _STEADY * (steady / shortcut.out_channels) ** 0.5
    eye = torch.eye(used) * deviation
    head.weight[:used] = 0
    _pass(head, torch.cat([eye, -eye], 1))


@torch.no_grad()
def start_from_components(model: AutoencoderKL, pictures: Tensor) -> None:
    """Set the weights of `model` so that it codes patches of `pictures` (B, 3, H, W), range [-1, 1], linearly.

    Latents have mean 0 and variance 1 per channel; the decoder paints each 4x4 patch in its mean colour.
    """
    count = model.config.latent_channels
    mean, directions, scales = patch_components(pictures, 32)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            _quiet(module)
    for module in model.modules():
        if isinstance(module, ResnetBlock2D):  # identity, or the shortcut
            nn.init.zeros_(module.conv2.weight)
    _start_encoder(model.encoder, mean, directions, scales, count)
    _pass(model.quant_conv, torch.eye(count))
    _pass(model.post_quant_conv, torch.eye(count))
    _start_decoder(model.decoder, mean, directions[:count], scales[:count])


def _start_encoder(encoder: Encoder, mean: Tensor, directions: Tensor, scales: Tensor, count: int) -> None:
    first, second, third = encoder.down_blocks
    _pass(encoder.conv_in, torch.eye(3))
    inner = first.downsamplers[0].conv  # 2x2 pixels to channels: 4 * (2 * row + column) ... order: row, column, colour
    inner.weight[:12] = 0
    for row in range(2):
        for column in range(2):
            block = (2 * row + column) * 3
            inner.weight[block : block + 3, :3, row, column] = torch.eye(3)
    _pass(second.resnets[0].conv_shortcut, torch.eye(12))
    outer = second.downsamplers[0].conv  # 2x2 of those to principal components
    outer.weight.zero_()
    grid = directions.view(-1, 3, 2, 2, 2, 2)  # component, colour, outer row, inner row, outer column, inner column
    for row in range(2):
        for column in range(2):
            part = grid[:, :, row, :, column, :].permute(0, 2, 3, 1).flatten(1)  # component, (row, column, colour)
            outer.weight[: len(directions), :12, row, column] = part
    outer.bias[: len(directions)] = -(directions @ mean)
    shortcut = third.resnets[0].conv_shortcut
    code = torch.zeros(count, len(directions))
    code[:, :count] = torch.diag(1 / scales[:count])
    _pass(shortcut, _mirrored(code))
    _steady_head(shortcut, encoder.conv_out, count)


def _start_decoder(decoder: Decoder, mean: Tensor, directions: Tensor, scales: Tensor) -> None:
    count = len(scales)
    first, second, third = decoder.up_blocks
    _pass(decoder.conv_in, torch.diag(scales))
    _pass(first.upsamplers[0].conv, torch.eye(count))
    _pass(second.resnets[0].conv_shortcut, torch.eye(count))
    _pass(second.upsamplers[0].conv, torch.eye(count))
    shortcut = third.resnets[0].conv_shortcut
    colour = directions.view(count, 3, 16).mean(2).T  # what a component adds to the patch's mean colour
    _pass(shortcut, _mirrored(colour))
    average = mean.view(3, 16).mean(1)
    shortcut.bias[:6] = torch.cat([average, -average])
    _steady_head(shortcut, decoder.conv_out, 3)
