"""`vitron-7b` with random weights: the planner's speed, each specialist's against diffusers' pipeline, the whole agent.

Where torch sees CUDA, at the published sizes in bfloat16; nothing is downloaded. The same code runs at toy size on a
CPU, which says nothing about speed, but that it is ready to run. `compare` shows the plain way last.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from PIL import Image
from transformers import CLIPImageProcessorPil

from tests.benchmarks.timing import by_turns, seconds_of
from tests.full_size_folders import toy_profile, write_full_size
from tests.full_size_random import narrowed, random_planner, random_specialists
from vitron_agent import build
from vitron_agent.graphs import user_turn
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import MediaStore
from vitron_agent.memory import MIB, needed
from vitron_agent.planner import VitronPlanner
from vitron_agent.planner.chat import ChatVitron
from vitron_agent.planner.fixed_cache import FixedCache
from vitron_agent.planner.full_size import load_full_size
from vitron_agent.planner.processor import UserTurn
from vitron_agent.planner.reply import Settings
from vitron_agent.profiles import PROFILES, VITRON_7B
from vitron_agent.specialists.base import Specialist, SpecialistRequest
from vitron_agent.specialists.schedules import make_scheduler, with_scheduler
from vitron_agent.testing import ScriptedPlanner, call, paint

ROUNDS, STEPS = 3, 4  # runs of each way; denoising steps in them
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA: full size needs a GPU")
BUDGET = "24GB"  # for specialists alone, whose parts together take more
WORDS = "a red circle"
LAYOUT = (GroundedPhrase(phrase="red circle", box=(0.25, 0.25, 0.75, 0.75)),)
pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings("ignore")]  # the pipelines are full of them


@dataclass(frozen=True)
class System:
    """A planner and what builds the specialists.

    Attributes:
        size: for the tables.
        device: where all compute.
        written: ids that the planner writes in one run.
        copied: bytes of a copy that the memory's rate is measured by.
    """

    size: str
    device: str
    planner: Callable[[], VitronPlanner]
    specialists: dict[str, Callable[[], Specialist]]
    written: int
    copied: int


@pytest.fixture(params=["toy", "narrow", pytest.param("full size", marks=NO_CUDA)])
def system(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    if request.param == "full size":
        return System("full size", "cuda", lambda: random_planner("cuda"), random_specialists("cuda"), 128, 2**31)
    if request.param == "narrow":  # the same code on a CPU, so that a GPU meets no mistake first
        narrowed(monkeypatch)
        return System("narrow", "cpu", lambda: random_planner("cpu"), random_specialists("cpu"), 16, 2**22)
    monkeypatch.setitem(PROFILES, "vitron-7b", toy_profile())
    root = write_full_size(tmp_path / "weights")

    def planner() -> VitronPlanner:
        made = load_full_size(root / "planner", "cpu", torch.float32)
        made.model.llava.lm_head.weight[made.vocabulary.eos] = 0
        return made

    made = {
        name: lambda name=name: build.build_specialist(name, "vitron-7b", weights=root, device="cpu")  # type: ignore[misc]
        for name in build.SPECIALISTS
    }
    return System("toy", "cpu", planner, made, 16, 2**22)


def _copy_rate(device: str, size: int) -> float:
    """Bytes per second that the memory reads and writes in a copy."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    (seconds,) = by_turns(ROUNDS, lambda: target.copy_(source))
    return 2 * size / seconds


