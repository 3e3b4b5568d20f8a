"""`vitron-7b` from folders in the public layouts, by the code path of full size; the weights are small and random."""

from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler

from tests.full_size_folders import toy_profile, write_full_size
from vitron_agent import build, locations
from vitron_agent.errors import CheckpointError
from vitron_agent.graphs import user_turn
from vitron_agent.invocation import Module
from vitron_agent.media import MediaKind, MediaStore, Region
from vitron_agent.planner import VitronPlanner, full_size
from vitron_agent.planner.full_size import load_full_size
from vitron_agent.planner.processor import DrawnRegion, UserTurn
from vitron_agent.planner.reply import Settings
from vitron_agent.profiles import PROFILES
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.schedules import SCHEDULERS
from vitron_agent.testing import ScriptedPlanner, call


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_full_size(tmp_path_factory.mktemp("weights"))


@pytest.fixture(autouse=True)
def weights(written: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(PROFILES, "vitron-7b", toy_profile())
    return written


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.randint(0, 256, (3, 40, 60), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


BOX = Region.from_box(0.2, 0.2, 0.8, 0.9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["gligen", "gligen_inpaint", "seem", "zeroscope", "i2vgen_xl", "controlnet"])
def test_every_specialist_works_on_published_folders(
    name: str, dtype: torch.dtype, weights: Path, picture: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In half precision too, which is what a GPU gets."""
    monkeypatch.setattr(build, "choose_device", lambda profile, device: locations.Device("cpu", dtype))
    specialist = build.build_specialist(name, "vitron-7b", weights=weights)
    steps: list[int] = []
    request = SpecialistRequest("a red circle", image=picture, region=BOX)
    result = specialist.run(request, lambda step, total: steps.append(total))
    shapes = {
        "gligen": (MediaKind.IMAGE, (3, 32, 32)),
        "gligen_inpaint": (MediaKind.IMAGE, (3, 40, 60)),
        "seem": (MediaKind.MASK, (40, 60)),
        "zeroscope": (MediaKind.VIDEO, (3, 3, 32, 48)),
        "i2vgen_xl": (MediaKind.VIDEO, (3, 3, 32, 48)),
        "controlnet": (MediaKind.IMAGE, (3, 40, 60)),
    }
    made = {MediaKind.IMAGE: result.image, MediaKind.MASK: result.mask, MediaKind.VIDEO: result.video}[result.kind]
    assert made is not None
    assert (result.kind, tuple(made.shape)) == shapes[name]
    assert set(steps) == {2}


def test_the_profile_s_numbers_are_those_of_the_specialists() -> None:
    from vitron_agent.profiles import VITRON_7B
    from vitron_agent.specialists.controlnet import ControlDefaults
    from vitron_agent.specialists.i2vgen_xl.animator import PUBLISHED as ANIMATION
    from vitron_agent.specialists.zeroscope.generator import PUBLISHED as CLIP

    for name, published in (("zeroscope", CLIP), ("i2vgen_xl", ANIMATION)):
        said = VITRON_7B.part(name).sampling
        assert said is not None
        for field in ("steps", "guidance", "frames", "height", "width", "scheduler"):
            assert getattr(said, field) == getattr(published, field)
    edits = VITRON_7B.part("controlnet").sampling
    assert edits is not None
    assert ControlDefaults(edits.steps, edits.guidance) == ControlDefaults()
    assert edits.scheduler == DDIMScheduler.__name__  # the only one that controlnet/sampling.py has


@pytest.mark.parametrize("name", ["gligen", "gligen_inpaint", "zeroscope", "i2vgen_xl"])
def test_the_profile_s_sampler_reaches_the_specialist(
    name: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vitron_agent.profiles import VITRON_7B

    monkeypatch.setitem(PROFILES, "vitron-7b", VITRON_7B)
    said, defaults = VITRON_7B.part(name).sampling, build.build_specialist(name, "vitron-7b", weights=weights).defaults  # type: ignore[attr-defined]
    assert said is not None
    assert said.scheduler in SCHEDULERS
    for field in ("steps", "guidance", "scheduler"):
        assert getattr(defaults, field) == getattr(said, field)
    assert getattr(defaults, "grounded", 1.0) == said.grounded


def test_the_planner_reads_pictures_videos_and_regions(weights: Path, tmp_path: Path, picture: torch.Tensor) -> None:
    planner = build.build_planner("vitron-7b", MediaStore(tmp_path), weights=weights).planner
    mask = torch.zeros(40, 60, dtype=torch.bool)
    mask[:20] = True
    video = picture[None].repeat(5, 1, 1, 1)
    turn = UserTurn("what is <objs>?", (picture,), (DrawnRegion(mask),), (video,))
    output = planner.reply([turn], [Module.B], Settings(12))
    assert output.prompt_tokens > 16 + 16 + 8  # a picture of 4 x 4 patches, a video's mean, and its eight frames
    assert planner.processor.system.startswith("A chat between a curious user")
    assert isinstance(output.text, str)


def test_bits_of_the_planner_reach_its_loader(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[object, ...]] = []

    def load(folder: Path, device: str, dtype: torch.dtype, bits: int | None) -> VitronPlanner:
        told.append((device, dtype, bits))
        return load_full_size(folder, "cpu", dtype)

    gpu = locations.Device("cuda", torch.bfloat16)
    monkeypatch.setattr(build, "choose_device", lambda profile, device: gpu)
    monkeypatch.setattr(locations, "find_spec", lambda name: object())
    monkeypatch.setattr(full_size, "load_full_size", load)
    build.build_agent("vitron-7b", store=MediaStore(tmp_path), weights=weights, planner_bits=4, memory="24GB")
    build.build_planner("vitron-7b", MediaStore(tmp_path), weights=weights)
    assert told == [("cuda", torch.bfloat16, 4), ("cuda", torch.bfloat16, None)]


@pytest.mark.parametrize("module", list(Module))
def test_a_call_that_random_weights_are_made_to_begin_is_a_sound_call(
    weights: Path, tmp_path: Path, picture: torch.Tensor, module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = build.build_planner("vitron-7b", MediaStore(tmp_path), weights=weights).planner
    choose, begun = planner._choose, []

    def begin(grammar, state, temperature, generator):
        if not begun and grammar.allowed()[grammar.tags["<module>"]]:
            begun.append(1)
            return grammar.tags["<module>"]
        return choose(grammar, state, temperature, generator)

    monkeypatch.setattr(planner, "_choose", begin)
    turn = UserTurn("go on", (picture,), videos=(picture[None].repeat(2, 1, 1, 1),))
    output = planner.reply([turn], [module], Settings(80))
    assert [each.module for each in output.invocations] == [module]
    assert output.signals[0].task_specific.shape == (4, 32)


def test_the_agent_takes_a_turn_with_each_tool(weights: Path, tmp_path: Path, picture: torch.Tensor) -> None:
    """The tools by a script, so that all of them run."""
    store = MediaStore(tmp_path)
    calls = [
        call("generate_image", command="a red circle"),
        call("segment_image", command="the red circle"),
        call("edit_image", command="make it blue", region=[0.1, 0.1, 0.6, 0.6]),
        call("animate_image", command="it moves right"),
        call("generate_video", command="a red circle moves right"),
        call("track_video", command="the red circle", region=[0.1, 0.1, 0.6, 0.6]),
    ]
    planner = ScriptedPlanner(replies=[*([each] for each in calls), "Done."])
    agent = build.build_agent("vitron-7b", store=store, planner=planner, weights=weights)
    out = agent.invoke({"messages": [user_turn("go", [store.put_image(picture)])]})
    results = [message for message in out["messages"] if message.type == "tool"]
    assert [message.name for message in results] == [each["name"] for each in calls]
    assert [message.status for message in results] == ["success"] * len(calls)
    kinds = [entry["kind"] for entry in out["media"]]
    assert kinds == ["picture", "picture", "picture", "video", "video"]


def test_the_agent_takes_a_turn_with_its_own_planner(weights: Path, tmp_path: Path, picture: torch.Tensor) -> None:
    store = MediaStore(tmp_path)
    agent = build.build_agent("vitron-7b", store=store, weights=weights)
    out = agent.invoke({"messages": [user_turn("what is in the picture?", [store.put_image(picture)])]})
    last = out["messages"][-1]
    assert last.type == "ai"
    assert last.response_metadata["model_name"] == "vitron-7b"


def test_the_folder_can_be_named_in_the_environment(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRON_WEIGHTS", str(weights))
    assert build.build_specialist("gligen", "vitron-7b").name == "gligen"


@pytest.mark.parametrize("make", [build.build_planner, build.build_agent])
def test_what_is_missing_is_said_with_how_to_get_it(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRON_HOME", str(tmp_path))
    with pytest.raises(CheckpointError) as caught:
        make("vitron-7b")
    said = str(caught.value)
    assert str(tmp_path / "weights" / "vitron-7b" / "planner" / "config.json") in said
    assert "vitron-agent models pull vitron-7b" in said
    assert "llava-hf/llava-1.5-7b-hf" in said
    assert "$VITRON_WEIGHTS" in said
    assert "'tiny'" in said


def test_a_missing_specialist_is_said_when_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"seem/seem_focall_v1.pt or seem/seem_focall_v0.pt or .* is missing"):
        build.build_specialist("seem", "vitron-7b", weights=tmp_path)
