"""GLIGEN's parts on disk: a diffusers-style folder with vae, text_encoder, tokenizer, unet and scheduler.

Every way a checkpoint can be bad ends in one `CheckpointError` that names the folder and the remedy. Published folders
(`masterful/gligen-1-4-*`) have the same layout and load by the same calls. Knows nothing about requests or sampling.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer

from vitron_agent.errors import CheckpointError
from vitron_agent.signals import SignalMapper

Part = TypeVar("Part")


@dataclass(frozen=True, eq=False)
class GligenParts:
    """The loaded models; read-only from here on, so that requests can share them.

    Attributes:
        tokenizer: CLIP's.
        text_encoder: caption and phrase encoder.
        vae: pictures to latents and back.
        unet: the gated UNet, of generation or of inpainting.
        schedule: the scheduler's config.
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


def load_parts(
    common: Path, unet: Path, mapper: Path | SignalMapper | None, recipe: str, device: str, dtype: torch.dtype
) -> GligenParts:
    """Load everything.

    Args:
        common: folder with vae, text_encoder, tokenizer and scheduler.
        unet: folder of the UNet.
        mapper: a mapper, its file (used when it exists), or None.
        recipe: what to train when something is missing, for the error's text.
        device: where to put the models.
        dtype: of their weights in memory.

    Raises:
        CheckpointError: a part is missing, damaged or of another shape.
    """
    options = {"torch_dtype": dtype, "local_files_only": True, "output_loading_info": True}
    vae = _load(common / "vae", recipe, lambda p: _whole(AutoencoderKL.from_pretrained(p, **_DIFFUSERS, **options)))
    net = _load(
        unet,
        recipe,
        lambda p: _whole(UNet2DConditionModel.from_pretrained(p, attention_type="gated", **_DIFFUSERS, **options)),
    )
    encoder = _load(
        common / "text_encoder",
        recipe,
        lambda p: _whole(
            CLIPTextModel.from_pretrained(p, dtype=dtype, local_files_only=True, output_loading_info=True)
        ),
    )
    tokenizer = _load(
        common / "tokenizer",
        recipe,
        lambda p: CLIPTokenizer.from_pretrained(p, local_files_only=True),
        "tokenizer.json",
    )
    schedule = _load(common / "scheduler", recipe, _schedule, "scheduler_config.json")
    if net.config.cross_attention_dim != encoder.config.hidden_size:
        raise CheckpointError(
            f"{unet} expects text of width {net.config.cross_attention_dim}, {common / 'text_encoder'} gives "
            f"{encoder.config.hidden_size}: they are not of one model, {_remedy(recipe)}"
        )
    if isinstance(mapper, Path):
        mapper = load_mapper(mapper) if mapper.is_file() else None
    for model in (vae, net, encoder, mapper):
        if model is not None:
            model.to(device).eval().requires_grad_(False)
    digest = hashlib.sha256()
    for model in (vae, net, encoder, mapper):
        for name, weight in model.state_dict().items() if model is not None else ():
            digest.update(name.encode() + weight.detach().cpu().float().numpy().tobytes())
    return GligenParts(tokenizer, encoder, vae, net, schedule, mapper, digest.hexdigest()[:16])


def load_mapper(file: Path) -> SignalMapper:
    """Load a `SignalMapper` for a text condition; its sizes are read off the tensors.

    Raises:
        CheckpointError: the file is damaged or holds something else.
    """
    try:
        tensors = load_file(file)
        width, d_llm = tensors["proj_in.weight"].shape
        mapper = SignalMapper(d_llm, tensors["proj_out.weight"].shape[0], tensors["queries"].shape[1], width)
        mapper.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{file} holds no signal mapper ({_first_line(error)}): train it again") from None
    return mapper


_DIFFUSERS = {"use_safetensors": True, "low_cpu_mem_usage": False}


def _schedule(folder: Path) -> dict[str, Any]:
    return dict(DPMSolverMultistepScheduler.from_pretrained(folder, local_files_only=True).config)


def _whole(loaded: tuple[Part, dict[str, Any]]) -> Part:
    """Refuse a model some of whose weights were not in the file: they would be random."""
    model, info = loaded
    problems = [f"{len(info[kind])} {kind.replace('_', ' ')}" for kind in _TROUBLE if info.get(kind)]
    if problems:
        raise ValueError(f"{', '.join(problems)}")
    return model


_TROUBLE = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


def _load(folder: Path, recipe: str, load: Callable[[Path], Part], needed: str = "config.json") -> Part:
    if not (folder / needed).is_file():
        raise CheckpointError(f"{folder / needed} is missing: {_remedy(recipe)}")
    try:
        return load(folder)
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{folder} cannot be loaded ({_first_line(error)}): {_remedy(recipe)}") from None


def _remedy(recipe: str) -> str:
    return f"install the package again, or train it with `vitron-agent train {recipe}`"


def _first_line(error: Exception) -> str:
    text = str(error.args[0] if error.args else error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0][:160] if text else 'no reason given'}"
