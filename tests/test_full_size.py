"""The full-size models have the published counts, names and shapes; found out on the meta device, without weights."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel, LlamaForCausalLM, LlavaForConditionalGeneration, StaticCache

from tests.live_memory import peak_memory
from vitron_agent.parts import QUANTISED
from vitron_agent.planner import published as planner
from vitron_agent.planner.full_size import PREFIX_BYTES
from vitron_agent.profiles import VITRON_7B
from vitron_agent.specialists import published
from vitron_agent.specialists.controlnet.editor import LONGEST
from vitron_agent.specialists.i2vgen_xl.animator import PUBLISHED as ANIMATION
from vitron_agent.specialists.seem import Seem, SeemConfig
from vitron_agent.specialists.seem.model import IGNORED
from vitron_agent.specialists.seem.prompts import PromptTokens
from vitron_agent.specialists.zeroscope.generator import PUBLISHED as CLIP

pytestmark = pytest.mark.filterwarnings("ignore:There are modules in .* that should be kept in float32")


@pytest.fixture(autouse=True)
def meta() -> Iterator[None]:
    with torch.device("meta"):
        yield


def count(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def vicuna(vocab_size: int = 32000) -> LlamaForCausalLM:
    return LlamaForCausalLM(planner.vicuna_config(vocab_size))


def llava(vocab_size: int) -> LlavaForConditionalGeneration:
    return LlavaForConditionalGeneration(planner.llava_config(vocab_size))


def tower() -> CLIPVisionModel:
    return CLIPVisionModel(planner.clip_vision_config())


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (vicuna, 6_738_415_616),
        (tower, 303_507_456),
        (lambda: llava(32_000), 7_062_902_784),
        (lambda: llava(32_064), 7_063_427_072),  # the published folder's padded vocabulary
        (lambda: Seem(SeemConfig()), 341_181_177),
        (published.stable_diffusion_unet, 859_520_964),
        (published.gligen_unet, 1_068_623_204),
        (lambda: published.gligen_unet(9), 1_068_637_604),
        (published.controlnet, 361_279_120),
        (published.midas, 122_377_985),
        (published.autoencoder, 83_653_863),
        (published.clip_l_text_encoder, 123_060_480),
        (published.zeroscope_unet, 1_411_233_860),
        (lambda: published.clip_h_text_encoder(23), 340_387_840),
        (published.i2vgen_xl_unet, 1_420_469_224),
        (lambda: published.clip_h_text_encoder(24), 352_984_064),
        (published.clip_h_image_encoder, 632_076_800),
    ],
)
def test_the_number_of_parameters_is_the_published_one(build: Callable[[], nn.Module], parameters: int) -> None:
    assert count(build()) == parameters


def test_seem_s_parts_have_the_published_counts() -> None:
    model = Seem(SeemConfig())
    text, decoder = count(model.decoder.lang_encoder), count(model.decoder)
    assert count(model.backbone) == 205_746_936
    assert count(model.sem_seg_head.pixel_decoder) == 32_193_536
    assert (text, decoder - text) == (63_428_097, 39_812_608)


SEEM_ENTRIES = {  # by name, as in seem_focall_v1.pt (E 192, C 512, 101 queries)
    "backbone.patch_embed.proj.weight": (192, 3, 7, 7),
    "backbone.layers.2.blocks.17.modulation.f.weight": (2 * 768 + 5, 768),
    "backbone.layers.2.blocks.17.modulation.focal_layers.3.0.weight": (768, 1, 9, 9),
    "backbone.layers.2.downsample.proj.weight": (1536, 768, 3, 3),
    "backbone.layers.0.blocks.0.gamma_1": (192,),
    "backbone.norm3.bias": (1536,),
    "sem_seg_head.pixel_decoder.input_proj.weight": (512, 1536, 1, 1),
    "sem_seg_head.pixel_decoder.transformer.encoder.layers.5.self_attn.in_proj_weight": (1536, 512),
    "sem_seg_head.pixel_decoder.adapter_1.norm.bias": (512,),
    "sem_seg_head.predictor.query_embed.weight": (101, 512),
    "sem_seg_head.predictor.mask_sptial_embed.2": (512, 512),
    "sem_seg_head.predictor.spatial_featured.weight": (32, 512),
    "sem_seg_head.predictor.transformer_cross_attention_layers.8.multihead_attn.out_proj.weight": (512, 512),
    "sem_seg_head.predictor.transformer_ffn_layers.8.linear1.weight": (2048, 512),
    "sem_seg_head.predictor.lang_encoder.logit_scale": (),
    "sem_seg_head.predictor.lang_encoder.lang_encoder.token_embedding.weight": (49408, 512),
    "sem_seg_head.predictor.lang_encoder.lang_encoder.resblocks.11.mlp.c_proj.bias": (512,),
}


def test_seem_has_the_published_entries() -> None:
    """932, one of which is a constant that we leave out."""
    entries = {name: tuple(weight.shape) for name, weight in Seem(SeemConfig()).state_dict().items()}
    assert len(entries.keys() | {"dilation_kernel"}) == 932
    assert "dilation_kernel" in IGNORED
    assert {name: entries.get(name) for name in SEEM_ENTRIES} == SEEM_ENTRIES


@pytest.mark.parametrize(
    ("build", "entries"),
    [
        (lambda: llava(32_064), {"lm_head.weight": (32_064, 4096)}),
        (published.gligen_unet, {"position_net.null_positive_feature": (768,), "conv_in.weight": (320, 4, 3, 3)}),
        (lambda: published.gligen_unet(9), {"conv_in.weight": (320, 9, 3, 3)}),
        (published.zeroscope_unet, {"transformer_in.proj_in.weight": (512, 320)}),
        (published.i2vgen_xl_unet, {"image_latents_proj_in.0.weight": (16, 4, 3, 3)}),
        (
            published.controlnet,
            {
                "controlnet_mid_block.weight": (1280, 1280, 1, 1),
                "controlnet_cond_embedding.conv_out.weight": (320, 256, 3, 3),
            },
        ),
        (
            published.midas,
            {
                "dpt.embeddings.backbone.bit.embedder.convolution.weight": (64, 3, 7, 7),
                "dpt.embeddings.position_embeddings": (1, 577, 768),
                "neck.fusion_stage.layers.3.residual_layer2.convolution2.weight": (256, 256, 3, 3),
            },
        ),
    ],
)
def test_characteristic_entries_are_there(build: Callable[[], nn.Module], entries: dict[str, Any]) -> None:
    own = {name: tuple(weight.shape) for name, weight in build().state_dict().items()}
    assert {name: own.get(name) for name in entries} == entries


PARTS: dict[str, tuple[Callable[[], nn.Module], ...]] = {
    "planner": (lambda: llava(32_064),),
    "gligen": (published.gligen_unet, published.clip_l_text_encoder, published.autoencoder),
    "gligen_inpaint": (lambda: published.gligen_unet(9), published.clip_l_text_encoder, published.autoencoder),
    "seem": (lambda: Seem(SeemConfig()),),
    "zeroscope": (published.zeroscope_unet, lambda: published.clip_h_text_encoder(23), published.autoencoder),
    "i2vgen_xl": (
        published.i2vgen_xl_unet,
        lambda: published.clip_h_text_encoder(24),
        published.clip_h_image_encoder,
        published.autoencoder,
    ),
    "controlnet": (
        published.stable_diffusion_unet,
        published.clip_l_text_encoder,
        published.autoencoder,
        published.controlnet,
        published.controlnet,
        published.midas,
    ),
}


@pytest.mark.parametrize("name", [part.name for part in (*VITRON_7B.parts, *VITRON_7B.extras)])
def test_the_profile_says_how_large_its_parts_are(name: str) -> None:
    parameters = sum(count(build()) for build in PARTS[name])
    assert VITRON_7B.part(name).size == pytest.approx(2 * parameters / 2**20, abs=1)


def test_the_profile_says_how_much_of_its_planner_fewer_bits_can_hold() -> None:
    layers = vicuna().model.layers
    linear = sum(count(layer) for layer in layers.modules() if isinstance(layer, nn.Linear))
    assert VITRON_7B.part("planner").quantisable == pytest.approx(2 * linear / 2**20, abs=1)
    # 4 bits: a scale of 8 bits for each 64 weights, and one of 32 for 256 such; 8 bits: one of 32 for each row
    assert QUANTISED[4] == pytest.approx((4 + 8 / 64 + 32 / (64 * 256)) / 16, abs=1e-3)
    assert QUANTISED[8] == pytest.approx((8 + 32 / 4096) / 16, abs=1e-3)


def test_the_profile_says_what_its_planner_keeps() -> None:
    """Conversations as long as the context, and one more in the place of the compiled step."""
    place = StaticCache(config=planner.vicuna_config(), max_cache_len=4096)
    one = half(1, 32, 1, 128)
    for layer in place.layers:
        layer.lazy_initialization(one, one)
    said = VITRON_7B.part("planner")
    assert said.kept * 2**20 == PREFIX_BYTES
    assert said.kept_compiled * 2**20 == sum(layer.keys.nbytes + layer.values.nbytes for layer in place.layers)


def half(*shape: int) -> Tensor:
    return torch.empty(*shape, dtype=torch.bfloat16)


def see(model: Seem) -> None:
    """One prompt-free run on a picture of 512 x 896 pixels."""
    features = model.encode_images(half(1, 3, 512, 896))
    model(features, PromptTokens.none(1, features.levels[0].movedim(1, -1)))


def animate(unet: Any, rows: int = 2) -> None:
    """One step; with guidance there are two rows."""
    clip = half(rows, 4, ANIMATION.frames, ANIMATION.height // 8, ANIMATION.width // 8)
    unet(clip, torch.empty(()), torch.empty(rows), clip, half(rows, 1, 1024), half(rows, 77, 1024))


def make_clip(unet: Any, rows: int = 2) -> None:
    """One step; with guidance there are two rows."""
    unet(half(rows, 4, CLIP.frames, CLIP.height // 8, CLIP.width // 8), torch.empty(()), half(rows, 77, 1024))


# Part -> the steps that take most: a model, and a run of it at the published size. Of clips, eight frames are decoded
# at once, as `decode_frames` does.
STEPS: dict[str, tuple[tuple[Callable[[], nn.Module], Callable[[Any], Any]], ...]] = {
    "planner": (
        (vicuna, lambda llm: llm.model(inputs_embeds=half(1, 4096, 4096), use_cache=True)),
        (tower, lambda clip: clip(half(8, 3, 336, 336), output_hidden_states=True)),
    ),
    "gligen": ((published.autoencoder, lambda vae: vae.decode(half(1, 4, 64, 64))),),
    "gligen_inpaint": ((published.autoencoder, lambda vae: vae.decode(half(1, 4, 64, 64))),),
    "seem": ((lambda: Seem(SeemConfig()), see),),
    "zeroscope": (
        (published.zeroscope_unet, make_clip),
        (published.autoencoder, lambda vae: vae.decode(half(8, 4, CLIP.height // 8, CLIP.width // 8))),
    ),
    "i2vgen_xl": (
        (published.i2vgen_xl_unet, animate),
        (published.autoencoder, lambda vae: vae.decode(half(8, 4, ANIMATION.height // 8, ANIMATION.width // 8))),
    ),
    # the longest pictures that are edited; a step with both networks takes less (measured: 332 MiB)
    "controlnet": ((published.autoencoder, lambda vae: vae.decode(half(1, 4, 64, 64 * LONGEST))),),
}


@pytest.mark.parametrize("name", [part.name for part in (*VITRON_7B.parts, *VITRON_7B.extras)])
def test_the_profile_says_what_its_parts_need_at_work(name: str) -> None:
    peak = max(peak_memory(build(), run) for build, run in STEPS[name])
    assert VITRON_7B.part(name).work == pytest.approx(peak, rel=0.05)


FRUGAL: dict[str, tuple[tuple[Callable[[], nn.Module], Callable[[Any], Any]], ...]] = {
    "zeroscope": (
        (published.zeroscope_unet, lambda unet: make_clip(unet, 1)),
        (published.autoencoder, lambda vae: vae.decode(half(1, 4, CLIP.height // 8, CLIP.width // 8))),
    ),
    "i2vgen_xl": (
        (published.i2vgen_xl_unet, lambda unet: animate(unet, 1)),
        (published.autoencoder, lambda vae: vae.decode(half(1, 4, ANIMATION.height // 8, ANIMATION.width // 8))),
        (published.autoencoder, lambda vae: vae.encode(half(1, 3, ANIMATION.height, ANIMATION.width))),
    ),
}


def test_the_profile_says_what_its_parts_need_piece_by_piece() -> None:
    peaks = {name: max(peak_memory(build(), run) for build, run in steps) for name, steps in FRUGAL.items()}
    said = {part.name: part.frugal_work for part in VITRON_7B.extras if part.frugal_work}
    assert said == pytest.approx(peaks, rel=0.05)


def test_what_lives_at_once_is_added_up() -> None:
    def run(model: nn.Module) -> None:
        x = torch.empty(2**20)  # 4 MiB
        y = x + 1
        del x
        z = y.view(2, -1) * 2
        del y, z
        torch.empty(2**20)

    assert peak_memory(nn.Linear(1000, 1000), run) == 8
