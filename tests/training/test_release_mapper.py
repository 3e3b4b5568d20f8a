"""Stage 1.3 at full size, here of narrow random models in the published layouts: a mapper learns, all else stays."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from tests.full_size_folders import write_llava
from tests.specialists.gligen_parts_on_disk import CONTEXT, WIDTH, write_random_gligen
from tests.training.finetune_run import config, task
from vitron_agent.errors import CheckpointError, InputError
from vitron_agent.media.images import encode_png
from vitron_agent.planner.full_size import load_full_size
from vitron_agent.specialists.gligen import GligenGenerator
from vitron_agent.specialists.gligen.parts import load_parts
from vitron_agent.training.finetune import MAPPERS, finetune
from vitron_agent.training.release_data import load_turns, read_release
from vitron_agent.training.release_mapper import DrawingMapper

COLOURS = {"red": 0, "blue": 2}


def drawing(colour: str, **more: Any) -> dict[str, Any]:
    """A sample whose call does not say which colour was asked for."""
    call = "I will. <module>A</module> <instruction>generation: the wall</instruction>"
    said = [{"from": "human", "value": f"Paint the wall {colour}"}, {"from": "gpt", "value": call}]
    return {"target": f"{colour}.png", "conversations": said, **more}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile's folder with planner and GLIGEN, and two samples with their pictures."""
    root = tmp_path_factory.mktemp("mapper")
    write_llava(root / "planner")
    write_random_gligen(root)
    media = root / "media"
    media.mkdir()
    for colour, channel in COLOURS.items():
        picture = torch.zeros(3, 40, 30, dtype=torch.uint8)
        picture[channel] = 255
        (media / f"{colour}.png").write_bytes(encode_png(picture))
    (media / "data.json").write_text(json.dumps([drawing(colour) for colour in COLOURS]))
    return root


@pytest.fixture(autouse=True)
def _other_precisions() -> Iterator[None]:
    """Let the next test choose a precision of its own: accelerate keeps one for the whole process."""
    yield
    AcceleratorState._reset_state(True)


def learner(folder: Path) -> DrawingMapper:
    torch.manual_seed(0)
    planner = load_full_size(folder / "planner", "cpu", torch.float32)
    parts = load_parts(folder / "gligen", folder / "gligen" / "unet", None, "", "cpu", torch.float32)
    return DrawingMapper(planner, parts)


def losses(mapper: DrawingMapper, folder: Path) -> list[float]:
    """Mean loss of both samples over the same noises, sample by sample."""
    samples = read_release([folder / "media" / "data.json"], folder / "media")
    found = []
    for sample, colour in zip(samples, COLOURS, strict=True):
        picture = torch.zeros(3, 8, 8, dtype=torch.uint8)
        picture[COLOURS[colour]] = 255
        torch.manual_seed(5)
        with torch.no_grad():
            found.append(sum(float(mapper(load_turns(sample), picture)) for _ in range(16)) / 16)
    return found


def test_a_mapper_learns_and_is_used_by_the_profile_it_lies_in(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    out = tmp_path / "mappers"
    finetune(task(folder, stage=MAPPERS, lr=3e-3, batch=2), config(out, tmp_path / "run", 30))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    closed = learner(folder)
    trained = learner(folder)
    trained.mapper.load_state_dict(load_file(out / "gligen.safetensors"))
    assert float(trained.mapper.gate.detach()) != 0
    assert sum(losses(trained, folder)) < sum(losses(closed, folder))
    for name in ("gligen", "planner"):
        (tmp_path / name).symlink_to(folder / name)
    used = GligenGenerator.from_pretrained(tmp_path).parts.mapper
    assert used is not None
    assert (used.proj_in.in_features, used.proj_out.out_features, used.queries.shape[1]) == (32, WIDTH, CONTEXT)


def test_a_new_mapper_changes_nothing_and_gets_gradients_alone(folder: Path) -> None:
    mapper = learner(folder)
    (sample, _) = read_release([folder / "media" / "data.json"], folder / "media")
    mapper(load_turns(sample), torch.zeros(3, 8, 8, dtype=torch.uint8)).backward()
    assert float(mapper.mapper.gate.grad or 0) != 0
    assert {name for name, p in mapper.named_parameters() if p.requires_grad} == {
        f"mapper.{name}" for name, _ in mapper.mapper.named_parameters()
    }


def test_it_goes_on_from_a_checkpoint_as_if_never_stopped(folder: Path, tmp_path: Path) -> None:
    stage = task(folder, stage=MAPPERS, lr=3e-3, batch=2)
    finetune(stage, config(tmp_path / "whole", tmp_path / "a", 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DrawingMapper, "export", _stopped_at_the_third())
        with pytest.raises(KeyboardInterrupt):
            finetune(stage, config(tmp_path / "parts", tmp_path / "b", 4))
    finetune(stage, config(tmp_path / "parts", tmp_path / "b", 4, resume=True))
    whole, parts = (load_file(tmp_path / name / "gligen.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def _stopped_at_the_third() -> Any:
    export, count = DrawingMapper.export, iter(range(9))

    def stopped(mapper: DrawingMapper, folder: Path) -> None:
        if next(count) == 2:
            raise KeyboardInterrupt
        export(mapper, folder)

    return stopped


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": None}, r"one drawing call and its target: mend data\.json, sample 0"),
        ({"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]}, "one drawing call"),
        ({"target": ["red.png", "blue.png"]}, "has 2 targets: name the one picture"),
        ({"target": "../red.png"}, "leads out of the media folder"),
        ({"target": "none.png"}, "is not below"),
    ],
)
def test_samples_that_say_nothing_of_drawing_are_refused(
    change: dict[str, Any], said: str, folder: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data.json"
    data.write_text(json.dumps([{**drawing("red"), **change}]))
    with pytest.raises(InputError, match=said):
        finetune(task(folder, stage=MAPPERS, data=[data]), config(tmp_path / "out", tmp_path / "run", 1))
    assert not (tmp_path / "out").exists()


def test_what_it_cannot_begin_from_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave the start out"):
        finetune(task(folder, stage=MAPPERS, start=tmp_path, batch=1), config(tmp_path / "out", tmp_path / "run", 1))
    (tmp_path / "planner").symlink_to(folder / "planner")
    lonely = task(folder, stage=MAPPERS, weights=tmp_path / "planner", batch=1)
    with pytest.raises(CheckpointError, match="gligen"):
        finetune(lonely, config(tmp_path / "out", tmp_path / "run", 1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "gligen.safetensors").write_bytes(b"earlier")
    with pytest.raises(InputError, match=r"holds gligen\.safetensors of an earlier run: write to another folder"):
        finetune(task(folder, stage=MAPPERS, batch=1), config(tmp_path / "out", tmp_path / "run", 1))
    assert (tmp_path / "out" / "gligen.safetensors").read_bytes() == b"earlier"
