"""A random Stable Diffusion with two ControlNets and an estimator of depth in the published layouts, at toy size."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, PNDMScheduler, UNet2DConditionModel
from torch import nn
from transformers import BitConfig, CLIPTextConfig, CLIPTextModel, DPTConfig, DPTForDepthEstimation

from vitron_agent.training.bpe import clip_tokenizer

WIDTH = 32
CONTEXT = 24


def write_random_controlnet(folder: Path) -> Path:
    """Write a folder as `load_control_parts` reads it, and return it; its scheduler is the published one."""
    torch.manual_seed(0)
    tokenizer = clip_tokenizer(["a blue circle, best quality, extremely detailed"] * 3, merges=60, context=CONTEXT)
    tokenizer.save_pretrained(folder / "tokenizer")
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=CONTEXT, projection_dim=WIDTH, **ids,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    AutoencoderKL(
        latent_channels=4, sample_size=32, norm_num_groups=4, block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    ).save_pretrained(folder / "vae")  # fmt: skip
    PNDMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, set_alpha_to_one=False,
        skip_prk_steps=True, steps_offset=1,
    ).save_pretrained(folder / "scheduler")  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(8, 16),
        norm_num_groups=4, cross_attention_dim=WIDTH, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    unet.save_pretrained(folder / "unet")
    for name in ("canny", "depth"):
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 8))
        stirred(net).save_pretrained(folder / name)
    write_estimator(folder / "midas")
    return folder


def stirred(net: ControlNetModel) -> ControlNetModel:
    """Return a ControlNet that steers: as built, all that leaves it passes through zeros."""
    for module in (*net.controlnet_down_blocks, net.controlnet_mid_block, net.controlnet_cond_embedding.conv_out):
        nn.init.normal_(module.weight, std=0.5)
    return net


def write_estimator(folder: Path) -> None:
    """Write a hybrid DPT as MiDaS', for pictures of 64 x 64 pixels."""
    backbone = BitConfig(
        depths=[1, 1, 1], hidden_sizes=[16, 16, 16, 16], embedding_size=8, num_groups=4, layer_type="bottleneck",
        global_padding="SAME", embedding_dynamic_padding=True, out_features=["stage1", "stage2", "stage3"],
    )  # fmt: skip
    config = DPTConfig(
        is_hybrid=True, backbone_config=backbone, hidden_size=16, num_hidden_layers=4, num_attention_heads=2,
        intermediate_size=16, image_size=64, patch_size=16, backbone_featmap_shape=[1, 16, 4, 4],
        backbone_out_indices=[0, 1, 2, 3], neck_ignore_stages=[0, 1], reassemble_factors=[1, 1, 1, 0.5],
        neck_hidden_sizes=[16, 16, 16, 16], fusion_hidden_size=16, readout_type="project",
    )  # fmt: skip
    DPTForDepthEstimation(config).save_pretrained(folder)
