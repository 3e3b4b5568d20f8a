"""Untrained parts of the tiny video models: tokenizer, encoders, 3D UNets, and what they take over from GLIGEN.

GLIGEN's trained picture UNet knows how shapes look in its autoencoder's latents; its layers go into the spatial half of
a 3D UNet where names and shapes fit, and the half that works across time starts as if it were not there.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, I2VGenXLUNet, ModelMixin, UNet2DConditionModel, UNet3DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig, CLIPVisionModelWithProjection

from vitron_agent.shapes.clip import sample_clip
from vitron_agent.shapes.clip_captions import clip_caption, motion_command
from vitron_agent.specialists.i2vgen_xl import AnimationUNet
from vitron_agent.specialists.places import POSITION_PLANES
from vitron_agent.specialists.video_diffusion.conditioning import CLIP_PLANES
from vitron_agent.training.bpe import clip_tokenizer
from vitron_agent.training.gligen_parts import LATENT_CHANNELS, WIDTH, scene_generator

CONTEXT = 48  # tokens; the longest caption of three moving objects takes 45
PICTURE = 64  # side of a frame
_FLOAT = {"torch_dtype": torch.float32, "low_cpu_mem_usage": False}


def build_tokenizer() -> CLIPTokenizer:
    """Return a CLIP-format tokenizer that knows the words of captions and commands whole, all else byte by byte."""
    rng = scene_generator("video/tokenizer")
    clips = [sample_clip(rng) for _ in range(1500)]
    corpus = [make(clip, rng) for clip in clips for make in (clip_caption, motion_command)]
    return clip_tokenizer(corpus, merges=700, context=CONTEXT)


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return an untrained two-layer CLIP text model, GLIGEN's size with more positions."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_image_encoder() -> CLIPVisionModelWithProjection:
    """Return an untrained two-layer CLIP vision model for one frame."""
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=64,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=PICTURE,
            patch_size=8,
            projection_dim=WIDTH,
        )
    )


def build_text_to_video_unet(width: int = 104) -> UNet3DConditionModel:
    """Return an untrained ZeroScope UNet (5.6 M parameters) that also sees places and times.

    Args:
        width: channels at 8x8. With 128 all of GLIGEN's layers fit, at 8.0 M parameters.
    """
    return UNet3DConditionModel(in_channels=LATENT_CHANNELS + CLIP_PLANES, **_sizes(width))


def build_animation_unet(width: int = 96) -> AnimationUNet:
    """Return an untrained I2VGen-XL UNet (5.8 M parameters; with width 128, 8.9 M)."""
    return AnimationUNet(in_channels=LATENT_CHANNELS, **_sizes(width))


def _sizes(width: int) -> dict[str, object]:
    return {
        "sample_size": 16,
        "out_channels": LATENT_CHANNELS,
        "layers_per_block": 1,
        "block_out_channels": (64, width),
        "norm_num_groups": 4,
        "cross_attention_dim": WIDTH,
        "attention_head_dim": width // 4,  # of one head: four of them, as GLIGEN has
        "down_block_types": ("DownBlock3D", "CrossAttnDownBlock3D"),
        "up_block_types": ("CrossAttnUpBlock3D", "UpBlock3D"),
    }


class _AcrossTime(nn.Conv3d):
    """A convolution across time alone, computed as one of two axes: a CPU takes half as long for it."""

    def forward(self, input: Tensor) -> Tensor:
        """Return (B, c, T, h, w) of such latents."""
        flat = F.conv2d(input.flatten(3), self.weight[..., 0], self.bias, padding=(int(self.padding[0]), 0))
        return flat.unflatten(3, input.shape[3:])


def use_flat_convolutions(unet: nn.Module) -> None:
    """Let a 3D UNet compute its convolutions across time faster; weights, names and results stay."""
    for module in unet.modules():
        if isinstance(module, nn.Conv3d) and tuple(module.kernel_size[1:]) == (1, 1):
            module.__class__ = _AcrossTime


@torch.no_grad()
def start_from_picture_unet(unet: UNet3DConditionModel | I2VGenXLUNet, picture: UNet2DConditionModel) -> list[str]:
    """Copy a picture UNet's weights into a 3D UNet where names and shapes fit, and return the names.

    1x1 convolutions count as the linear layers that they are. The first convolution takes over what it reads of the
    latents and, where it sees them too, of the places. Attention across time adds nothing at first; its convolutions
    are built that way.
    """
    source, taken = picture.state_dict(), []
    for name, weight in unet.state_dict().items():
        given = source.get(name)
        if ("temp_attentions" in name or "transformer_in" in name) and "proj_out" in name:
            weight.zero_()
        elif given is None:
            continue
        elif name == "conv_in.weight" and given.shape[0] == weight.shape[0]:
            sees_places = unet.config.in_channels > LATENT_CHANNELS
            known = LATENT_CHANNELS + (POSITION_PLANES if sees_places else 0)
            weight.zero_()
            weight[:, :known] = given[:, :known]
            taken.append(name)
        elif given.numel() == weight.numel() and given.shape[:2] == weight.shape[:2]:
            weight.copy_(given.reshape(weight.shape))
            taken.append(name)
    return taken


@torch.no_grad()
def start_from_text_encoder(
    encoder: CLIPTextModel, tokenizer: CLIPTokenizer, known: CLIPTextModel, its_tokenizer: CLIPTokenizer
) -> int:
    """Copy a trained text encoder's layers, positions and the tokens that both know; return how many these are."""
    source, target = known.state_dict(), encoder.state_dict()
    for name, weight in target.items():
        if "embeddings" not in name and name in source and source[name].shape == weight.shape:
            weight.copy_(source[name])
    (positions,) = [name for name in target if name.endswith("position_embedding.weight")]
    count = min(len(target[positions]), len(source[positions]))
    target[positions][:count] = source[positions][:count]
    (tokens,) = [name for name in target if name.endswith("token_embedding.weight")]
    old, new = its_tokenizer.get_vocab(), tokenizer.get_vocab()
    shared = sorted(old.keys() & new.keys())
    target[tokens][[new[token] for token in shared]] = source[tokens][[old[token] for token in shared]]
    return len(shared)


def load_autoencoder(folder: Path) -> AutoencoderKL:
    """Return GLIGEN's trained autoencoder, frozen; `folder` is GLIGEN's."""
    vae = AutoencoderKL.from_pretrained(folder / "vae", **_FLOAT)
    return vae.eval().requires_grad_(False)


def started(unet: ModelMixin, encoder: CLIPTextModel, tokenizer: CLIPTokenizer, folder: Path) -> str:
    """Start UNet and text encoder from GLIGEN's, where `folder` holds them, and return a line about it."""
    if not (folder / "unet" / "config.json").is_file():
        return "GLIGEN's UNet is not there: all layers start from scratch"
    picture = UNet2DConditionModel.from_pretrained(folder / "unet", attention_type="gated", **_FLOAT)
    taken = start_from_picture_unet(unet, picture)
    known = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    words = start_from_text_encoder(encoder, tokenizer, known, CLIPTokenizer.from_pretrained(folder / "tokenizer"))
    return f"{len(taken)} of {len(unet.state_dict())} tensors and {words} tokens start from GLIGEN's"


def parameters(model: nn.Module) -> int:
    """Return how many parameters a model has."""
    return sum(weight.numel() for weight in model.parameters())
