"""GLIGEN's parts on disk: a diffusers-style folder with vae, text_encoder, tokenizer, unet and scheduler.

Every way a checkpoint can be bad ends in one `CheckpointError` that names the folder and the remedy. Published folders
(`masterful/gligen-1-4-*`) have the same layout and load by the same calls. Knows nothing about requests or sampling.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from vitron_agent.errors import CheckpointError
from vitron_agent.signals import SignalMapper
from vitron_agent.specialists.checkpoints import (
    load_diffusers,
    load_mapper,
    load_part,
    load_tokenizer,
    load_transformers,
    move,
    remedy,
    settled,
)
from vitron_agent.specialists.gligen.conditioning import TINY_PLANES
from vitron_agent.specialists.schedules import read_schedule


@dataclass(frozen=True, eq=False)
class GligenParts:
    """The loaded models; read-only from here on (but for `move_to`), so that requests can share them.

    Attributes:
        tokenizer: CLIP's.
        text_encoder: caption and phrase encoder.
        vae: pictures to latents and back.
        unet: the gated UNet, of generation or of inpainting.
        schedule: the scheduler's config, with its class's name.
        mapper: makes condition tokens of the planner's signals; None ignores signals.
        revision: stands for all the weights.
    """

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    schedule: dict[str, Any]
    mapper: SignalMapper | None
    revision: str

    @property
    def picture_size(self) -> int:
        """Side of the pictures the UNet was trained on, in pixels."""
        return int(self.unet.config.sample_size) * 2 ** (len(self.vae.config.block_out_channels) - 1)

    def move_to(self, device: str) -> None:
        """Move the models; no request runs meanwhile."""
        move((self.vae, self.unet, self.text_encoder, self.mapper), device)


def load_parts(
    common: Path,
    unet: Path,
    mapper: Path | SignalMapper | None,
    recipe: str,
    device: str,
    dtype: torch.dtype,
    *,
    edits: bool = False,
) -> GligenParts:
    """Load everything.

    Args:
        common: folder with vae, text_encoder, tokenizer and scheduler.
        unet: folder of the UNet.
        mapper: a mapper, its file (used when it exists), or None.
        recipe: what to train when something is missing, for the error's text.
        device: where to put the models.
        dtype: of their weights in memory.
        edits: whether the UNet must be one of inpainting, which sees the kept picture too.

    Raises:
        CheckpointError: a part is missing, damaged or of another shape.
    """
    vae = load_diffusers(AutoencoderKL, common / "vae", recipe, dtype)
    net = load_diffusers(UNet2DConditionModel, unet, recipe, dtype, attention_type="gated")
    encoder = load_transformers(CLIPTextModel, common / "text_encoder", recipe, dtype)
    tokenizer = load_tokenizer(common / "tokenizer", recipe)
    schedule = load_part(common / "scheduler", recipe, read_schedule, "scheduler_config.json")
    if net.config.cross_attention_dim != encoder.config.hidden_size:
        raise CheckpointError(
            f"{unet} expects text of width {net.config.cross_attention_dim}, {common / 'text_encoder'} gives "
            f"{encoder.config.hidden_size}: they are not of one model, {remedy(recipe)}"
        )
    needed = 2 * net.config.out_channels + 1 if edits else net.config.out_channels
    if net.config.in_channels not in (needed, needed + TINY_PLANES):
        raise CheckpointError(
            f"{unet} takes {net.config.in_channels} channels, and {'an edit' if edits else 'drawing'} has {needed}: "
            f"it is the UNet of another model, {remedy(recipe)}"
        )
    if isinstance(mapper, Path):
        mapper = load_mapper(mapper) if mapper.is_file() else None
    revision = settled((vae, net, encoder, mapper), device)
    return GligenParts(tokenizer, encoder, vae, net, schedule, mapper, revision)
