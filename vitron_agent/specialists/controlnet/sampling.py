"""The denoising loop: DDIM over a diffusers UNet that a ControlNet steers, with guidance, progress and cancelling.

Knows latents and schedules, no words and no pictures. Checked against diffusers' own ControlNet pipelines, from noise
and from a draft; one scheduler per call, since schedulers carry state.
"""

from typing import Any

import torch
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from torch import Tensor

from vitron_agent.specialists.base import Progress, ignore_progress
from vitron_agent.specialists.schedules import guided


@torch.no_grad()
def sample_latents(
    unet: UNet2DConditionModel,
    net: ControlNetModel,
    schedule: dict[str, Any],
    noise: Tensor,
    control: Tensor,
    text: Tensor,
    steps: int,
    guidance: float = 1.0,
    draft: Tensor | None = None,
    strength: float = 1.0,
    progress: Progress = ignore_progress,
) -> Tensor:
    """Denoise latents.

    Args:
        unet: Stable Diffusion's; it is only called, never changed.
        net: the ControlNet.
        schedule: the scheduler's config.
        noise: (1, c, h, w) standard normal.
        control: what the ControlNet is shown, (1, 3, H, W) in [0, 1].
        text: token states (1, n, d); for guidance (2, n, d), first what is led away from.
        steps: denoising steps of a full run.
        guidance: classifier-free guidance scale; 1 is none.
        draft: latents (1, c, h, w) to go on from: they are noised, and only the last of the steps are done (SDEdit).
        strength: the share of the steps that is done from a draft, in (0, 1].
        progress: told (step, total) after each step; may raise to stop.

    Returns:
        (1, c, h, w) latents.
    """
    scheduler = DDIMScheduler.from_config(schedule)
    scheduler.set_timesteps(steps)
    times, latents = scheduler.timesteps, noise * scheduler.init_noise_sigma
    if draft is not None:
        times = times[-max(min(int(steps * strength), steps), 1) :]
        latents = scheduler.add_noise(draft, noise, times[:1])
    rows = len(text)
    shown = control.expand(rows, -1, -1, -1)
    for index, time in enumerate(times):
        entry = scheduler.scale_model_input(latents.expand(rows, -1, -1, -1), time)
        down, middle = net(entry, time, text, controlnet_cond=shown, return_dict=False)
        predicted = unet(
            entry, time, text, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        if rows == 2:
            predicted = guided(predicted, guidance)
        latents = scheduler.step(predicted, time, latents).prev_sample
        progress(index + 1, len(times))
    return latents
