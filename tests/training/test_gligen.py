"""GLIGEN's recipes: a few steps on a handful of pictures, resume, exports, examples."""

import random
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file

from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import sample_scene
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.gligen import GligenEditor, GligenGenerator
from vitron_agent.specialists.gligen.conditioning import TINY_PLANES
from vitron_agent.specialists.gligen.editor import masked_latents
from vitron_agent.training import gligen, gligen_autoencoder, gligen_data, gligen_inpaint, gligen_steps
from vitron_agent.training.gligen_autoencoder import build_autoencoder, reconstruction_psnr, whiten_latents
from vitron_agent.training.gligen_autoencoder import train as train_autoencoder
from vitron_agent.training.gligen_autoencoder_start import start_from_components
from vitron_agent.training.gligen_edits import hole_mask, sample_edit
from vitron_agent.training.gligen_parts import LATENT_CHANNELS, build_tokenizer, build_unet
from vitron_agent.training.gligen_scenes import object_weight
from vitron_agent.training.loop import TrainingConfig


class Stopped(Exception):
    """What a test stops a training with."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few pictures, no judging: a step takes a moment."""
    monkeypatch.setattr(gligen_data, "SHARD", 8)
    monkeypatch.setattr(gligen_steps, "_FIRST_SHARDS", (1, 1))
    monkeypatch.setattr(gligen, "judge_generation", lambda *_: "not judged")
    monkeypatch.setattr(gligen, "judge_edits", lambda *_: "not judged")


def _config(folder: Path, name: str, **changes: object) -> TrainingConfig:
    out = folder / name / "gligen"
    if not (out / "vae").exists():
        torch.manual_seed(5)
        build_autoencoder().save_pretrained(out / "vae")
    settings = {"steps": 2, "export_minutes": 0.0, "options": {"batch": "2", "edits": "0.5"}} | changes
    return TrainingConfig(out, folder / name / "run", **settings)


