"""The published sizes of the diffusion models: untrained models of the very architectures whose weights users bring.

Each function says whose configuration it repeats. Built under `torch.device("meta")` they take no memory: enough to
check names, shapes and counts. SEEM's sizes are the defaults of `SeemConfig`.
"""

from typing import Any

from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel, UNet3DConditionModel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    DPTConfig,
    DPTForDepthEstimation,
)

from vitron_agent.specialists.i2vgen_xl.unet import AnimationUNet

_CHANNELS = (320, 640, 1280, 1280)
_PICTURE_DOWN = (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D")
_PICTURES: dict[str, Any] = {
    "in_channels": 4,
    "layers_per_block": 2,
    "block_out_channels": _CHANNELS,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,  # diffusers' name; of these 2D models it is the number of heads
    "down_block_types": _PICTURE_DOWN,
}
_CLIPS: dict[str, Any] = {
    "sample_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 2,
    "block_out_channels": _CHANNELS,
    "cross_attention_dim": 1024,
    "attention_head_dim": 64,  # of these 3D models it is the width of a head
    "down_block_types": (*("CrossAttnDownBlock3D",) * 3, "DownBlock3D"),
    "up_block_types": ("UpBlock3D", *("CrossAttnUpBlock3D",) * 3),
}


def stable_diffusion_unet(**changes: Any) -> UNet2DConditionModel:
    """Return Stable Diffusion 1.4/1.5's UNet, 859,520,964 parameters.

    Source: `unet/config.json` of CompVis/stable-diffusion-v1-4.

    Args:
        **changes: to its configuration.
    """
    ends = {"out_channels": 4, "sample_size": 64, "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3)}
    return UNet2DConditionModel(**{**_PICTURES, **ends, **changes})


def gligen_unet(in_channels: int = 4) -> UNet2DConditionModel:
    """Return GLIGEN's UNet: Stable Diffusion's with gated self-attention over boxes and phrases.

    Source: `unet/config.json` of masterful/gligen-1-4-generation-text-box and gligen-1-4-inpainting-text-box.

    Args:
        in_channels: 4 draws; 9 edits: latents, the kept picture's latents, the mask.
    """
    return stable_diffusion_unet(in_channels=in_channels, attention_type="gated")


def controlnet() -> ControlNetModel:
    """Return a ControlNet of Stable Diffusion 1.5: StableVideo's for edges and for depth.

    Source: `config.json` of lllyasviel/sd-controlnet-canny; sd-controlnet-depth has the same.
    """
    return ControlNetModel(**_PICTURES)


def midas() -> DPTForDepthEstimation:
    """Return MiDaS' hybrid DPT, the estimator of depth for that ControlNet, 122,377,985 parameters (a file of 490 MB).

    Source: `config.json` of Intel/dpt-hybrid-midas; its ResNet of three stages is DPT's default.
    """
    return DPTForDepthEstimation(
        DPTConfig(
            is_hybrid=True,
            readout_type="project",
            reassemble_factors=[1, 1, 1, 0.5],
            neck_hidden_sizes=[256, 512, 768, 768],
            neck_ignore_stages=[0, 1],
            backbone_featmap_shape=[1, 1024, 24, 24],
            backbone_out_indices=[2, 5, 8, 11],
        )
    )


def autoencoder() -> AutoencoderKL:
    """Return the autoencoder of all these models, 8 pixels a cell.

    Source: `vae/config.json` of CompVis/stable-diffusion-v1-4.
    """
    channels = (128, 256, 512, 512)
    return AutoencoderKL(
        latent_channels=4,
        sample_size=512,
        layers_per_block=2,
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
    )


def clip_l_text_encoder() -> CLIPTextModel:
    """Return the text encoder of Stable Diffusion and GLIGEN. Source: openai/clip-vit-large-patch14."""
    return CLIPTextModel(
        CLIPTextConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, projection_dim=768
        )
    )


def zeroscope_unet() -> UNet3DConditionModel:
    """Return ZeroScope's UNet, which is ModelScope's text-to-video UNet.

    Source: `unet/config.json` of cerspense/zeroscope_v1_320s and zeroscope_v2_XL; v2_576w is of the same series.
    """
    return UNet3DConditionModel(**_CLIPS)


def i2vgen_xl_unet() -> AnimationUNet:
    """Return I2VGen-XL's UNet. Source: `unet/config.json` of ali-vilab/i2vgen-xl."""
    return AnimationUNet(**_CLIPS)


def clip_h_text_encoder(layers: int) -> CLIPTextModel:
    """Return OpenCLIP ViT-H/14's text encoder. Source: laion/CLIP-ViT-H-14-laion2B-s32B-b79K.

    Args:
        layers: 24 in I2VGen-XL, which skips the last at run time; 23 in ZeroScope, which left it out.
    """
    return CLIPTextModel(
        CLIPTextConfig(
            hidden_size=1024,
            intermediate_size=4096,
            num_hidden_layers=layers,
            num_attention_heads=16,
            hidden_act="gelu",
            projection_dim=1024,
        )
    )


def clip_h_image_encoder() -> CLIPVisionModelWithProjection:
    """Return I2VGen-XL's encoder of pictures: OpenCLIP ViT-H/14. Source: as `clip_h_text_encoder`."""
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=1280,
            intermediate_size=5120,
            num_hidden_layers=32,
            num_attention_heads=16,
            image_size=224,
            patch_size=14,
            hidden_act="gelu",
            projection_dim=1024,
        )
    )
