"""The parts of a ControlNet editor on disk, each as it is published.

One folder holds Stable Diffusion 1.5's `tokenizer`, `text_encoder`, `vae`, `unet` and `scheduler`, and beside them two
ControlNets, `canny` and `depth`, and the estimator of depth, `midas`. Knows nothing about requests or sampling.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer, DPTForDepthEstimation

from vitron_agent.errors import CheckpointError
from vitron_agent.specialists.checkpoints import (
    load_diffusers,
    load_part,
    load_tokenizer,
    load_transformers,
    move,
    remedy,
    settled,
)
from vitron_agent.specialists.schedules import read_schedule

_NO_RECIPE = ""  # these weights are brought, not trained here


@dataclass(frozen=True, eq=False)
class ControlParts:
    """The loaded models; read-only from here on (but for `move_to`), so that requests can share them.

    Attributes:
        tokenizer: CLIP's.
        text_encoder: makes token states of words.
        vae: pictures to latents and back.
        unet: Stable Diffusion's.
        canny: holds the UNet to edges.
        depth: holds it to depth.
        estimator: makes depth of a picture.
        schedule: the scheduler's config.
        revision: stands for all the weights.
    """

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    canny: ControlNetModel
    depth: ControlNetModel
    estimator: DPTForDepthEstimation
    schedule: dict[str, Any]
    revision: str

    @property
    def factor(self) -> int:
        """Pixels per cell of the latents, along each side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def side(self) -> int:
        """Side of the pictures that the UNet was trained on, in pixels."""
        return int(self.unet.config.sample_size) * self.factor

    @property
    def multiple(self) -> int:
        """What both sides of a picture must be a multiple of, in pixels, for the UNet to halve it all the way."""
        return int(self.factor * 2 ** (len(self.unet.config.block_out_channels) - 1))

    def move_to(self, device: str) -> None:
        """Move the models; no request runs meanwhile."""
        move((self.vae, self.unet, self.text_encoder, self.canny, self.depth, self.estimator), device)


def load_control_parts(folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> ControlParts:
    """Load everything.

    Args:
        folder: holds the eight folders.
        device: where to put the models.
        dtype: of their weights in memory.

    Raises:
        CheckpointError: a part is missing, damaged, of another shape or of another model.
    """
    vae = load_diffusers(AutoencoderKL, folder / "vae", _NO_RECIPE, dtype)
    unet = load_diffusers(UNet2DConditionModel, folder / "unet", _NO_RECIPE, dtype)
    canny, depth = (load_diffusers(ControlNetModel, folder / name, _NO_RECIPE, dtype) for name in ("canny", "depth"))
    encoder = load_transformers(CLIPTextModel, folder / "text_encoder", _NO_RECIPE, dtype)
    estimator = load_transformers(DPTForDepthEstimation, folder / "midas", _NO_RECIPE, dtype, attention="eager")
    tokenizer = load_tokenizer(folder / "tokenizer", _NO_RECIPE)
    schedule = load_part(folder / "scheduler", _NO_RECIPE, read_schedule, "scheduler_config.json")
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    _same(folder / "unet", "text of width", unet.config.cross_attention_dim, encoder.config.hidden_size)
    _same(folder / "unet", "latent channels:", unet.config.in_channels, vae.config.latent_channels)
    for net, path in ((canny, folder / "canny"), (depth, folder / "depth")):
        widths = tuple(net.config.block_out_channels), tuple(unet.config.block_out_channels)
        _same(path, "text of width", net.config.cross_attention_dim, encoder.config.hidden_size)
        _same(path, "a UNet of widths", *widths)
        _same(path, "pixels per cell:", 2 ** (len(net.config.conditioning_embedding_out_channels) - 1), factor)
    revision = settled((vae, unet, encoder, canny, depth, estimator), device)
    return ControlParts(tokenizer, encoder, vae, unet, canny, depth, estimator, schedule, revision)


def _same(path: Path, what: str, needs: object, has: object) -> None:
    """Refuse parts that are not of one model."""
    if needs != has:
        raise CheckpointError(
            f"{path} expects {what} {needs}, the parts beside it give {has}: they are not of one model, "
            f"{remedy(_NO_RECIPE)}"
        )
