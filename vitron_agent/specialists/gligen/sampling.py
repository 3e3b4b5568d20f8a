"""The denoising loop: DPM-Solver++ (2M) over a diffusers UNet, with classifier-free guidance, progress and cancelling.

Knows latents and schedules, no words and no pictures. Follows the thin loop that was checked against diffusers' own
pipelines: one scheduler per call, since schedulers carry state.
"""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from torch import Tensor

from vitron_agent.specialists.base import Progress, ignore_progress
from vitron_agent.specialists.gligen.conditioning import Condition, model_input

BeforeStep = Callable[[Tensor, int, Tensor], Tensor]


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
    progress: Progress = ignore_progress,
) -> Tensor:
    """Denoise latents.

    Args:
        unet: the gated UNet; it is only called, never changed.
        schedule: the scheduler's config.
        noise: (B, c, h, w) standard normal.
        condition: what to draw, B rows.
        steps: denoising steps.
        guidance: 1 is none; above, `unconditional` is needed and each step costs twice as much.
        unconditional: the empty condition, B rows.
        extra: an inpainting UNet's further input, (B, c + 1, h, w).
        before_step: may replace the latents before each step, given (latents, index, time).
        progress: told (step, total) after each step; may raise to stop.

    Returns:
        (B, c, h, w) latents.
    """
    scheduler = DPMSolverMultistepScheduler.from_config(schedule)
    scheduler.set_timesteps(steps)
    guided = guidance != 1.0 and unconditional is not None
    if guided and unconditional is not None:
        condition = paired(unconditional, condition)
        extra = None if extra is None else torch.cat([extra, extra])
    arguments = condition.arguments()
    latents = noise * scheduler.init_noise_sigma
    for index, time in enumerate(scheduler.timesteps):
        if before_step:
            latents = before_step(latents, index, time)
        entry = scheduler.scale_model_input(latents, time)
        entry = model_input(torch.cat([entry, entry]) if guided else entry, extra, condition, unet.config.in_channels)
        predicted = unet(entry, time, **arguments).sample
        if guided:
            without, with_ = predicted.chunk(2)
            predicted = without + guidance * (with_ - without)
        latents = scheduler.step(predicted, time, latents).prev_sample
        progress(index + 1, steps)
    return latents
