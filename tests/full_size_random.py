"""All parts of `vitron-7b` at the published sizes, with random weights in bfloat16: nothing is read from disk.

They say nothing and draw nothing, but take the time and the memory of the real ones. Their tokenizers know few words.
`narrowed` makes all of them thin and their clips short, for a look on a CPU at whether they work.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel, UNet3DConditionModel
from torch import nn
from transformers import (
    AddedToken,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
    LlavaForConditionalGeneration,
)

from tests.full_size_folders import toy_tokenizer
from vitron_agent.planner import VitronPlanner
from vitron_agent.planner.full_size import started
from vitron_agent.planner.published import llava_config
from vitron_agent.profiles import VITRON_7B
from vitron_agent.specialists import published
from vitron_agent.specialists.base import Specialist
from vitron_agent.specialists.controlnet import ControlEditor
from vitron_agent.specialists.controlnet.parts import ControlParts
from vitron_agent.specialists.gligen import GligenEditor, GligenGenerator, SamplingDefaults
from vitron_agent.specialists.gligen.parts import GligenParts
from vitron_agent.specialists.i2vgen_xl import I2VGenAnimator
from vitron_agent.specialists.i2vgen_xl.animator import PUBLISHED as ANIMATION
from vitron_agent.specialists.i2vgen_xl.unet import AnimationUNet
from vitron_agent.specialists.schedules import with_scheduler
from vitron_agent.specialists.seem import Seem, SeemConfig, SeemSegmenter, SeemTracker
from vitron_agent.specialists.seem.loading import published_config
from vitron_agent.specialists.video_diffusion import VideoParts
from vitron_agent.specialists.zeroscope import ZeroscopeGenerator
from vitron_agent.specialists.zeroscope.generator import PUBLISHED as CLIP
from vitron_agent.training.bpe import clip_tokenizer

REVISION = "random"
STABLE_DIFFUSION = {
    "_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
}  # fmt: skip
"""The schedule of Stable Diffusion's folders, and of those made of it."""
CLIPS = with_scheduler(STABLE_DIFFUSION, "DDIMScheduler")


def narrowed(patch: pytest.MonkeyPatch) -> None:
    """Have all that this file makes be thin, and of the same precision, layers' kinds and code."""
    here = sys.modules[__name__]
    words = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    seen = {**words, "image_size": 28, "patch_size": 14}
    net = {"block_out_channels": (32,) * 4, "layers_per_block": 1, "sample_size": 8, "cross_attention_dim": 32}
    kinds: dict[Any, dict[str, Any]] = {
        UNet2DConditionModel: {**net, "attention_head_dim": 4},
        ControlNetModel: {name: net[name] for name in net if name != "sample_size"} | {"attention_head_dim": 4},
        UNet3DConditionModel: {**net, "attention_head_dim": 8},
        AnimationUNet: {**net, "attention_head_dim": 8},
        AutoencoderKL: {"block_out_channels": (32,) * 4, "layers_per_block": 1, "sample_size": 64},
        CLIPTextConfig: {**words, "projection_dim": 32},
        CLIPVisionConfig: {**seen, "projection_dim": 32},
    }
    for kind, changes in kinds.items():
        patch.setattr(published, kind.__name__, lambda kind=kind, changes=changes, **said: kind(**{**said, **changes}))
    small = SeemConfig(
        embed_dim=8, depths=(1, 1, 1, 1), hidden_dim=32, heads=2, feedforward_dim=32, encoder_layers=1, queries=6,
        text_width=32, text_heads=2, text_layers=1, short_side=64, classes=("sky", "void"),
    )  # fmt: skip
    patch.setattr(here, "published_config", lambda: small)
    patch.setattr(here, "CLIP", replace(CLIP, frames=3, height=32, width=64))
    patch.setattr(here, "ANIMATION", replace(ANIMATION, frames=3, height=32, width=64))
    config = llava_config()
    config.text_config.update({**words, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 1000})
    config.vision_config.update({**seen, "image_size": 56})
    patch.setattr(here, "llava_config", lambda: config)


