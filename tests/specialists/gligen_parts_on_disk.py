"""Random GLIGEN folders in the published layout (4 and 9 input channels), small enough to build in a test."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, UNet2DConditionModel
from diffusers.models.attention import GatedSelfAttentionDense
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from vitron_agent.training.bpe import clip_tokenizer

WIDTH = 32
CONTEXT = 16


def write_random_gligen(root: Path) -> Path:
    """Write gligen/ and gligen_inpaint/ under `root` and return it."""
    torch.manual_seed(0)
    common = root / "gligen"
    tokenizer = clip_tokenizer(["a red circle on a gray background"] * 3, merges=40, context=CONTEXT)
    tokenizer.save_pretrained(common / "tokenizer")
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=CONTEXT, projection_dim=WIDTH, **ids,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(common / "text_encoder")
    AutoencoderKL(
        latent_channels=4, sample_size=32, norm_num_groups=4, block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    ).save_pretrained(common / "vae")  # fmt: skip
    DPMSolverMultistepScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012).save_pretrained(
        common / "scheduler"
    )
    for channels, folder in ((4, common / "unet"), (9, root / "gligen_inpaint" / "unet")):
        unet = UNet2DConditionModel(
            sample_size=8, in_channels=channels, out_channels=4, layers_per_block=1, block_out_channels=(8, 16),
            norm_num_groups=4, cross_attention_dim=WIDTH, attention_head_dim=2, attention_type="gated",
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )  # fmt: skip
        for module in unet.modules():
            if isinstance(module, GatedSelfAttentionDense):
                nn.init.ones_(module.alpha_attn)
                nn.init.ones_(module.alpha_dense)
        unet.save_pretrained(folder)
    return root
