"""ZeroScope on random weights: determinism, guidance, signals, cancelling, both layouts, bad checkpoints."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.specialists.video_parts_on_disk import CONTEXT, SMALL, WIDTH, write_random_zeroscope
from vitron_agent.errors import Cancelled, CheckpointError
from vitron_agent.media import MediaKind
from vitron_agent.signals import SignalEmbeddings, SignalMapper
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.video_diffusion.conditioning import CLIP_PLANES
from vitron_agent.specialists.zeroscope import ZeroscopeGenerator
from vitron_agent.specialists.zeroscope.generator import PUBLISHED, TINY

REQUEST = SpecialistRequest("a red circle moves right on a gray background", seed=3)
SIGNALS = SignalEmbeddings(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), torch.ones(4, 8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_zeroscope(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def generator(folder: Path) -> ZeroscopeGenerator:
    return ZeroscopeGenerator.from_pretrained(folder, defaults=SMALL)


def _mapper(gate: float) -> SignalMapper:
    torch.manual_seed(1)
    mapper = SignalMapper(d_llm=8, d_out=WIDTH, n_queries=CONTEXT, width=16, heads=2)
    nn.init.constant_(mapper.gate, gate)
    return mapper


def test_same_seed_gives_the_same_clip_and_another_seed_another(generator: ZeroscopeGenerator) -> None:
    first, second = generator.run(REQUEST), generator.run(REQUEST)
    other = generator.run(replace(REQUEST, seed=4))
    assert first.kind is MediaKind.VIDEO
    assert first.video is not None
    assert first.video.shape == (3, 3, 32, 48)
    assert first.video.dtype == torch.uint8
    assert torch.equal(first.video, second.video)
    assert not torch.equal(first.video, other.video)
    assert not torch.equal(first.video[0], first.video[1])


def test_command_guidance_and_steps_matter(generator: ZeroscopeGenerator) -> None:
    base = generator.run(REQUEST).video
    for change in ({"command": "a circle"}, {"guidance": 1.0}, {"guidance": 5.0}, {"steps": 3}):
        assert not torch.equal(base, generator.run(replace(REQUEST, **change)).video), change


def test_closed_gate_and_missing_mapper_are_exactly_the_published_model(
    folder: Path, generator: ZeroscopeGenerator
) -> None:
    plain, told = generator.run(REQUEST).video, replace(REQUEST, signals=SIGNALS)
    assert torch.equal(plain, generator.run(told).video)
    closed = ZeroscopeGenerator.from_pretrained(folder, mapper=_mapper(0.0), defaults=SMALL)
    assert torch.equal(plain, closed.run(told).video)
    opened = ZeroscopeGenerator.from_pretrained(folder, mapper=_mapper(2.0), defaults=SMALL)
    assert torch.equal(plain, opened.run(REQUEST).video)
    assert not torch.equal(plain, opened.run(told).video)


def test_progress_counts_steps_and_can_cancel(generator: ZeroscopeGenerator) -> None:
    seen: list[tuple[int, int]] = []
    generator.run(REQUEST, lambda step, total: seen.append((step, total)))
    assert seen == [(1, 2), (2, 2)]

    def stop(step: int, total: int) -> None:
        seen.append((step, total))
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        generator.run(REQUEST, stop)
    assert seen[2:] == [(1, 2)]


def test_threads_share_one_generator(generator: ZeroscopeGenerator) -> None:
    requests = [replace(REQUEST, seed=seed, steps=2 + seed % 2) for seed in range(3)]
    alone = [generator.run(request).video for request in requests]
    together: list[torch.Tensor | None] = [None] * len(requests)

    def work(index: int) -> None:
        together[index] = generator.run(requests[index]).video

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert one is not None
        assert other is not None
        # one level of 255: where arrays lie in memory decides in which order sums are taken
        torch.testing.assert_close(other.int(), one.int(), atol=1, rtol=0)


def test_a_profile_shares_gligens_autoencoder_and_keeps_its_mapper_apart(
    folder: Path, tmp_path: Path, generator: ZeroscopeGenerator
) -> None:
    shutil.copytree(folder, tmp_path / "zeroscope")
    (tmp_path / "gligen").mkdir()
    shutil.move(tmp_path / "zeroscope" / "vae", tmp_path / "gligen" / "vae")
    ours = ZeroscopeGenerator.from_pretrained(tmp_path, defaults=SMALL)
    assert ours.revision == generator.revision
    assert torch.equal(ours.run(REQUEST).video, generator.run(REQUEST).video)
    (tmp_path / "mappers").mkdir()
    tensors = {k: v.contiguous() for k, v in _mapper(2.0).state_dict().items()}
    save_file(tensors, tmp_path / "mappers" / "zeroscope.safetensors")
    mapped = ZeroscopeGenerator.from_pretrained(tmp_path)
    assert mapped.parts.mapper is not None
    assert mapped.revision != generator.revision
    assert mapped.defaults == TINY
    assert ZeroscopeGenerator.from_pretrained(folder).defaults == PUBLISHED


def test_a_unet_with_planes_sees_places_and_times(tmp_path: Path) -> None:
    wide = write_random_zeroscope(tmp_path / "wide", in_channels=4 + CLIP_PLANES)
    result = ZeroscopeGenerator.from_pretrained(wide, defaults=SMALL).run(REQUEST)
    assert result.video is not None
    odd = write_random_zeroscope(tmp_path / "odd", in_channels=5)
    with pytest.raises(ValueError, match="channels"):
        ZeroscopeGenerator.from_pretrained(odd, defaults=SMALL).run(REQUEST)


def test_half_precision_files_of_published_folders_are_found(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for weights in list(tmp_path.rglob("*.safetensors")):
        half = {
            name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in load_file(weights).items()
        }
        save_file(half, weights.with_suffix(".fp16.safetensors"), metadata={"format": "pt"})
        weights.unlink()
    loaded = ZeroscopeGenerator.from_pretrained(tmp_path, defaults=SMALL)
    assert loaded.run(REQUEST).video is not None
    assert loaded.parts.unet.dtype == torch.float32


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "other shape", "incomplete", "config"])
def test_a_bad_checkpoint_is_one_clear_error(folder: Path, tmp_path: Path, part: str, harm: str) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    weights = next((tmp_path / part).glob("*.safetensors"))
    tensors = load_file(weights)
    name = next(name for name, tensor in sorted(tensors.items()) if tensor.ndim == 2)
    if harm == "missing":
        weights.unlink()
    elif harm == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif harm == "other shape":
        save_file({**tensors, name: torch.zeros(3, 5)}, weights, metadata={"format": "pt"})
    elif harm == "incomplete":
        save_file({k: v for k, v in tensors.items() if k != name}, weights, metadata={"format": "pt"})
    else:
        (tmp_path / part / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="train zeroscope") as caught:
        ZeroscopeGenerator.from_pretrained(tmp_path)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"_class_name": "PNDMScheduler"}, "PNDMScheduler"), ({"beta_schedule": "odd"}, "odd"), (None, "no JSON object")],
)
def test_a_scheduler_that_cannot_be_used_is_named(
    folder: Path, tmp_path: Path, change: dict[str, str] | None, said: str
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps([] if change is None else {**json.loads(file.read_text()), **change}))
    with pytest.raises(CheckpointError, match=said):
        ZeroscopeGenerator.from_pretrained(tmp_path)


def test_parts_of_two_models_are_refused(folder: Path, tmp_path: Path) -> None:
    write_random_zeroscope(tmp_path, cross_attention_dim=WIDTH // 2)
    with pytest.raises(CheckpointError, match="text of width 16"):
        ZeroscopeGenerator.from_pretrained(tmp_path)
    write_random_zeroscope(tmp_path, out_channels=3)
    with pytest.raises(CheckpointError, match="latent channels: 3"):
        ZeroscopeGenerator.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="is missing"):
        ZeroscopeGenerator.from_pretrained(tmp_path / "nowhere")
