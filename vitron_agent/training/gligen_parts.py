"""Untrained parts of the tiny GLIGEN: tokenizer, text encoder, gated UNet, noise schedule, and their export.

Sizes are chosen for one CPU core: most of the computing happens on 8x8 grids.
"""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from diffusers.models.attention import GatedSelfAttentionDense
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from vitron_agent.shapes.captions import caption
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, sample_scene
from vitron_agent.specialists.gligen.conditioning import TINY_PLANES
from vitron_agent.training.bpe import clip_tokenizer
from vitron_agent.training.loop import replace_folder_files
from vitron_agent.training.muon import MuonAdamW

CONTEXT = 40  # tokens; the longest caption of three objects with places takes 33
WIDTH = 128  # of the text encoder and of the cross-attention
LATENT_CHANNELS = 12


def edit_commands() -> Iterator[str]:
    """Yield the canonical edit commands over all colours and shapes, for the tokenizer."""
    for colour in COLOURS:
        for shape in SHAPES:
            yield f"replace the {colour} {shape} with a small {colour} {shape}"
            yield f"remove the large {colour} {shape}"
            yield f"add an {colour} {shape}"
    yield from (f"change the background to {name}" for name in BACKGROUNDS)


def build_tokenizer() -> CLIPTokenizer:
    """Return a CLIP-format tokenizer that knows the small world's words whole and every other text byte by byte."""
    rng = random.Random("gligen/tokenizer")
    corpus = [caption(sample_scene(rng), rng) for _ in range(2000)]
    return clip_tokenizer([*corpus, *edit_commands()], merges=600, context=CONTEXT)


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return an untrained two-layer CLIP text model of width 128."""
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
            initializer_factor=1.0,
        )
    )


def build_unet(in_channels: int = LATENT_CHANNELS + TINY_PLANES) -> UNet2DConditionModel:
    """Return an untrained gated UNet: plain blocks on 16x16, attention and fusers on 8x8.

    The fusers' gates start open: layout is learned from scratch together with the rest, not added to a finished model.
    """
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=in_channels,
        out_channels=LATENT_CHANNELS,
        layers_per_block=1,
        block_out_channels=(64, 128),
        norm_num_groups=4,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        attention_type="gated",
    )
    for module in unet.modules():
        if isinstance(module, GatedSelfAttentionDense):
            nn.init.ones_(module.alpha_attn)
            nn.init.ones_(module.alpha_dense)
    # the plain processor: torch's flash kernel spends a quarter of a CPU training step in its backward pass
    unet.set_attn_processor(AttnProcessor())
    return unet


def build_schedule() -> DPMSolverMultistepScheduler:
    """Return the noise schedule: Stable Diffusion's betas rescaled to end in pure noise, v-prediction."""
    return DPMSolverMultistepScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        solver_order=2,
        algorithm_type="dpmsolver++",
    )


def export_part(model: nn.Module, folder: Path) -> None:
    """Write `model` by its `save_pretrained`, in half precision; files appear whole."""
    half: Any = copy.deepcopy(model).to("cpu").half()

    def write(scratch: Path) -> None:
        half.save_pretrained(scratch)
        config = scratch / "config.json"
        if config.is_file():  # diffusers notes there which path a model was read from; that is nobody's business
            kept = {key: value for key, value in json.loads(config.read_text()).items() if key != "_name_or_path"}
            config.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")

    replace_folder_files(folder, write)


def build_optimiser(unet: nn.Module, encoder: nn.Module | None, rate: float) -> MuonAdamW:
    """Return the optimiser: Muon for inner matrices and convolutions, AdamW for all else (ends, norms, gates)."""
    inner, edge, still = list[nn.Parameter](), list[nn.Parameter](), list[nn.Parameter]()
    named = [*unet.named_parameters(), *(encoder.named_parameters() if encoder is not None else ())]
    for name, weight in named:
        if not weight.requires_grad:
            continue
        outer = name.startswith(("conv_in", "conv_out", "time_embedding")) or "embeddings" in name
        (still if weight.ndim < 2 else edge if outer else inner).append(weight)
    return MuonAdamW(
        [
            {"params": inner, "lr": 2 * rate, "muon": True, "weight_decay": 0.01},
            {"params": edge, "lr": rate, "weight_decay": 0.01},
            {"params": still, "lr": rate},
        ]
    )


def scene_generator(*parts: object) -> random.Random:
    """Return a random source named by `parts`: the same name, the same scenes."""
    return random.Random("/".join(map(str, parts)))
