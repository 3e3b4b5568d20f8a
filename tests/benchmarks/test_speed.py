"""Ways to be faster, each against the plain one, as ratios within one run: attention, memory layouts, bf16, compiling.

The tiny profile here; where torch sees CUDA, the published sizes too, with random weights. The two ways take turns, so
that a busy machine slows both. `compare` shows the plain way last: above 1 the other way gains.
"""

import os
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache, LlamaForCausalLM, PreTrainedModel, StaticCache

from tests.benchmarks.timing import by_turns
from vitron_agent.build import build_specialist
from vitron_agent.planner import VitronPlanner
from vitron_agent.planner.published import vicuna_config
from vitron_agent.profiles import TINY
from vitron_agent.specialists import published
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.speed import compile_unet
from vitron_agent.testing import paint

ROUNDS, READ, WRITTEN = 11, 100, 24  # runs of each way; ids that are read at once, and one by one
SIZES = [
    "tiny",
    pytest.param("full size", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA")),
]
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler"
)
pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),  # torch's own use
]


def _language_model(size: str) -> PreTrainedModel:
    """The planner's Llama without its head."""
    if size == "tiny":
        assert TINY.folder is not None
        return VitronPlanner.from_pretrained(TINY.folder / "planner").model.language_model
    with torch.device("cuda"):
        return LlamaForCausalLM(vicuna_config(32_000)).model.to(torch.bfloat16).eval()


@torch.no_grad()
def _written(model: PreTrainedModel, cache: Any, step: Callable[..., Any] | None = None) -> Tensor:
    """Read a beginning and write ids one by one, as the planner does; the last state (d,)."""
    generator = torch.Generator().manual_seed(0)
    width = model.config.hidden_size
    embeds = torch.randn(1, READ + WRITTEN, width, generator=generator).to(model.device, model.dtype) * 0.02
    model(inputs_embeds=embeds[:, :READ], past_key_values=cache, use_cache=True)
    write = model if step is None else step
    for place in range(READ, READ + WRITTEN):
        out = write(inputs_embeds=embeds[:, place : place + 1], past_key_values=cache, use_cache=True)
    return out.last_hidden_state[0, -1].float()


def _with_attention(model: PreTrainedModel, kind: str) -> Tensor:
    model.set_attn_implementation(kind)
    return _written(model, DynamicCache(config=model.config))


@pytest.mark.parametrize("size", SIZES)
def test_attention_of_the_planner(size: str, compare: Any) -> None:
    model = _language_model(size)
    ours, other = by_turns(ROUNDS, lambda: _with_attention(model, "sdpa"), lambda: _with_attention(model, "eager"))
    compare(f"planner, {size}: SDPA / eager attention", "s", ours, other)
    assert torch.allclose(_with_attention(model, "sdpa"), _with_attention(model, "eager"), atol=0.2, rtol=0.05)


@pytest.mark.parametrize("size", SIZES)
def test_static_cache_of_the_planner(size: str, compare: Any) -> None:
    model = _language_model(size)
    static = StaticCache(config=model.config, max_cache_len=READ + WRITTEN)

    def fixed(step: Callable[..., Any] | None = None) -> Tensor:
        static.reset()
        return _written(model, static, step)

    def growing() -> Tensor:
        return _written(model, DynamicCache(config=model.config))

    compare(f"planner, {size}: static / growing cache", "s", *by_turns(ROUNDS, fixed, growing))
    assert torch.allclose(fixed(), growing(), atol=0.2, rtol=0.05)


@needs_compiler
@pytest.mark.parametrize("size", SIZES)
def test_compiled_planner(size: str, compare: Any) -> None:
    """Graphs of CUDA want a cache that stays where it is; the planner's grows and is shared between turns."""
    model = _language_model(size)
    static = StaticCache(config=model.config, max_cache_len=READ + WRITTEN)
    step = torch.compile(model, mode="reduce-overhead" if size == "full size" else "default")

    def compiled() -> Tensor:
        static.reset()
        return _written(model, static, step)

    def growing() -> Tensor:
        return _written(model, DynamicCache(config=model.config))

    compare(f"planner, {size}: compiled, static cache / plain", "s", *by_turns(ROUNDS, compiled, growing))
    assert torch.allclose(compiled(), growing(), atol=0.2, rtol=0.05)


def _unet(size: str) -> nn.Module:
    """GLIGEN's UNet, as it computes: in float32 on a CPU, in bfloat16 on CUDA."""
    if size == "tiny":
        unet: nn.Module = build_specialist("gligen").parts.unet  # type: ignore[attr-defined]
        return unet
    with torch.device("cuda"):
        return published.gligen_unet().to(torch.bfloat16).eval().requires_grad_(False)


