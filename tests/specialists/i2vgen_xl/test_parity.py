"""The animator against diffusers' own pipeline, on the same random weights; and full size by shapes."""

from pathlib import Path

import pytest
import torch
from diffusers import I2VGenXLUNet
from PIL import Image
from transformers import CLIPImageProcessorPil

from tests.specialists.video_parts_on_disk import unet_sizes, write_random_i2vgen
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.i2vgen_xl import AnimationUNet, I2VGenAnimator
from vitron_agent.specialists.schedules import make_scheduler
from vitron_agent.specialists.video_diffusion import VideoDefaults


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("guidance", [1.0, 4.5])
def test_clips_equal_those_of_the_pipeline(tmp_path: Path, guidance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first frame free, whole text encoder (the pipeline's clip_skip fails) and the posterior's mode."""
    diffusers = pytest.importorskip("diffusers")
    pipeline_class = getattr(diffusers, "I2VGenXLPipeline", None)
    if pipeline_class is None:
        pytest.skip("diffusers no longer has the image-to-video pipeline")
    defaults = VideoDefaults(frames=3, height=32, width=32, steps=3, guidance=guidance, negative="blurry", fps=12)
    animator = I2VGenAnimator.from_pretrained(write_random_i2vgen(tmp_path), defaults=defaults)
    parts, size = animator.parts, {"height": 32, "width": 32}
    pipeline = pipeline_class(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        image_encoder=animator.image_encoder,
        feature_extractor=CLIPImageProcessorPil(crop_size=size, size=size),
        unet=parts.unet,
        scheduler=make_scheduler(parts.schedule),
    )
    pipeline.set_progress_bar_config(disable=True)
    kind = type(parts.vae.encode(torch.zeros(1, 3, 32, 32)).latent_dist)
    monkeypatch.setattr(kind, "sample", lambda self, generator=None: self.mode())  # it draws from the global generator
    picture = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    command = "the red circle moves right"
    wanted = pipeline(
        command,
        Image.fromarray(picture.permute(1, 2, 0).numpy()),
        height=32,
        width=32,
        target_fps=12,
        num_frames=3,
        num_inference_steps=3,
        guidance_scale=guidance,
        negative_prompt="blurry",
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
        clip_skip=None,
    ).frames
    found = animator.latents(SpecialistRequest(command, seed=7), picture, hold=False)
    assert wanted.shape == found.shape == (1, 4, 3, 8, 8)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_with_four_channels_it_is_the_class_of_diffusers() -> None:
    theirs, ours = (kind(**unet_sizes()).state_dict() for kind in (I2VGenXLUNet, AnimationUNet))
    assert {name: weight.shape for name, weight in ours.items()} == {n: w.shape for n, w in theirs.items()}


def test_full_size_has_the_published_parameters() -> None:
    """The configuration of ali-vilab/i2vgen-xl, by shapes alone: nothing is computed and no memory is taken."""
    with torch.device("meta"):
        unet = AnimationUNet(sample_size=32, cross_attention_dim=1024, attention_head_dim=64, num_attention_heads=64)
    shapes = {name: tuple(weight.shape) for name, weight in unet.named_parameters()}
    assert sum(weight.numel() for weight in unet.parameters()) == 1_420_469_224
    assert shapes["conv_in.weight"] == (320, 8, 3, 3)
    assert shapes["image_latents_proj_in.0.weight"] == (16, 4, 3, 3)
    assert shapes["image_latents_context_embedding.5.weight"] == (1024, 64, 3, 3)
    assert shapes["context_embedding.2.weight"] == (4096, 1280)
    assert shapes["fps_embedding.2.weight"] == (1280, 1280)