def test_the_planner_against_generate_and_the_memory_s_rate(system: System, compare: Any) -> None:
    """Seconds per id. No way of writing one by one is faster than reading all weights once for each."""
    planner = system.planner()
    llava, turn = planner.model.llava, UserTurn("what is in the picture? " * 4)
    ids = torch.tensor([planner.processor.fit([turn]).ids], device=system.device)

    def ours() -> None:
        planner.forget()
        output = planner.reply([turn], settings=Settings(system.written))
        assert output.new_tokens == system.written

    @torch.inference_mode()
    def plain() -> None:
        fixed: dict[str, Any] = {"max_new_tokens": system.written, "min_new_tokens": system.written}
        out = llava.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, **fixed)
        assert out.shape[1] == ids.shape[1] + system.written

    seconds = [each / system.written for each in by_turns(ROUNDS, ours, plain)]
    compare(f"planner, {system.size}: an id, ours / generate", "s", *seconds)
    read = [*planner.model.language_model.layers.parameters(), llava.lm_head.weight]
    least = sum(weight.nbytes for weight in read) / _copy_rate(system.device, system.copied)
    compare(f"planner, {system.size}: an id, ours / weights read once", "s", seconds[0], least)


def test_the_planner_with_a_compiled_step(system: System, compare: Any) -> None:
    """With keys and values in a fixed place and CUDA's graphs; at toy size not compiled."""
    planner, turn = system.planner(), UserTurn("what is in the picture? " * 4)
    model = planner.model.language_model
    fixed = FixedCache(model, None if system.device == "cuda" else model)

    def written(place: FixedCache | None) -> str:
        planner.fixed = place
        planner.forget()
        return planner.reply([turn], settings=Settings(system.written)).text

    seconds = [each / system.written for each in by_turns(ROUNDS, lambda: written(fixed), lambda: written(None))]
    compare(f"planner, {system.size}: an id, compiled step / plain", "s", *seconds)
    assert system.size != "toy" or written(fixed) == written(None)  # of random weights in bfloat16 two ids may tie


def _picture(specialist: Any) -> torch.Tensor:
    """A picture of the size that a specialist works on."""
    if specialist.name == "i2vgen_xl":
        return paint("a picture", 0, specialist.defaults.height, specialist.defaults.width)
    side = specialist.parts.side if specialist.name == "controlnet" else specialist.parts.picture_size
    return paint("a picture", 0, side, side)


def _stock(specialist: Any, request: SpecialistRequest) -> Callable[[], Any]:
    """The same work as a call of diffusers' own pipeline, with the same networks, steps, guidance and size."""
    parts, defaults, name = specialist.parts, specialist.defaults, specialist.name
    scheduler = make_scheduler(with_scheduler(parts.schedule, getattr(defaults, "scheduler", "DDIMScheduler")))
    common = {part: getattr(parts, part) for part in ("vae", "text_encoder", "tokenizer", "unet")}
    common |= {"scheduler": scheduler}
    unsafe = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    told: dict[str, Any] = {"num_inference_steps": request.steps, "guidance_scale": defaults.guidance}
    picture = None if request.image is None else Image.fromarray(request.image.permute(1, 2, 0).numpy())
    if name in ("gligen", "gligen_inpaint"):
        made = diffusers.StableDiffusionGLIGENPipeline(**common, **unsafe)
        boxes = {"gligen_boxes": [list(LAYOUT[0].box)], "gligen_phrases": [LAYOUT[0].phrase]}
        told |= {**boxes, "gligen_scheduled_sampling_beta": 1.0, "gligen_inpaint_image": picture}
        told |= {"height": parts.picture_size, "width": parts.picture_size}
    elif name == "controlnet":
        made = diffusers.StableDiffusionControlNetPipeline(**common, **unsafe, controlnet=parts.canny)
        told |= {"image": picture}
    else:
        told |= {"height": defaults.height, "width": defaults.width, "num_frames": defaults.frames}
        if name == "zeroscope":
            made = diffusers.TextToVideoSDPipeline(**common)
        else:
            seen = specialist.image_encoder
            side = {"height": seen.config.image_size, "width": seen.config.image_size}
            shrink = CLIPImageProcessorPil(crop_size=side, size=side)
            made = diffusers.I2VGenXLPipeline(**common, image_encoder=seen, feature_extractor=shrink)
            told |= {"image": picture, "target_fps": defaults.fps, "clip_skip": None, "decode_chunk_size": 8}
    made.set_progress_bar_config(disable=True)
    return lambda: made(request.command, **told)


