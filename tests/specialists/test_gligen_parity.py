"""The generator against diffusers' own GLIGEN pipeline, on the same random weights (skipped when that is gone)."""

from pathlib import Path

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler

from tests.specialists.gligen_parts_on_disk import write_random_gligen
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.specialists.gligen import GligenGenerator
from vitron_agent.specialists.gligen.generator import empty_condition, make_condition
from vitron_agent.specialists.gligen.sampling import sample_latents

torch.set_num_threads(1)


@pytest.mark.filterwarnings("ignore")
def test_latents_equal_those_of_the_pipeline(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    pipeline_class = getattr(diffusers, "StableDiffusionGLIGENPipeline", None)
    if pipeline_class is None:
        pytest.skip("diffusers no longer has the GLIGEN pipeline")
    parts = GligenGenerator.from_pretrained(write_random_gligen(tmp_path)).parts
    pipeline = pipeline_class(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        scheduler=DPMSolverMultistepScheduler.from_config(parts.schedule),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    command, box = "a red circle on a gray background", [0.1, 0.2, 0.5, 0.6]
    wanted = pipeline(
        command,
        height=32,
        width=32,
        num_inference_steps=3,
        guidance_scale=2.5,
        gligen_phrases=["red circle"],
        gligen_boxes=[box],
        gligen_scheduled_sampling_beta=1.0,
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
    ).images
    layout = (GroundedPhrase(phrase="red circle", box=tuple(box)),)
    condition = make_condition(parts, command, layout, None)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    empty = empty_condition(parts, condition)
    found = sample_latents(parts.unet, parts.schedule, noise, condition, 3, 2.5, empty)
    assert torch.allclose(found, wanted, atol=1e-4), (found - wanted).abs().max()
