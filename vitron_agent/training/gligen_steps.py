"""One training step of GLIGEN: examples of drawing and editing in one batch, noise, loss.

Both are one task to the network: an inpainting UNet whose picture is all hole draws from nothing. So one network is
trained on both, and without its input channels for the kept picture (which are zero when drawing) it is the generation
UNet, exactly.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from torch import Tensor

from vitron_agent.shapes.scene import Scene
from vitron_agent.specialists.gligen.conditioning import TINY_PLANES, Condition, model_input
from vitron_agent.specialists.gligen.editor import masked_latents
from vitron_agent.training.gligen_data import Prompt, ShardedPool
from vitron_agent.training.gligen_edits import Edit, edit_prompt, edit_weight
from vitron_agent.training.gligen_parts import LATENT_CHANNELS, build_unet
from vitron_agent.training.gligen_scenes import make_prompt, object_weight

_FIRST_SHARDS, _MOST_SHARDS, _STEPS_PER_SHARD = (8, 4), (24, 16), 120  # shards: of scenes, of edits


@dataclass(frozen=True, eq=False)
class Examples:
    """A batch before noise.

    Attributes:
        prompts: captions and layouts, B of them.
        latents: (B, c, h, w) of the wanted pictures.
        extra: (B, c + 1, h, w), kept latents and keep mask; zero where a picture is drawn from nothing.
        weight: (B, 1, h, w) loss weights, mean 1.
    """

    prompts: Sequence[Prompt]
    latents: Tensor
    extra: Tensor
    weight: Tensor


def draw_examples(
    scenes: ShardedPool[Scene],
    edits: ShardedPool[Edit],
    rng: random.Random,
    counts: tuple[int, int],
    step: int,
) -> Examples:
    """Return `counts` = (scenes, edits) examples; the pools grow with `step`."""
    prompts: list[Prompt] = []
    latents, extra, weight = [], [], []
    wanted = [first + step // _STEPS_PER_SHARD for first in _FIRST_SHARDS]
    shards = [min(want, most) for want, most in zip(wanted, _MOST_SHARDS, strict=True)]
    if counts[0]:
        drawn, tensors = scenes.draw(rng, counts[0], shards[0])
        prompts += [make_prompt(scene, rng) for scene in drawn]
        latents.append(tensors["latents"])
        kept = torch.zeros_like(tensors["latents"])
        extra.append(torch.cat([kept, kept[:, :1]], 1))
        weight.append(object_weight([scene.objects for scene in drawn], kept.shape[-1]))
    if counts[1]:
        changes, tensors = edits.draw(rng, counts[1], shards[1])
        prompts += [edit_prompt(edit, rng) for edit in changes]
        latents.append(tensors["after"])
        extra.append(masked_latents(tensors["before"], tensors["holes"]))
        weight.append(edit_weight(tensors["holes"], changes, tensors["after"].shape[-1]))
    return Examples(prompts, torch.cat(latents), torch.cat(extra), torch.cat(weight))


def noisy_batch(
    schedule: DPMSolverMultistepScheduler, latents: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return (noisy latents, times, v targets, loss weights of times), leaning to the noisy end.

    With the layout given, what a cell shows is decided at high noise. The weight 1 - alpha_bar makes the loss the
    squared error of the predicted picture, whatever the time.
    """
    count = len(latents)
    share = torch.rand(count, generator=generator) ** 0.25
    times = (share * 1000).long().clamp(0, 999)
    kept = schedule.alphas_cumprod[times].view(-1, 1, 1, 1)
    noise = torch.randn(latents.shape, generator=generator)
    noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    target = kept.sqrt() * noise - (1 - kept).sqrt() * latents
    return noisy, times, target, (1 - kept).clamp_min(0.15)


def diffusion_loss(
    unet: UNet2DConditionModel,
    noisy: Tensor,
    extra: Tensor | None,
    times: Tensor,
    condition: Condition,
    target: Tensor,
    weight: Tensor,
) -> Tensor:
    """Return the weighted squared error of the UNet's prediction.

    Args:
        unet: for generation or inpainting.
        noisy: (B, c, h, w) float32, latents with noise.
        extra: (B, c + 1, h, w) float32, kept latents and keep mask; None for a UNet that only draws.
        times: (B,) int64, 0 to 999.
        condition: of B rows.
        target: (B, c, h, w) float32, the v that is to be predicted.
        weight: (B, 1, h, w) float32, what each cell's error counts.

    Returns:
        () float32, at least 0.

    Raises:
        ValueError: the channels do not add up, see `model_input`.
    """
    entry = model_input(noisy, extra, condition, unet.config.in_channels).contiguous(memory_format=torch.channels_last)
    predicted = unet(entry, times, **condition.arguments()).sample
    return ((predicted.float() - target).square() * weight).mean()


def inpainting_unet(generation: UNet2DConditionModel) -> UNet2DConditionModel:
    """Return an inpainting UNet that starts as `generation`: the new input channels are zero, behind the latents."""
    unet = build_unet(2 * LATENT_CHANNELS + 1 + TINY_PLANES)
    state = {k: v.float() for k, v in generation.state_dict().items()}
    narrow = state["conv_in.weight"]
    wide = torch.zeros(narrow.shape[0], unet.config.in_channels, *narrow.shape[2:])
    wide[:, :LATENT_CHANNELS] = narrow[:, :LATENT_CHANNELS]
    wide[:, -TINY_PLANES:] = narrow[:, LATENT_CHANNELS:]
    state["conv_in.weight"] = wide
    unet.load_state_dict(state)
    return unet


def generation_unet(inpainting: UNet2DConditionModel) -> UNet2DConditionModel:
    """Return the generation UNet inside an inpainting one: the same without the input for the kept picture."""
    unet = build_unet()
    state = {k: v.detach().float() for k, v in inpainting.state_dict().items()}
    wide = state["conv_in.weight"]
    state["conv_in.weight"] = torch.cat([wide[:, :LATENT_CHANNELS], wide[:, -TINY_PLANES:]], 1)
    unet.load_state_dict(state)
    return unet
