"""I2VGen-XL on random weights: the first frame, determinism, signals, cancelling, any latents, bad checkpoints."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.specialists.video_parts_on_disk import CONTEXT, SMALL, WIDTH, unet_sizes, write_random_i2vgen
from vitron_agent.errors import Cancelled, CheckpointError, MissingInputError
from vitron_agent.signals import SignalEmbeddings, SignalMapper
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.i2vgen_xl import AnimationUNet, I2VGenAnimator
from vitron_agent.specialists.i2vgen_xl.animator import PUBLISHED, TINY
from vitron_agent.specialists.i2vgen_xl.picture import fitted, guide_latents, picture_embedding, picture_latents

SIGNALS = SignalEmbeddings(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), torch.ones(4, 8))


def _picture(height: int = 32, width: int = 48) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


REQUEST = SpecialistRequest("the red circle moves right", image=_picture(), seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_i2vgen(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def animator(folder: Path) -> I2VGenAnimator:
    return I2VGenAnimator.from_pretrained(folder, defaults=SMALL)


def _mapper(gate: float) -> SignalMapper:
    torch.manual_seed(1)
    mapper = SignalMapper(d_llm=8, d_out=WIDTH, n_queries=CONTEXT, width=16, heads=2)
    nn.init.constant_(mapper.gate, gate)
    return mapper


def _video(animator: I2VGenAnimator, request: SpecialistRequest) -> torch.Tensor:
    video = animator.run(request).video
    assert video is not None
    return video


def test_the_clip_begins_with_the_picture_to_the_last_bit(animator: I2VGenAnimator) -> None:
    video = _video(animator, REQUEST)
    assert video.shape == (3, 3, 32, 48)
    assert video.dtype == torch.uint8
    assert torch.equal(video[0], _picture())
    assert not torch.equal(video[1], video[2])
    large = _video(animator, replace(REQUEST, image=_picture(100, 90)))
    assert torch.equal(large[0], fitted(_picture(100, 90), 32, 48))


def test_the_first_frame_is_held_during_sampling(animator: I2VGenAnimator) -> None:
    first = picture_latents(animator.parts.vae, _picture())
    held, free = (animator.latents(REQUEST, _picture(), hold=hold) for hold in (True, False))
    assert torch.equal(held[:, :, 0], first)
    assert not torch.allclose(free[:, :, 0], first, atol=0.1)
    assert not torch.allclose(held[:, :, 1:], free[:, :, 1:], atol=1e-3)


def test_same_seed_same_clip_and_all_that_is_told_matters(animator: I2VGenAnimator) -> None:
    base = _video(animator, REQUEST)
    assert torch.equal(base, _video(animator, REQUEST))
    for change in (
        {"command": "the star grows"}, {"guidance": 1.0}, {"guidance": 4.0}, {"steps": 3}, {"seed": 4},
        {"image": 255 - _picture()},
    ):  # fmt: skip
        assert not torch.equal(base[1:], _video(animator, replace(REQUEST, **change))[1:]), change
    faster = I2VGenAnimator(animator.parts, animator.image_encoder, replace(SMALL, fps=24))
    assert not torch.equal(base, _video(faster, REQUEST))


def test_closed_gate_and_missing_mapper_change_nothing(folder: Path, animator: I2VGenAnimator) -> None:
    plain, told = _video(animator, REQUEST), replace(REQUEST, signals=SIGNALS)
    assert torch.equal(plain, _video(animator, told))
    closed = I2VGenAnimator.from_pretrained(folder, mapper=_mapper(0.0), defaults=SMALL)
    assert torch.equal(plain, _video(closed, told))
    opened = I2VGenAnimator.from_pretrained(folder, mapper=_mapper(2.0), defaults=SMALL)
    assert torch.equal(plain, _video(opened, REQUEST))
    assert not torch.equal(plain, _video(opened, told))
    assert opened.revision != animator.revision


def test_progress_counts_steps_and_can_cancel(animator: I2VGenAnimator) -> None:
    seen: list[tuple[int, int]] = []
    animator.run(REQUEST, lambda step, total: seen.append((step, total)))
    assert seen == [(1, 2), (2, 2)]

    def stop(step: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        animator.run(REQUEST, stop)


def test_without_a_picture_it_says_so(animator: I2VGenAnimator) -> None:
    with pytest.raises(MissingInputError, match="no picture"):
        animator.run(SpecialistRequest("the star grows"))


def test_a_profile_has_its_own_folder_and_sizes(folder: Path, tmp_path: Path, animator: I2VGenAnimator) -> None:
    shutil.copytree(folder, tmp_path / "i2vgen_xl")
    ours = I2VGenAnimator.from_pretrained(tmp_path)
    assert (ours.defaults, ours.revision) == (TINY, animator.revision)
    assert I2VGenAnimator.from_pretrained(folder).defaults == PUBLISHED


def test_skipping_a_layer_is_a_text_encoder_without_it(folder: Path, tmp_path: Path) -> None:
    """What diffusers calls clip_skip=1, and cannot do any more: the state before the last layer, normed."""
    skipping = I2VGenAnimator.from_pretrained(folder, defaults=replace(SMALL, skipped_layers=1))
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    encoder = skipping.parts.text_encoder
    encoder = type(encoder).from_pretrained(folder / "text_encoder", num_hidden_layers=1)
    encoder.save_pretrained(tmp_path / "text_encoder")
    shorter = I2VGenAnimator.from_pretrained(tmp_path, defaults=SMALL)
    assert torch.equal(_video(skipping, REQUEST), _video(shorter, REQUEST))
    whole = I2VGenAnimator.from_pretrained(folder, defaults=SMALL)
    assert not torch.equal(_video(skipping, REQUEST), _video(whole, REQUEST))


def test_the_unet_takes_latents_of_any_number_of_channels(tmp_path: Path) -> None:
    unet = AnimationUNet(**unet_sizes(in_channels=6, out_channels=6))
    unet.save_pretrained(tmp_path)
    again = AnimationUNet.from_pretrained(tmp_path)
    latents, text = torch.randn(2, 6, 3, 4, 4), torch.randn(2, 5, WIDTH)
    told = {"fps": torch.tensor([8, 8]), "image_latents": latents, "image_embeddings": torch.randn(2, 1, WIDTH)}
    with torch.no_grad():
        one, other = (net.eval()(latents, 500, encoder_hidden_states=text, **told).sample for net in (unet, again))
    assert one.shape == latents.shape
    assert torch.equal(one, other)


def test_pictures_are_scaled_to_cover_and_cut_in_the_middle() -> None:
    wide = torch.zeros(3, 40, 120, dtype=torch.uint8)
    wide[:, :, 30:90] = 200
    assert fitted(wide, 20, 20).unique().tolist() == [200]
    assert fitted(wide, 60, 20).shape == (3, 60, 20)
    assert fitted(torch.full((3, 7, 5), 9, dtype=torch.uint8), 64, 32).unique().tolist() == [9]


def test_the_guide_holds_the_picture_and_then_the_time() -> None:
    guide = guide_latents(torch.full((1, 4, 2, 2), 7.0), 5)
    assert guide[0, 0, :, 0, 0].tolist() == [7.0, 0.25, 0.5, 0.75, 1.0]


def test_an_embedding_is_of_the_middle_square(animator: I2VGenAnimator) -> None:
    picture = _picture(32, 48)
    moved = picture.clone()
    moved[:, :, :8] = 0
    assert torch.equal(*(picture_embedding(animator.image_encoder, p) for p in (picture, moved)))
    moved[:, :, 24] = 0
    assert not torch.equal(*(picture_embedding(animator.image_encoder, p) for p in (picture, moved)))


@pytest.mark.parametrize("part", ["unet", "image_encoder"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "incomplete"])
def test_a_bad_checkpoint_is_one_clear_error(folder: Path, tmp_path: Path, part: str, harm: str) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    weights = next((tmp_path / part).glob("*.safetensors"))
    tensors = load_file(weights)
    if harm == "missing":
        weights.unlink()
    elif harm == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        save_file(dict(sorted(tensors.items())[1:]), weights, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="train i2vgen_xl") as caught:
        I2VGenAnimator.from_pretrained(tmp_path)
    assert part in str(caught.value)


def test_an_image_encoder_of_another_model_is_refused(tmp_path: Path) -> None:
    write_random_i2vgen(tmp_path)
    encoder = I2VGenAnimator.from_pretrained(tmp_path).image_encoder
    config = type(encoder.config)(**{**encoder.config.to_dict(), "projection_dim": 8})
    type(encoder)(config).save_pretrained(tmp_path / "image_encoder")
    with pytest.raises(CheckpointError, match="pictures of width 32, image_encoder gives 8"):
        I2VGenAnimator.from_pretrained(tmp_path)
