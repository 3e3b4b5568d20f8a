"""The denoising loop: a diffusers scheduler over a diffusers UNet, with classifier-free guidance, progress, cancelling.

Knows latents and schedules, no words and no pictures. Follows the thin loop that was checked against diffusers' own
pipelines: one scheduler per call, since schedulers carry state.
"""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from vitron_agent.specialists.base import Progress, ignore_progress
from vitron_agent.specialists.gligen.conditioning import Condition, model_input
from vitron_agent.specialists.schedules import guided, make_scheduler

BeforeStep = Callable[[Tensor, Tensor], Tensor]
"""What replaces the latents before a step: (latents (B, c, h, w), time) -> latents."""


def paired(without: Condition, with_: Condition) -> Condition:
    """Stack the unconditional and the conditional half of a guided batch along the batch axis."""
    return Condition(
        torch.cat([without.text, with_.text]),
        torch.cat([without.boxes, with_.boxes]),
        torch.cat([without.phrases, with_.phrases]),
        torch.cat([without.masks, with_.masks]),
    )


@torch.no_grad()
def sample_latents(
    unet: UNet2DConditionModel,
    schedule: dict[str, Any],
    noise: Tensor,
    condition: Condition,
    steps: int,
    guidance: float = 1.0,
    unconditional: Condition | None = None,
    extra: Tensor | None = None,
    before_step: BeforeStep | None = None,
    grounded: float = 1.0,
    progress: Progress = ignore_progress,
) -> Tensor:
    """Denoise latents.

    Args:
        unet: the gated UNet; it is only called, never changed.
        schedule: the scheduler's config, with its class's name; without one it is DPM-Solver++ (2M).
        noise: (B, c, h, w) standard normal.
        condition: what to draw, B rows.
        steps: denoising steps.
        guidance: 1 is none; above, `unconditional` is needed and each step costs twice as much.
        unconditional: the empty condition, B rows.
        extra: an inpainting UNet's further input, (B, c + 1, h, w).
        before_step: may replace the latents before each step.
        grounded: the share of the steps that look at the phrases' boxes; those after it see the caption alone.
        progress: told (step, total) after each step; may raise to stop.

    Returns:
        (B, c, h, w) latents.

    Raises:
        ValueError: there is to be guidance, and nothing to guide away from.
    """
    is_guided = guidance != 1.0
    scheduler = make_scheduler(schedule)
    scheduler.set_timesteps(steps)
    if is_guided:
        if unconditional is None:
            raise ValueError(f"guidance {guidance} needs `unconditional`: give it, or guidance 1")
        condition = paired(unconditional, condition)
        extra = None if extra is None else torch.cat([extra, extra])
    told, total = condition.arguments(), len(scheduler.timesteps)
    latents = noise * scheduler.init_noise_sigma
    for index, time in enumerate(scheduler.timesteps):
        if before_step:
            latents = before_step(latents, time)
        entry = scheduler.scale_model_input(latents, time)
        entry = model_input(
            torch.cat([entry, entry]) if is_guided else entry, extra, condition, unet.config.in_channels
        )
        if index == int(grounded * total):
            told["cross_attention_kwargs"] = None
        predicted = unet(entry, time, **told).sample
        if is_guided:
            predicted = guided(predicted, guidance)
        latents = scheduler.step(predicted, time, latents).prev_sample
        progress(index + 1, total)
    return latents


def putting_back(known: Tensor, keep: Tensor, schedule: dict[str, Any], generator: torch.Generator) -> BeforeStep:
    """Return what puts a picture back where it is kept, before each step and with that step's share of noise.

    Args:
        known: (B, c, h, w) its latents.
        keep: (B, 1, h, w), 1 where it is kept, 0 where it is painted.
        schedule: the scheduler's config.
        generator: of the noise.
    """
    signal = make_scheduler(schedule).alphas_cumprod

    def put_back(latents: Tensor, time: Tensor) -> Tensor:
        share = float(signal[int(time)])
        noise = randn_tensor(known.shape, generator=generator, device=known.device, dtype=known.dtype)
        return (share**0.5 * known + (1 - share) ** 0.5 * noise) * keep + latents * (1 - keep)

    return put_back