@pytest.mark.usefixtures("small")
def test_resume_equals_a_straight_run_and_the_exports_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = _config(tmp_path, "straight")
    gligen.train(straight)

    def stop(*_: object) -> str:
        raise Stopped

    broken = _config(tmp_path, "broken")
    with monkeypatch.context() as patch:
        patch.setattr(gligen, "judge_edits", stop)
        with pytest.raises(Stopped):
            gligen.train(broken)
    gligen.train(_config(tmp_path, "broken", resume=True))
    for part in (
        "gligen/unet/diffusion_pytorch_model",
        "gligen/text_encoder/model",
        "gligen_inpaint/unet/diffusion_pytorch_model",
    ):
        one, other = (load_file(tmp_path / name / f"{part}.safetensors") for name in ("straight", "broken"))
        for key in one:  # half precision; where arrays lie in memory decides in which order sums are taken
            torch.testing.assert_close(other[key], one[key], atol=5e-3, rtol=5e-3, msg=f"{part}: {key}")
        assert all(tensor.dtype == torch.float16 for tensor in one.values())
        assert (tmp_path / "straight" / f"{part}.safetensors").stat().st_size < 16 * 2**20

    request = SpecialistRequest("a red circle on a sky background", steps=1)
    drawn = GligenGenerator.from_pretrained(tmp_path / "straight").run(request).image
    assert drawn is not None
    assert drawn.shape == (3, 64, 64)
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[:30, :30] = True
    edited = GligenEditor.from_pretrained(tmp_path / "straight").run(
        SpecialistRequest("remove the red circle", drawn, mask=mask, steps=1)
    )
    assert edited.image is not None
    assert torch.equal(edited.image[:, ~mask], drawn[:, ~mask])

    before = load_file(tmp_path / "straight/gligen/unet/diffusion_pytorch_model.safetensors")
    gligen_inpaint.train(_config(tmp_path, "straight", steps=1))
    after = load_file(tmp_path / "straight/gligen/unet/diffusion_pytorch_model.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)


@torch.no_grad()
def test_generation_unet_is_the_inpainting_unet_with_everything_to_paint() -> None:
    torch.manual_seed(0)
    both = gligen_steps.inpainting_unet(build_unet())
    torch.nn.init.normal_(both.conv_in.weight)
    alone: UNet2DConditionModel = gligen_steps.generation_unet(both)
    latents, planes = torch.randn(2, LATENT_CHANNELS, 16, 16), torch.randn(2, TINY_PLANES, 16, 16)
    nothing = torch.zeros(2, LATENT_CHANNELS + 1, 16, 16)
    text = torch.randn(2, 5, 128)
    one = both(torch.cat([latents, nothing, planes], 1), 500, text).sample
    other = alone(torch.cat([latents, planes], 1), 500, text).sample
    assert torch.allclose(one, other, atol=1e-4)


@torch.no_grad()
def test_autoencoder_starts_with_the_right_colours_and_whitening_changes_no_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gligen_autoencoder, "_SAMPLE", 32)
    rng = random.Random(3)
    pictures = render([sample_scene(rng) for _ in range(32)]).images * 2 - 1
    model = build_autoencoder()
    start_from_components(model, pictures)
    assert reconstruction_psnr(model, 8) > 22
    model.quant_conv.weight[: LATENT_CHANNELS // 2] *= 7.0
    model.post_quant_conv.weight[:, : LATENT_CHANNELS // 2] /= 7.0
    before = model.decode(model.encode(pictures[:4]).latent_dist.mode()).sample
    whiten_latents(model)
    latents = model.encode(pictures).latent_dist.mode()
    after = model.decode(latents[:4]).sample
    assert torch.allclose(before, after, atol=1e-3)
    assert (latents.std((0, 2, 3)) - 1).abs().max() < 0.4


def test_autoencoder_recipe_exports_half_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gligen_autoencoder, "_SAMPLE", 16)
    train_autoencoder(TrainingConfig(tmp_path / "vae", tmp_path / "run", steps=1))
    tensors = load_file(tmp_path / "vae" / "diffusion_pytorch_model.safetensors")
    assert all(tensor.dtype == torch.float16 for tensor in tensors.values())


def test_edits_ask_for_what_their_words_say() -> None:
    rng = random.Random(0)
    kinds = set()
    for _ in range(200):
        edit = sample_edit(rng)
        kind = edit.words.split()[0]
        kinds.add(kind)
        mask = hole_mask(edit, render([edit.before]).masks[0], rng)
        if kind == "change":
            assert edit.words.endswith(edit.after.background)
            assert edit.after.objects == ()
            continue
        changed = set(edit.before.objects) ^ set(edit.after.objects)
        for obj in changed:
            x, y = int(obj.x * 64), int(obj.y * 64)
            assert mask[0, y, x]
        if edit.new is not None:
            assert edit.new in edit.after.objects
            assert edit.new.shape in edit.words
    assert kinds == {"replace", "add", "remove", "change"}


def test_latents_under_the_hole_do_not_reach_the_network() -> None:
    hole = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    hole[..., 10:20, 10:20] = True
    one, other = torch.zeros(1, 4, 16, 16), torch.zeros(1, 4, 16, 16)
    other[..., 3, 3] = 9.0
    assert torch.equal(masked_latents(one, hole), masked_latents(other, hole))


def test_objects_weigh_more_than_background() -> None:
    scene = sample_scene(random.Random(1), 1)
    weight = object_weight([scene.objects], 16)
    obj = scene.objects[0]
    assert weight.mean() == pytest.approx(1.0)
    assert weight[0, 0, int(obj.y * 16), int(obj.x * 16)] == weight.max() > 1


def test_tokenizer_knows_the_words_and_any_text() -> None:
    tokenizer = build_tokenizer()
    ids = tokenizer("a small purple triangle on a sand background").input_ids
    assert len(ids) == 8 + 2
    assert tokenizer.eos_token_id != 2
    odd = tokenizer("Ünïcode, 12 & çedilla").input_ids
    assert tokenizer.unk_token_id not in odd[1:-1]