def _step(unet: Any) -> Callable[[], Tensor]:
    """One denoising step of two rows, as with guidance, under two boxes."""
    generator = torch.Generator().manual_seed(0)

    def some(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(unet.device, unet.dtype)

    side, width = unet.config.sample_size, unet.config.cross_attention_dim
    entry, text, time_ = some(2, unet.config.in_channels, side, side), some(2, 77, width), some(1)[0] * 0 + 400
    boxes = {"boxes": some(2, 3, 4), "positive_embeddings": some(2, 3, width), "masks": some(2, 3) * 0 + 1}

    @torch.no_grad()
    def step() -> Tensor:
        predicted: Tensor = unet(entry, time_, text, cross_attention_kwargs={"gligen": boxes}).sample
        return predicted.float()

    return step


def _compare_unets(name: str, compare: Any, ours: nn.Module, plain: nn.Module, tolerance: float) -> None:
    ways = _step(ours), _step(plain)
    compare(name, "s", *by_turns(ROUNDS, *ways))
    difference = (ways[0]() - ways[1]()).abs().max() / ways[1]().abs().max()
    assert float(difference) < tolerance


@pytest.mark.parametrize("size", SIZES)
def test_channels_last(size: str, compare: Any) -> None:
    plain = _unet(size)
    other = deepcopy(plain).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _compare_unets(f"GLIGEN's UNet, {size}: channels last / plain", compare, other, plain, 0.05)


@pytest.mark.parametrize("size", SIZES)
def test_half_precision(size: str, compare: Any) -> None:
    plain = _unet(size).float()
    _compare_unets(f"GLIGEN's UNet, {size}: bf16 / fp32", compare, deepcopy(plain).bfloat16(), plain, 0.1)


@needs_compiler
@pytest.mark.parametrize("size", SIZES)
def test_compiled_unet(size: str, compare: Any) -> None:
    plain = _unet(size)
    other = deepcopy(plain)
    compile_unet(other)
    _compare_unets(f"GLIGEN's UNet, {size}: compiled / plain", compare, other, plain, 0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA")
def test_a_clip_of_full_size_compiled(compare: Any) -> None:
    with torch.device("cuda"):
        plain = published.zeroscope_unet().to(torch.bfloat16).eval().requires_grad_(False)
        noisy, text = (torch.randn(*shape).to(torch.bfloat16) for shape in ((2, 4, 24, 40, 72), (2, 77, 1024)))
    other = deepcopy(plain)
    compile_unet(other)
    with torch.no_grad():
        ways = [lambda unet=unet: unet(noisy, 400, text).sample for unet in (other, plain)]  # type: ignore[misc]
        compare("ZeroScope's UNet, full size: compiled / plain", "s", *by_turns(ROUNDS, *ways))


def test_bf16_in_a_whole_picture(compare: Any) -> None:
    """Sampling and decoding; the words' encoder too."""
    plain, half = build_specialist("gligen"), build_specialist("gligen")
    for network in (half.parts.unet, half.parts.vae, half.parts.text_encoder):  # type: ignore[attr-defined]
        network.bfloat16()
    request = SpecialistRequest("a red circle on a gray background", steps=4)
    ours, other = by_turns(ROUNDS, lambda: half.run(request), lambda: plain.run(request))
    compare("GLIGEN, tiny, a picture in four steps: bf16 / fp32", "s", ours, other)
    pictures = [each.run(request).image for each in (half, plain)]
    assert pictures[0] is not None
    assert pictures[1] is not None
    assert (pictures[0].int() - pictures[1].int()).abs().float().mean() < 3


def test_a_clip_piece_by_piece(compare: Any) -> None:
    """What it costs that less memory suffices."""
    whole: Any = build_specialist("i2vgen_xl")
    frugal = type(whole)(replace(whole.parts, frugal=True), whole.image_encoder, whole.defaults)
    request = SpecialistRequest("the circle moves right", image=paint("a picture", 0, 64, 64), steps=4)
    ours, other = by_turns(ROUNDS, lambda: frugal.run(request), lambda: whole.run(request))
    compare("I2VGen-XL, tiny, a clip in four steps: piece by piece / at once", "s", ours, other)
    clips = [each.run(request).video for each in (frugal, whole)]
    assert (clips[0].int() - clips[1].int()).abs().max() <= 1
