"""Random ZeroScope and I2VGen-XL folders in the published layout, small enough to build in a test."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DPMSolverMultistepScheduler, UNet3DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from vitron_agent.specialists.i2vgen_xl import AnimationUNet
from vitron_agent.specialists.video_diffusion import VideoDefaults
from vitron_agent.training.bpe import clip_tokenizer

WIDTH = 32
CONTEXT = 16
SMALL = VideoDefaults(frames=3, height=32, width=48, steps=2, guidance=2.0)
DDIM = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
SOLVER = {name: DDIM[name] for name in ("beta_schedule", "beta_start", "beta_end")}


def unet_sizes(**more: Any) -> dict[str, Any]:
    """Return the configuration that both UNets share."""
    return {
        "sample_size": 8, "in_channels": 4, "out_channels": 4, "layers_per_block": 1, "block_out_channels": (8, 16),
        "norm_num_groups": 4, "cross_attention_dim": WIDTH, "attention_head_dim": 4,
        "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
        "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"), **more,
    }  # fmt: skip


def write_common(folder: Path, layers: int = 2, solver: bool = False) -> None:
    """Write tokenizer, text encoder, autoencoder and scheduler."""
    torch.manual_seed(0)
    tokenizer = clip_tokenizer(["a red circle moves right on a gray background"] * 3, merges=60, context=CONTEXT)
    tokenizer.save_pretrained(folder / "tokenizer")
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=layers,
        num_attention_heads=2, max_position_embeddings=CONTEXT, projection_dim=WIDTH, **ids,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    AutoencoderKL(
        latent_channels=4, sample_size=32, norm_num_groups=4, block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    ).save_pretrained(folder / "vae")  # fmt: skip
    scheduler = DPMSolverMultistepScheduler(**SOLVER) if solver else DDIMScheduler(**DDIM)
    scheduler.save_pretrained(folder / "scheduler")


def stirred(unet: nn.Module) -> nn.Module:
    """Return a UNet whose layers across time do something: as built, they end in zeros."""
    torch.manual_seed(1)
    for name, weight in unet.named_parameters():
        if "temp_conv" in name:
            nn.init.normal_(weight, std=0.05)
    return unet


def write_random_zeroscope(folder: Path, solver: bool = False, **sizes: Any) -> Path:
    """Write a published ZeroScope folder and return it."""
    write_common(folder, solver=solver)
    stirred(UNet3DConditionModel(**unet_sizes(**sizes))).save_pretrained(folder / "unet")
    return folder


def write_random_i2vgen(folder: Path, **sizes: Any) -> Path:
    """Write a published I2VGen-XL folder and return it."""
    write_common(folder)
    stirred(AnimationUNet(**unet_sizes(**sizes))).save_pretrained(folder / "unet")
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32,
        patch_size=8, projection_dim=WIDTH,
    )  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    return folder