@contextmanager
def _half(device: str) -> Iterator[None]:
    """Make what is made in the block there, in half precision: never in full, which would take twice the memory."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def _ready(model: nn.Module) -> Any:
    return model.to(torch.bfloat16).eval().requires_grad_(False)


def random_planner(device: str) -> VitronPlanner:
    """The planner of LLaVA-1.5-7B's sizes; it never ends a reply before it has to."""
    tokenizer = toy_tokenizer()
    tokenizer.add_tokens([AddedToken(name, special=True) for name in ("<image>", "<pad>")], special_tokens=True)
    with _half(device):
        llava = LlavaForConditionalGeneration(llava_config()).eval().requires_grad_(False)  # its positions stay exact
    planner = started(llava, tokenizer, device)
    planner.model.llava.lm_head.weight[tokenizer.eos_token_id] = 0  # others are above zero somewhere
    return planner


def random_specialists(device: str) -> dict[str, Callable[[], Specialist]]:
    """What builds each specialist of the profile, with the profile's sampling."""
    return {name: lambda name=name: _BUILDERS[name](device) for name in _BUILDERS}  # type: ignore[misc]


def _words() -> CLIPTokenizer:
    return clip_tokenizer(["a red circle on a gray background"] * 3, merges=40, context=77)


def _pictures(name: str) -> SamplingDefaults:
    said = VITRON_7B.part(name).sampling
    assert said is not None
    return SamplingDefaults(said.steps, said.guidance, said.scheduler, said.grounded)


def _gligen(device: str, channels: int) -> GligenParts:
    with _half(device):
        text, vae = _ready(published.clip_l_text_encoder()), _ready(published.autoencoder())
        unet = _ready(published.gligen_unet(channels))
    return GligenParts(_words(), text, vae, unet, STABLE_DIFFUSION, None, REVISION)


def _generator(device: str) -> Specialist:
    return GligenGenerator(_gligen(device, 4), _pictures("gligen"))


def _editor(device: str) -> Specialist:
    return GligenEditor(_gligen(device, 9), _pictures("gligen_inpaint"))


def _seem(device: str) -> Specialist:
    with _half(device):
        model = _ready(Seem(published_config()))
    return SeemTracker(SeemSegmenter(model, _words(), REVISION))


def _zeroscope(device: str) -> Specialist:
    with _half(device):
        text, vae = _ready(published.clip_h_text_encoder(23)), _ready(published.autoencoder())
        unet = _ready(published.zeroscope_unet())
    return ZeroscopeGenerator(VideoParts(_words(), text, vae, unet, CLIPS, None, REVISION), CLIP)


def _animator(device: str) -> Specialist:
    with _half(device):
        text, vae = _ready(published.clip_h_text_encoder(24)), _ready(published.autoencoder())
        unet, seen = _ready(published.i2vgen_xl_unet()), _ready(published.clip_h_image_encoder())
    return I2VGenAnimator(VideoParts(_words(), text, vae, unet, CLIPS, None, REVISION), seen, ANIMATION)


def _controlnet(device: str) -> Specialist:
    with _half(device):
        text, vae = _ready(published.clip_l_text_encoder()), _ready(published.autoencoder())
        unet, midas = _ready(published.stable_diffusion_unet()), _ready(published.midas())
        canny, depth = (_ready(published.controlnet()) for _ in range(2))
    parts = ControlParts(_words(), text, vae, unet, canny, depth, midas, STABLE_DIFFUSION, REVISION)
    return ControlEditor(parts)


_BUILDERS: dict[str, Callable[[str], Specialist]] = {
    "gligen": _generator,
    "gligen_inpaint": _editor,
    "seem": _seem,
    "zeroscope": _zeroscope,
    "i2vgen_xl": _animator,
    "controlnet": _controlnet,
}
