"""The recipes of the video models: a few steps on a handful of clips, resume, exports that load, starts, batches."""

import random
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file

from vitron_agent.errors import CheckpointError
from vitron_agent.media import MediaKind
from vitron_agent.shapes.clip import FRAMES, frames_of, sample_clip
from vitron_agent.shapes.clip_captions import clip_caption, motion_command
from vitron_agent.specialists.base import SpecialistRequest, SpecialistResult
from vitron_agent.specialists.i2vgen_xl import I2VGenAnimator
from vitron_agent.specialists.video_diffusion.conditioning import clip_input
from vitron_agent.specialists.zeroscope import ZeroscopeGenerator
from vitron_agent.training import gligen_data, i2vgen_xl, video, video_parts, zeroscope
from vitron_agent.training.gligen_autoencoder import build_autoencoder
from vitron_agent.training.gligen_parts import LATENT_CHANNELS, build_unet, scene_generator
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.video import ClipLoss
from vitron_agent.training.video_data import ClipBatches, batches, clip_pool
from vitron_agent.training.video_judge import judge_clips

OPTIONS = {"batch": "2", "width": "32", "shards": "1", "workers": "0", "judge": "0", "words": "2"}
BOTH = pytest.mark.parametrize(("recipe", "kind"), [(zeroscope, ZeroscopeGenerator), (i2vgen_xl, I2VGenAnimator)])


