"""The start of I2VGen-XL's path for the first frame: what arrives where."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vitron_agent.specialists.i2vgen_xl import AnimationUNet
from vitron_agent.specialists.i2vgen_xl.picture import guide_latents
from vitron_agent.training.gligen_parts import LATENT_CHANNELS
from vitron_agent.training.video_guide import start_guide
from vitron_agent.training.video_parts import build_animation_unet

FRAMES = 8


def _pictures(seed: int) -> Tensor:
    """Latents of pretended pictures (B, c, h, w): smooth, and stronger in some directions than in others."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(LATENT_CHANNELS, LATENT_CHANNELS, generator=torch.Generator().manual_seed(1))
    rough = torch.randn(6, LATENT_CHANNELS, 4, 4, generator=generator) * torch.linspace(2, 0.2, LATENT_CHANNELS).view(
        -1, 1, 1
    )
    return torch.einsum(
        "ij,bjhw->bihw", torch.linalg.qr(mixed).Q, functional.interpolate(rough, size=(16, 16), mode="bilinear")
    )


@torch.no_grad()
def _read(unet: AnimationUNet, first: Tensor) -> tuple[Tensor, Tensor]:
    """What the first convolution makes of the path, (B, T, o, h, w), and what of the first frame if it were noise."""
    read = list[Tensor]()
    handle = unet.conv_in.register_forward_hook(lambda module, given, made: read.append(given[0]))
    count = len(first)
    unet(
        torch.zeros(count, LATENT_CHANNELS, FRAMES, 16, 16),
        torch.full((count,), 999),
        fps=torch.full((count,), 8),
        image_latents=guide_latents(first, FRAMES),
        image_embeddings=torch.zeros(count, 1, unet.config.cross_attention_dim),
        encoder_hidden_states=torch.zeros(count, 2, unet.config.cross_attention_dim),
    )
    handle.remove()
    guide = functional.conv2d(read[0][:, LATENT_CHANNELS:], unet.conv_in.weight[:, LATENT_CHANNELS:], padding=1)
    latents = functional.conv2d(first, unet.conv_in.weight[:, :LATENT_CHANNELS], padding=1)
    return guide.unflatten(0, (count, FRAMES)), latents


def _missing(seen: Tensor, wanted: Tensor) -> float:
    seen, wanted = (x - x.mean((0, 2, 3), keepdim=True) for x in (seen, wanted))
    return float((seen - wanted).square().sum() / wanted.square().sum())


def test_every_frame_sees_the_first_one_as_latents() -> None:
    torch.manual_seed(0)
    unet = build_animation_unet(32).eval()
    guide, latents = _read(unet, _pictures(3))
    assert _missing(guide[:, 4], latents) > 0.5  # as built, it does not

    lost = start_guide(unet, _pictures(2))
    assert lost < 0.1
    guide, latents = _read(unet, _pictures(3))  # pictures that the path was not fitted to
    for frame in range(1, FRAMES):
        assert _missing(guide[:, frame], latents) < 0.1


def test_what_is_lost_is_told_rightly() -> None:
    torch.manual_seed(0)
    unet = build_animation_unet(32).eval()
    first = _pictures(2)
    lost = start_guide(unet, first)
    with torch.no_grad():
        unet.conv_in.weight.zero_()
        unet.conv_in.weight[:LATENT_CHANNELS, :LATENT_CHANNELS, 1, 1] = torch.eye(LATENT_CHANNELS)
    assert start_guide(unet, first) == pytest.approx(lost)
    guide, latents = _read(unet, first)
    assert _missing(guide[:, 1, :LATENT_CHANNELS], latents[:, :LATENT_CHANNELS]) == pytest.approx(lost, rel=0.2)


def test_later_frames_still_know_when_they_are() -> None:
    torch.manual_seed(0)
    unet = build_animation_unet(32).eval()
    start_guide(unet, _pictures(2))
    with torch.no_grad():
        tokens = guide_latents(_pictures(3), FRAMES).transpose(1, 2).flatten(0, 1)
        moments = unet.image_latents_proj_in(tokens).unflatten(0, (6, FRAMES))[0, 1:, :, 8, 8]
    steps = (moments[1:] - moments[:-1]).norm(dim=1)
    assert steps.min() > 0.3
    torch.testing.assert_close(steps, steps[:1].expand(len(steps)), rtol=1e-3, atol=1e-3)
