"""Trains GLIGEN's tiny autoencoder: 64x64 pictures to 16x16x4 latents and back, crisp edges, exact flat colours.

Most steps see 32x32 crops around an object (edges are where the error is, and a crop costs a quarter); the last third
sees whole pictures, so that the normalisation layers end on the statistics they will meet. Knows nothing about
diffusion.
"""

import copy
import random
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Scene, sample_scene
from vitron_agent.training.gligen_autoencoder_start import start_from_components
from vitron_agent.training.loop import (
    Ema,
    Run,
    TrainingConfig,
    config_from_arguments,
    replace_folder_files,
    step_generator,
)
from vitron_agent.training.precision import autocast

_CROP = 32
_SAMPLE = 256  # pictures from which components and scales are taken


def build_autoencoder() -> AutoencoderKL:
    """Return an untrained autoencoder of the tiny profile (factor 4, 12 latent channels, 0.65 M parameters).

    One normalisation group: several would each forget the absolute colour of a flat picture (measured: 29 dB with 8
    groups and 4 latent channels after the same time).
    """
    return AutoencoderKL(
        latent_channels=12,
        sample_size=64,
        norm_num_groups=1,
        layers_per_block=1,
        block_out_channels=(16, 32, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        mid_block_add_attention=False,
    )  # locality is enough for flat shapes


def _batch(seed: int, step: int, size: int, count: int) -> Tensor:
    """Return `count` pictures (count, 3, size, size) in [-1, 1]; below 64 they are crops around an object."""
    rng = random.Random(f"autoencoder/{seed}/{step}")
    per_scene = 4 if size < 64 else 1
    scenes: list[Scene] = [sample_scene(rng) for _ in range(count // per_scene)]
    pictures = render(scenes).images * 2 - 1
    if size >= 64:
        return pictures
    crops = []
    for scene, picture in zip(scenes, pictures, strict=True):
        for k in range(per_scene):
            obj = scene.objects[k % len(scene.objects)]
            left, top = (min(max(round(c * 64) - size // 2 + rng.randint(-8, 8), 0), 64 - size) for c in (obj.x, obj.y))
            crops.append(picture[:, top : top + size, left : left + size])
    return torch.stack(crops)


def _edges(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Return horizontal and vertical differences of (B, C, H, W)."""
    return picture[..., :, 1:] - picture[..., :, :-1], picture[..., 1:, :] - picture[..., :-1, :]


def reconstruction_loss(decoded: Tensor, target: Tensor) -> Tensor:
    """Return L1 + squared error + L1 of the picture's gradients (edges decide how crisp a 12-pixel star looks).

    Args:
        decoded: (B, 3, H, W) float32, what the decoder painted.
        target: (B, 3, H, W) float32 in [-1, 1], what it was to paint.

    Returns:
        () float32, at least 0.
    """
    gradient = sum((a - b).abs().mean() for a, b in zip(_edges(decoded), _edges(target), strict=True))
    return (decoded - target).abs().mean() + 2 * (decoded - target).square().mean() + 0.5 * gradient


@torch.no_grad()
def reconstruction_psnr(model: AutoencoderKL, count: int | None = None, noise: float = 0.0) -> float:
    """Return the PSNR in dB over held-out pictures; `noise` = standard deviation added to unit-scaled latents."""
    rng = random.Random("autoencoder/held-out")
    pictures = render([sample_scene(rng) for _ in range(count or _SAMPLE // 4)]).images * 2 - 1
    latents = model.encode(pictures).latent_dist.mode()
    generator = torch.Generator().manual_seed(0)
    latents = latents + noise * latents.std() * torch.randn(latents.shape, generator=generator)
    error = ((model.decode(latents).sample.clamp(-1, 1) - pictures) / 2).square().mean()
    return float(-10 * error.log10())


@torch.no_grad()
def whiten_latents(model: AutoencoderKL) -> None:
    """Fold each latent channel's mean and scale into the two 1x1 convolutions: mean 0 and variance 1 from then on.

    Diffusion adds the same noise to every channel, so no channel may be louder than another. Exact: pictures decode as
    before.
    """
    rng = random.Random("autoencoder/scale")
    pictures = render([sample_scene(rng) for _ in range(_SAMPLE)]).images * 2 - 1
    latents = model.encode(pictures.to(model.device)).latent_dist.mode()
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3)).clamp_min(1e-4)
    encode, decode = model.quant_conv, model.post_quant_conv
    channels = len(mean)
    encode.weight[:channels] /= std[:, None, None, None]
    encode.bias[:channels] = (encode.bias[:channels] - mean) / std
    decode.bias += decode.weight[:, :, 0, 0] @ mean
    decode.weight *= std[None, :, None, None]
    model.register_to_config(scaling_factor=1.0)


def _started(seed: int) -> AutoencoderKL:
    model = build_autoencoder()
    start_from_components(model, _batch(seed, -1, 64, _SAMPLE))
    return model


def _finetuned_decoder(folder: Path) -> AutoencoderKL:
    """Return the exported autoencoder, encoder frozen: latents keep their meaning, so trained UNets stay valid."""
    model = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32)
    for part in (model.encoder, model.quant_conv):
        part.requires_grad_(False)
    return model


def _export(model: AutoencoderKL, ema: Ema, folder: Path, keep_latents: bool) -> None:
    """Write the averaged weights in half precision as a diffusers folder."""
    with ema.averaged():
        half = copy.deepcopy(model)
    if not keep_latents:
        whiten_latents(half)
    half = half.half()
    replace_folder_files(folder, half.save_pretrained)


def train(config: TrainingConfig) -> None:
    """Train and export to `config.out` (a diffusers AutoencoderKL folder).

    The option `decoder_only=1` goes on from the weights in `config.out` and leaves the encoder as it is.
    """
    torch.manual_seed(config.seed)
    decoder_only = config.option("decoder_only", 0) > 0
    model = _finetuned_decoder(config.out) if decoder_only else _started(config.seed)
    model = model.to(config.device, memory_format=torch.channels_last)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, config.option("lr", 2e-3), weight_decay=1e-4, betas=(0.9, 0.98))
    ema = Ema(model, 0.998)
    run = Run(config, {"vae": model}, optimiser, {"vae": ema})
    while not run.done:
        size, count = (_CROP, 32) if run.fraction < 0.7 else (64, 8)
        target = (
            _batch(config.seed, run.step, size, count).to(config.device).contiguous(memory_format=torch.channels_last)
        )
        generator = step_generator(config.seed, run.step)
        with autocast(config.device):
            posterior = model.encode(target).latent_dist
            latents = posterior.mean.float()
            # the UNet's latents are never exact: the decoder learns to read them through a little noise
            strength = torch.rand(count, 1, 1, 1, generator=generator).to(target.device) * 0.2
            strength = strength * latents.detach().std((0, 2, 3), keepdim=True)
            noise = torch.randn(latents.shape, generator=generator).to(target.device)
            decoded = model.decode(latents + strength * noise).sample.float()
        loss = reconstruction_loss(decoded, target) + 1e-4 * latents.square().mean()
        run.advance(loss, count)
        run.log(100)
        if run.due():
            run.save()
            run.written(config.out, lambda: _export(model, ema, config.out, decoder_only))
    run.save()
    run.written(config.out, lambda: _export(model, ema, config.out, decoder_only))
    with ema.averaged():
        run.write(
            f"PSNR {reconstruction_psnr(model):.2f} dB, "
            f"with latent noise 0.1: {reconstruction_psnr(model, noise=0.1):.2f} dB"
        )


if __name__ == "__main__":
    train(config_from_arguments("gligen_autoencoder", Path("vitron_agent/weights/tiny/gligen/vae")))