class Stopped(Exception):
    """What a test stops a training with."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tokenizer: Any) -> None:
    """Few clips, and words that are learned once."""
    monkeypatch.setattr(gligen_data, "SHARD", 6)
    monkeypatch.setattr(video, "build_tokenizer", lambda: tokenizer)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return video_parts.build_tokenizer()


def _config(folder: Path, recipe: ModuleType, **changes: Any) -> TrainingConfig:
    name = recipe.RECIPE.name
    if not (folder / "gligen" / "vae").exists():
        torch.manual_seed(5)
        build_autoencoder().save_pretrained(folder / "gligen" / "vae")
    settings: dict[str, Any] = {"steps": 2, "export_minutes": 0.0, "options": OPTIONS} | changes
    return TrainingConfig(folder / name, folder / "run" / name, **settings)


@BOTH
def test_resume_equals_a_straight_run_and_the_export_makes_clips(
    recipe: ModuleType, kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe.train(_config(tmp_path / "straight", recipe))

    def stop(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(video, "export", stop)  # after the checkpoint of the first step
        with pytest.raises(Stopped):
            recipe.train(_config(tmp_path / "broken", recipe))
    recipe.train(_config(tmp_path / "broken", recipe, resume=True))
    name = recipe.RECIPE.name
    for file in (tmp_path / "straight" / name).rglob("*.safetensors"):
        one, other = load_file(file), load_file(tmp_path / "broken" / file.relative_to(tmp_path / "straight"))
        for key in one:  # half precision; where arrays lie in memory decides in which order sums are taken
            torch.testing.assert_close(other[key], one[key], atol=5e-3, rtol=5e-3, msg=f"{file.name}: {key}")
        assert all(tensor.dtype in (torch.float16, torch.int64) for tensor in one.values())
    frames = frames_of(sample_clip(random.Random(0)))
    specialist = kind.from_pretrained(tmp_path / "straight")
    made = specialist.run(SpecialistRequest("a red circle moves right", image=frames[0], steps=1)).video
    assert made is not None
    assert made.shape == (FRAMES, 3, 64, 64)


@BOTH
def test_a_few_steps_on_the_same_clips_lower_the_loss(
    recipe: ModuleType, kind: Any, tmp_path: Path, tokenizer: Any
) -> None:
    config = _config(tmp_path, recipe)
    vae = video_parts.load_autoencoder(tmp_path / "gligen")
    torch.manual_seed(0)
    parts = recipe.RECIPE
    models = torch.nn.ModuleDict(
        {"unet": parts.build_unet(32), "text_encoder": video_parts.build_text_encoder(tokenizer), **parts.build_more()}
    )
    batch = ClipBatches(clip_pool(config.run, 0, vae), 1, parts.words, tokenizer, 2, 0)[0]
    loss_of, optimiser = ClipLoss(parts, models.eval(), "cpu"), torch.optim.AdamW(models.parameters(), 2e-3)
    losses = []
    for _ in range(8):
        loss = loss_of(batch)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.9 * losses[0]
    assert all(weight.grad is not None and weight.grad.any() for weight in models["text_encoder"].parameters())


@BOTH
def test_nothing_in_a_step_is_bound_to_the_cpu(recipe: ModuleType, kind: Any, tmp_path: Path, tokenizer: Any) -> None:
    """On the meta device, where a tensor that was made on the CPU by mistake cannot be mixed in."""
    config, parts = _config(tmp_path, recipe), recipe.RECIPE
    pool = clip_pool(config.run, 0, video_parts.load_autoencoder(tmp_path / "gligen"))
    batch = ClipBatches(pool, 1, parts.words, tokenizer, 2, 0)[0]
    models = torch.nn.ModuleDict(
        {"unet": parts.build_unet(32), "text_encoder": video_parts.build_text_encoder(tokenizer), **parts.build_more()}
    ).to("meta")
    loss = ClipLoss(parts, models, "meta")({name: tensor.to("meta") for name, tensor in batch.items()})
    loss.backward()
    assert loss.shape == ()
    assert models["unet"].conv_in.weight.grad.device.type == "meta"


def test_the_first_frame_costs_nothing_where_it_is_given(tmp_path: Path, tokenizer: Any) -> None:
    config = _config(tmp_path, i2vgen_xl)
    vae = video_parts.load_autoencoder(tmp_path / "gligen")
    batch = ClipBatches(clip_pool(config.run, 0, vae), 1, clip_caption, tokenizer, 2, 0)[0]
    models = torch.nn.ModuleDict({"text_encoder": video_parts.build_text_encoder(tokenizer)})
    for recipe, counts in ((zeroscope.RECIPE, True), (i2vgen_xl.RECIPE, False)):

        def wrong_first(_: object, __: object, noisy: torch.Tensor, *___: object) -> torch.Tensor:
            predicted = torch.zeros_like(noisy)
            predicted[:, :, 0] = 1e3
            return predicted

        changed = replace(recipe, predict=wrong_first)
        assert (float(ClipLoss(changed, models, "cpu")(batch)) > 100) == counts


def test_batches_are_a_function_of_seed_and_step_also_from_workers(tmp_path: Path, tokenizer: Any) -> None:
    config = _config(tmp_path, zeroscope)
    vae = video_parts.load_autoencoder(tmp_path / "gligen")
    pool = clip_pool(config.run, 0, vae)
    pool.grow(1)
    dataset = ClipBatches(pool, 1, clip_caption, tokenizer, 2, 0)
    near, far = batches(dataset, 3, 0, "cpu"), batches(dataset, 3, 1, "cpu")
    for _ in range(2):
        one, other = next(near), next(far)
        assert all(torch.equal(one[name], other[name]) for name in one)
    far.close()
    assert one["latents"].shape == one["noise"].shape == (2, LATENT_CHANNELS, FRAMES, 16, 16)
    assert one["weight"].mean() == pytest.approx(1.0)
    assert not torch.equal(one["noise"], dataset[3]["noise"])
    again = clip_pool(config.run, 0, vae)
    again.grow(1)  # from the disk
    assert torch.equal(again.shards[0].tensors["latents"], pool.shards[0].tensors["latents"])


def test_first_frames_come_before_clips_and_as_many_of_them_as_a_batch_has_frames(
    tmp_path: Path, tokenizer: Any
) -> None:
    config = _config(tmp_path, zeroscope)
    pool = clip_pool(config.run, 0, video_parts.load_autoencoder(tmp_path / "gligen"))
    dataset = ClipBatches(pool, 1, clip_caption, tokenizer, 2, 0, stills=3)
    still, moving = dataset[2], dataset[3]
    assert still["latents"].shape == still["noise"].shape == (2 * FRAMES, LATENT_CHANNELS, 1, 16, 16)
    assert moving["latents"].shape == (2, LATENT_CHANNELS, FRAMES, 16, 16)
    assert len(still["ids"]) == len(still["share"]) == len(still["weight"]) == 2 * FRAMES
    first = pool.shards[0].tensors["latents"][:, 0].float()
    assert all(any(torch.equal(entry[:, 0], known) for known in first) for entry in still["latents"])


def test_where_the_first_frame_is_given_none_is_learned_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = []
    monkeypatch.setattr(ClipLoss, "__call__", _counting(frames))
    for recipe in (zeroscope, i2vgen_xl):
        recipe.train(_config(tmp_path, recipe, steps=2, export_minutes=9.0, options=OPTIONS | {"stills": "1"}))
    assert frames == [1, FRAMES, FRAMES, FRAMES]


def test_a_warm_run_goes_on_from_what_was_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = i2vgen_xl
    recipe.train(_config(tmp_path, recipe, steps=1))
    exported = load_file(tmp_path / recipe.RECIPE.name / "unet" / "diffusion_pytorch_model.safetensors")
    seen = []

    def loss_of(self: ClipLoss, batch: Any) -> torch.Tensor:
        seen.append({key: value.detach().clone() for key, value in self.models["unet"].state_dict().items()})
        raise Stopped

    shutil.rmtree(tmp_path / recipe.RECIPE.name / "examples")  # as of weights from before speeds were told
    monkeypatch.setattr(ClipLoss, "__call__", loss_of)
    warm = OPTIONS | {"warm": "1", "words": "0"}
    with pytest.raises(Stopped):
        recipe.train(replace(_config(tmp_path, recipe, options=warm), run=tmp_path / "run" / "again"))
    assert all(torch.equal(seen[0][key], value.float()) for key, value in exported.items())
    other = _config(tmp_path, recipe, options=OPTIONS | {"warm": "1", "width": "64"})
    with pytest.raises(CheckpointError, match="without `--set warm=1`"):
        recipe.train(replace(other, run=tmp_path / "run" / "wide"))


def _counting(frames: list[int]) -> Any:
    def loss_of(self: ClipLoss, batch: Any) -> torch.Tensor:
        frames.append(batch["latents"].shape[2])
        weight: torch.Tensor = self.models["unet"].conv_in.weight
        return weight.square().mean()

    return loss_of


def test_latents_and_first_frames_are_those_of_the_clips(tmp_path: Path) -> None:
    config = _config(tmp_path, zeroscope)
    vae = video_parts.load_autoencoder(tmp_path / "gligen")
    pool = clip_pool(config.run, 0, vae)
    pool.grow(1)
    (shard,) = pool.shards
    for index in (0, 5):
        frames = frames_of(shard.contents[index].clip)
        assert torch.equal(shard.tensors["first"][index], frames[0])
        wanted = gligen_data.encode_pictures(vae, frames[3:4].float() / 255)[0]
        assert torch.allclose(shard.tensors["latents"][index, 3].float(), wanted, atol=0.05)


@torch.no_grad()
def test_convolutions_across_time_give_the_same_when_computed_flat() -> None:
    torch.manual_seed(3)
    unet = video_parts.build_text_to_video_unet(32).eval()
    for weight in unet.parameters():
        torch.nn.init.normal_(weight, std=0.05)  # built to change nothing at first
    noisy, text = torch.randn(1, unet.config.in_channels, FRAMES, 16, 16), torch.randn(1, 5, 128)
    expected = unet(noisy, torch.tensor(500), encoder_hidden_states=text).sample
    names = list(unet.state_dict())
    video_parts.use_flat_convolutions(unet)
    assert torch.allclose(unet(noisy, torch.tensor(500), encoder_hidden_states=text).sample, expected, atol=1e-4)
    assert any(type(module) is not torch.nn.Conv3d for module in unet.modules() if isinstance(module, torch.nn.Conv3d))
    assert list(unet.state_dict()) == names


def test_words_fit_the_text_encoder(tokenizer: Any) -> None:
    rng = random.Random(1)
    clips = [sample_clip(rng, 3) for _ in range(150)]
    lengths = [len(tokenizer(make(clip, rng)).input_ids) for clip in clips for make in (clip_caption, motion_command)]
    assert sum(length > video_parts.CONTEXT for length in lengths) <= len(lengths) / 100
    assert tokenizer.eos_token_id != 2


@torch.no_grad()
def test_a_unet_starts_as_the_picture_unet_in_every_frame() -> None:
    """With all layers taken over, and none across time, a clip is drawn as its frames would be without any layout."""
    torch.manual_seed(0)
    picture = build_unet()
    picture.conv_in.weight[:, LATENT_CHANNELS + 24 :] = 0
    unet = video_parts.build_text_to_video_unet(128).eval()
    taken = video_parts.start_from_picture_unet(unet, picture)
    assert "mid_block.attentions.0.proj_in.weight" in taken
    spatial = [name for name in unet.state_dict() if "temp_" not in name and "transformer_in" not in name]
    assert set(spatial) == set(taken)
    latents, text = torch.randn(1, LATENT_CHANNELS, FRAMES, 16, 16), torch.randn(1, 6, 128)
    clip = unet(clip_input(latents, unet.config.in_channels), 500, text).sample
    flat = clip_input(latents, unet.config.in_channels)[:, : LATENT_CHANNELS + 24]
    for frame in (0, 5):
        entry = torch.cat([flat[:, :, frame], torch.zeros(1, 35, 16, 16)], 1)
        assert torch.allclose(clip[:, :, frame], picture(entry, 500, text).sample, atol=1e-3)


def test_sizes_are_those_of_the_budget(tokenizer: Any) -> None:
    unets = (video_parts.build_text_to_video_unet(), video_parts.build_animation_unet())
    assert [5e6 < video_parts.parameters(unet) < 6e6 for unet in unets] == [True, True]
    picture: UNet2DConditionModel = build_unet()
    assert len(video_parts.start_from_picture_unet(unets[0], picture)) > 30


@torch.no_grad()
def test_a_text_encoder_keeps_what_both_know(tokenizer: Any) -> None:
    known = video_parts.build_text_encoder(tokenizer)
    fresh = video_parts.build_text_encoder(tokenizer)
    assert video_parts.start_from_text_encoder(fresh, tokenizer, known, tokenizer) == len(tokenizer)
    ids = torch.tensor([tokenizer("a red circle moves right").input_ids])
    assert torch.equal(fresh(ids).last_hidden_state, known(ids).last_hidden_state)


def test_the_judge_counts_what_is_right(tmp_path: Path) -> None:
    rng = scene_generator("video", "held-out")
    truth = [frames_of(clip) for clip in [sample_clip(rng) for _ in range(6)]]

    class Perfect:
        """Returns the true clips, or all of them backwards."""

        name, revision = "perfect", "0"

        def __init__(self, backwards: bool) -> None:
            self.left, self.backwards = list(truth), backwards

        def run(self, request: SpecialistRequest, progress: Any = None) -> Any:
            frames = self.left.pop(0)
            assert torch.equal(request.image, frames[0])
            return SpecialistResult(MediaKind.VIDEO, video=frames.flip(0) if self.backwards else frames)

    line = judge_clips(Perfect(False), clip_caption, tmp_path / "a.png", 6)
    assert line == "judged n=6: background_ok 1.000 objects_ok 1.000 motions_ok 1.000 all_ok 1.000"
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert "motions_ok 0.000" in judge_clips(Perfect(True), clip_caption, tmp_path / "b.png", 6)
