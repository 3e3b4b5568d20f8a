"""The denoising loop for clips, with classifier-free guidance, progress and cancelling, and the decoding of frames.

Knows latents and schedules, no words and no UNets. Follows the thin loop that was checked against diffusers' own
pipelines: one scheduler per call, since schedulers carry state.
"""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from vitron_agent.specialists.base import Progress, ignore_progress
from vitron_agent.specialists.pixels import as_bytes, unit_range
from vitron_agent.specialists.schedules import guided, make_scheduler

AT_ONCE = 8  # frames that are decoded together
Denoise = Callable[[Tensor, Tensor], Tensor]
"""A UNet and all that it is told: (noisy latents (B, c, T, h, w), time) -> its prediction."""


@torch.no_grad()
def sample_clip(
    denoise: Denoise,
    schedule: dict[str, Any],
    noise: Tensor,
    steps: int,
    guidance: float = 1.0,
    first: Tensor | None = None,
    progress: Progress = ignore_progress,
) -> Tensor:
    """Denoise the latents of a clip.

    Args:
        denoise: the UNet; with guidance it is called on two rows, first the unconditional one.
        schedule: the scheduler's config, with its class's name.
        noise: (1, c, T, h, w) standard normal.
        steps: denoising steps.
        guidance: 1 is none.
        first: latents (1, c, h, w) that the first frame is held to: before each step it is set to them with that
            step's share of noise, and in the end to exactly them.
        progress: told (step, total) after each step; may raise to stop.

    Returns:
        (1, c, T, h, w) latents.
    """
    scheduler = make_scheduler(schedule)
    scheduler.set_timesteps(steps)
    latents = noise * scheduler.init_noise_sigma
    for index, time in enumerate(scheduler.timesteps):
        if first is not None:
            latents = with_first_frame(latents, scheduler.add_noise(first, noise[:, :, 0], time[None]))
        entry = scheduler.scale_model_input(latents, time)
        if guidance == 1.0:
            predicted = denoise(entry, time)
        else:
            predicted = guided(denoise(torch.cat([entry, entry]), time), guidance)
        latents = scheduler.step(predicted, time, latents).prev_sample
        progress(index + 1, len(scheduler.timesteps))
    return latents if first is None else with_first_frame(latents, first)


def with_first_frame(latents: Tensor, first: Tensor) -> Tensor:
    """Return the latents of a clip, (B, c, T, h, w), with another first frame, (B, c, h, w)."""
    return torch.cat([first[:, :, None], latents[:, :, 1:]], 2)


@torch.no_grad()
def decode_frames(vae: AutoencoderKL, latents: Tensor, at_once: int = AT_ONCE) -> Tensor:
    """Return the frames, uint8 (T, 3, H, W), of latents (1, c, T, h, w); `at_once` bounds the memory this takes."""
    frames = latents[0].transpose(0, 1) / vae.config.scaling_factor
    pictures = torch.cat([vae.decode(part).sample.float() for part in frames.split(at_once)])
    return as_bytes(unit_range(pictures)).cpu()
