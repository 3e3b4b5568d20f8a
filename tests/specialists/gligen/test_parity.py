"""Generator and editor against diffusers' own GLIGEN pipeline, on the same random weights (skipped when that is gone).

With each scheduler that published folders or the tiny one name, and with boxes looked at in the first steps only.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.specialists.gligen_parts_on_disk import write_random_gligen
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.gligen import GligenEditor, GligenGenerator, SamplingDefaults
from vitron_agent.specialists.gligen.generator import empty_condition, make_condition
from vitron_agent.specialists.gligen.parts import GligenParts
from vitron_agent.specialists.gligen.sampling import sample_latents
from vitron_agent.specialists.schedules import make_scheduler, with_scheduler

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")
SCHEDULERS = ["DPMSolverMultistepScheduler", "PNDMScheduler", "DDIMScheduler"]
COMMAND, PHRASE = "a red circle on a gray background", "red circle"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_gligen(tmp_path_factory.mktemp("weights"))


def pipeline(parts: GligenParts, scheduler: str) -> Any:
    diffusers = pytest.importorskip("diffusers")
    pipeline_class = getattr(diffusers, "StableDiffusionGLIGENPipeline", None)
    if pipeline_class is None:
        pytest.skip("diffusers no longer has the GLIGEN pipeline")
    made = pipeline_class(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        scheduler=make_scheduler(with_scheduler(parts.schedule, scheduler)),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("grounded", [1.0, 0.5])
def test_latents_equal_those_of_the_pipeline(folder: Path, scheduler: str, grounded: float) -> None:
    parts = GligenGenerator.from_pretrained(folder).parts
    box = [0.1, 0.2, 0.5, 0.6]
    made = pipeline(parts, scheduler)
    wanted = made(
        COMMAND,
        height=32,
        width=32,
        num_inference_steps=4,
        guidance_scale=2.5,
        gligen_phrases=[PHRASE],
        gligen_boxes=[box],
        gligen_scheduled_sampling_beta=grounded,
        generator=torch.Generator().manual_seed(7),
        output_type="latent",
    ).images
    made.enable_fuser(True)  # it leaves the UNet without it
    layout = (GroundedPhrase(phrase=PHRASE, box=tuple(box)),)
    condition = make_condition(parts, COMMAND, layout, None)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))
    empty = empty_condition(parts, condition)
    schedule = with_scheduler(parts.schedule, scheduler)
    found = sample_latents(parts.unet, schedule, noise, condition, 4, 2.5, empty, grounded=grounded)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_guidance_without_what_it_leads_away_from_is_refused(folder: Path) -> None:
    parts = GligenGenerator.from_pretrained(folder).parts
    condition = make_condition(parts, COMMAND, (), None)
    with pytest.raises(ValueError, match="guidance 2.5 needs `unconditional`"):
        sample_latents(parts.unet, parts.schedule, torch.randn(1, 4, 8, 8), condition, 2, 2.5)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_edits_equal_those_of_the_pipeline(folder: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the posterior's mode; the pipeline draws all its noise from the global generator, which is ours here."""
    editor = GligenEditor.from_pretrained(folder, defaults=SamplingDefaults(4, 3.0, scheduler, grounded=0.5))
    parts, box = editor.parts, (0.25, 0.25, 0.75, 0.625)  # the edges of cells
    picture = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    made = pipeline(parts, scheduler)
    kind = type(parts.vae.encode(torch.zeros(1, 3, 32, 32)).latent_dist)
    generator = torch.Generator().manual_seed(7)
    with monkeypatch.context() as patched:
        patched.setattr(kind, "sample", lambda self, generator=None: self.mode())
        patched.setattr(torch, "randn_like", lambda like: torch.randn(like.shape, generator=generator))
        wanted = made(
            COMMAND,
            num_inference_steps=4,
            guidance_scale=3.0,
            gligen_phrases=[PHRASE],
            gligen_boxes=[list(box)],
            gligen_inpaint_image=Image.fromarray(picture.permute(1, 2, 0).numpy()),
            gligen_scheduled_sampling_beta=0.5,
            output_type="latent",
        ).images
    made.enable_fuser(True)
    hole = torch.zeros(1, 32, 32, dtype=torch.bool)
    hole[:, 8:20, 8:24] = True
    request = SpecialistRequest(COMMAND, layout=(GroundedPhrase(phrase=PHRASE, box=box),), seed=7)
    found = editor.latents(request, picture.float() / 255, hole)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
