"""The editor against diffusers' own ControlNet pipelines, from noise and from a draft, on the same random weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetPipeline,
)

from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.controlnet import ControlDefaults, ControlEditor, load_control_parts
from vitron_agent.specialists.controlnet.editor import AVOID

torch.set_num_threads(1)
SIZE = {"height": 32, "width": 48}
WORDS = "a blue circle"


@pytest.fixture(scope="module")
def editor(written: Path) -> ControlEditor:
    return ControlEditor(
        load_control_parts(written / "controlnet"), ControlDefaults(steps=5, guidance=3.0, strength=0.7)
    )


def pipeline(kind: Any, editor: ControlEditor, net: str) -> Any:
    parts = editor.parts
    made = kind(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        controlnet=getattr(parts, net),
        scheduler=DDIMScheduler.from_config(parts.schedule),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def picture(seed: int) -> torch.Tensor:
    """A picture of smooth colours: float (3, 32, 48) in [0, 1]."""
    noise = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, tuple(SIZE.values()), mode="bilinear")[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("net", ["canny", "depth"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_edits_from_noise_equal_the_pipeline_s(editor: ControlEditor, net: str, guidance: float) -> None:
    control = picture(1)
    wanted = pipeline(StableDiffusionControlNetPipeline, editor, net)(
        WORDS,
        image=control[None],
        negative_prompt=AVOID,
        num_inference_steps=5,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
        **SIZE,
    ).images
    request = SpecialistRequest(WORDS, seed=7, guidance=guidance)
    found = editor.latents(request, WORDS, control, scenery=net == "depth")
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
    other = editor.latents(request, WORDS, 1 - control, scenery=net == "depth")
    assert (other - found).abs().max() > 1e-2  # so that the control counts


@pytest.mark.filterwarnings("ignore")
def test_edits_from_a_draft_equal_the_pipeline_s(editor: ControlEditor) -> None:
    control, draft = picture(1), picture(2)
    wanted = pipeline(StableDiffusionControlNetImg2ImgPipeline, editor, "canny")(
        WORDS,
        image=draft[None],
        control_image=control[None],
        negative_prompt=AVOID,
        num_inference_steps=5,
        guidance_scale=3.0,
        strength=0.7,
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
        controlnet_conditioning_scale=1.0,
        **SIZE,
    ).images
    steps: list[tuple[int, int]] = []

    def told(step: int, total: int) -> None:
        steps.append((step, total))

    found = editor.latents(SpecialistRequest(WORDS, seed=7), WORDS, control, False, draft, told)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
    assert steps == [(1, 3), (2, 3), (3, 3)]  # of five steps, 0.7
