"""The generator against diffusers' own text-to-video pipeline, on the same random weights; and full size by shapes."""

from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UNet3DConditionModel

from tests.specialists.video_parts_on_disk import write_random_zeroscope
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.schedules import make_scheduler
from vitron_agent.specialists.video_diffusion import VideoDefaults
from vitron_agent.specialists.zeroscope import ZeroscopeGenerator
from vitron_agent.specialists.zeroscope.generator import PUBLISHED


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("guidance", [1.0, 4.5])
@pytest.mark.parametrize("solver", [False, True])
def test_clips_equal_those_of_the_pipeline(tmp_path: Path, solver: bool, guidance: float) -> None:
    diffusers = pytest.importorskip("diffusers")
    pipeline_class = getattr(diffusers, "TextToVideoSDPipeline", None)
    if pipeline_class is None:
        pytest.skip("diffusers no longer has the text-to-video pipeline")
    defaults = VideoDefaults(frames=3, height=32, width=48, steps=3, guidance=guidance, negative="blurry")
    generator = ZeroscopeGenerator.from_pretrained(write_random_zeroscope(tmp_path, solver), defaults=defaults)
    parts = generator.parts
    pipeline = pipeline_class(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        scheduler=make_scheduler(parts.schedule),
    )
    pipeline.set_progress_bar_config(disable=True)
    command = "a red circle moves right"
    wanted = pipeline(
        command,
        height=32,
        width=48,
        num_frames=3,
        num_inference_steps=3,
        guidance_scale=guidance,
        negative_prompt="blurry",
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
    ).frames
    found = generator.latents(SpecialistRequest(command, seed=7))
    assert wanted.shape == found.shape == (1, 4, 3, 8, 12)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_the_solver_of_the_release_follows_the_schedule_of_the_folder(tmp_path: Path) -> None:
    pipeline_class = getattr(pytest.importorskip("diffusers"), "TextToVideoSDPipeline", None)
    if pipeline_class is None:
        pytest.skip("diffusers no longer has the text-to-video pipeline")
    defaults = VideoDefaults(3, 32, 48, steps=4, guidance=3.0, scheduler=PUBLISHED.scheduler)
    generator = ZeroscopeGenerator.from_pretrained(write_random_zeroscope(tmp_path), defaults=defaults)
    parts = generator.parts
    assert parts.schedule["_class_name"] == "DDIMScheduler"
    pipeline = pipeline_class(
        vae=parts.vae, text_encoder=parts.text_encoder, tokenizer=parts.tokenizer, unet=parts.unet,
        scheduler=DDIMScheduler.from_pretrained(tmp_path / "scheduler"),
    )  # fmt: skip
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    wanted = pipeline(
        "a circle", height=32, width=48, num_frames=3, num_inference_steps=4, guidance_scale=3.0,
        generator=torch.Generator().manual_seed(5), output_type="latent",
    ).frames  # fmt: skip
    torch.testing.assert_close(generator.latents(SpecialistRequest("a circle", seed=5)), wanted, atol=1e-4, rtol=0)


def test_full_size_has_the_published_parameters() -> None:
    """ZeroScope v2 576w, by shapes alone: nothing is computed and no memory is taken."""
    with torch.device("meta"):
        unet = UNet3DConditionModel(sample_size=32, cross_attention_dim=1024, attention_head_dim=64)
    shapes = {name: tuple(weight.shape) for name, weight in unet.named_parameters()}
    assert sum(weight.numel() for weight in unet.parameters()) == 1_411_233_860
    temporal = [
        weight.numel() for name, weight in unet.named_parameters() if "temp" in name or "transformer_in" in name
    ]
    assert sum(temporal) == 545_323_136
    assert shapes["conv_in.weight"] == (320, 4, 3, 3)
    assert shapes["transformer_in.proj_in.weight"] == (512, 320)
    assert shapes["down_blocks.2.temp_convs.1.conv4.3.weight"] == (1280, 1280, 3, 1, 1)
    assert shapes["mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"] == (1280, 1024)
    assert shapes["up_blocks.3.temp_attentions.2.transformer_blocks.0.attn1.to_q.weight"] == (320, 320)