@pytest.mark.parametrize("name", ["gligen", "gligen_inpaint", "controlnet", "zeroscope", "i2vgen_xl"])
def test_a_specialist_s_call_against_the_pipeline_s(system: System, compare: Any, name: str) -> None:
    specialist: Any = system.specialists[name]()
    request = SpecialistRequest(WORDS, steps=STEPS)
    if name in ("gligen", "gligen_inpaint"):
        request = replace(request, layout=LAYOUT)
        specialist.defaults = replace(specialist.defaults, grounded=1.0)  # the pipeline switches the UNet's fusers off
    if name not in ("gligen", "zeroscope"):
        image = _picture(specialist)
        request = replace(request, image=image, mask=torch.ones(image.shape[1:], dtype=torch.bool))
    ways = lambda: specialist.run(request), _stock(specialist, request)
    compare(f"{name}, {system.size}: a call in {STEPS} steps, ours / diffusers'", "s", *by_turns(ROUNDS, *ways))


class Speaking(ScriptedPlanner):
    """Has the real planner read the conversation and write a reply, and then goes on by the script."""

    real: Any = None

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        assert self.real.invoke(messages).type == "ai"
        yield from super()._stream(messages, *args, **kwargs)


BOX = [0.25, 0.25, 0.75, 0.75]
SCRIPT = (
    call("generate_image", command=WORDS),
    call("segment_image", command=WORDS, region=BOX),
    call("edit_image", command="make it blue", region=BOX),
    call("animate_image", command="it moves right"),
    call("generate_video", command="a red circle moves right"),
    call("track_video", command=WORDS, region=BOX),
)


@pytest.mark.parametrize("memory", [None, pytest.param(BUDGET, marks=NO_CUDA)])
def test_the_whole_agent_in_one_run(
    system: System, memory: str | None, tmp_path: Path, compare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every tool but the video edit, whose fit is no network's; within a budget, specialists leave for others."""
    if memory is not None and system.device != "cuda":
        pytest.skip("small parts all fit")
    spent: dict[str, list[float]] = {}

    def timed(name: str, make: Callable[[], Specialist]) -> Callable[[], Specialist]:
        def built() -> Specialist:
            made = make()
            run = made.run

            def watched(*args: Any) -> Any:
                results: list[Any] = []
                spent.setdefault(name, []).append(seconds_of(lambda: results.append(run(*args))))
                return results[0]

            made.run = watched  # type: ignore[method-assign]
            return made

        return built

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    store = MediaStore(tmp_path / "media")
    real = ChatVitron(planner=system.planner(), store=store, max_tokens=system.written)
    planner = Speaking(replies=[*([each] for each in SCRIPT), "Done."], real=real)
    own = {name: timed(name, make) for name, make in system.specialists.items()}
    agent = build.build_agent(
        "vitron-7b", store=store, planner=planner, specialists=own, device=system.device, memory=memory
    )
    turn = user_turn("go", [store.put_image(paint("a picture", 0, 96, 128))])
    found: list[Any] = []
    whole = seconds_of(lambda: found.append(agent.invoke({"messages": [turn]})))
    results = [message for message in found[0]["messages"] if message.type == "tool"]
    assert [message.name for message in results] == [each["name"] for each in SCRIPT]
    within = f"{system.size}, {memory or 'all memory'}"
    for name, seconds in spent.items():
        compare(f"{name}, {within}: its calls / the turn", "s", sum(seconds), whole)
    if torch.cuda.is_available():
        parts = needed(*VITRON_7B.parts, *VITRON_7B.extras)
        compare(f"{within}: peak / all parts", "MiB", torch.cuda.max_memory_allocated() / MIB, parts)
