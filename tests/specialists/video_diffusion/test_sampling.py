"""The loop for clips: guidance, the held first frame, stopping; and the decoding of frames."""

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL

from tests.specialists.video_parts_on_disk import DDIM, SOLVER
from vitron_agent.errors import Cancelled
from vitron_agent.specialists.schedules import make_scheduler
from vitron_agent.specialists.video_diffusion.sampling import decode_frames, sample_clip

SCHEDULES = [
    {"_class_name": "DDIMScheduler", **DDIM},
    {"_class_name": "DPMSolverMultistepScheduler", **SOLVER},
    {
        "_class_name": "DPMSolverMultistepScheduler",
        **SOLVER,
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    },
]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_first_frame_has_at_each_step_the_noise_of_that_step(schedule: dict[str, Any]) -> None:
    noise, first = drawn(1, 4, 3, 2, 2), drawn(1, 4, 2, 2)
    kept = make_scheduler(schedule).alphas_cumprod
    seen: list[int] = []

    def denoise(noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        seen.append(int(time))
        wanted = kept[time].sqrt() * first + (1 - kept[time]).sqrt() * noise[:, :, 0]
        torch.testing.assert_close(noisy[:, :, 0], wanted, atol=2e-3, rtol=0)
        return torch.zeros_like(noisy)

    latents = sample_clip(denoise, schedule, noise, 5, first=first)
    assert torch.equal(latents[:, :, 0], first)
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_perfect_denoiser_arrives_at_its_clip(schedule: dict[str, Any]) -> None:
    clip, kept = drawn(1, 4, 3, 2, 2), make_scheduler(schedule).alphas_cumprod

    def denoise(noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        noise = (noisy - kept[time].sqrt() * clip) / (1 - kept[time]).sqrt()
        if schedule.get("prediction_type") == "v_prediction":
            return kept[time].sqrt() * noise - (1 - kept[time]).sqrt() * clip
        return noise

    torch.testing.assert_close(sample_clip(denoise, schedule, drawn(1, 4, 3, 2, 2) + 1, 6), clip, atol=0.06, rtol=0.05)


def test_guidance_goes_on_from_the_unconditional_row_past_the_other() -> None:
    shapes: list[tuple[int, ...]] = []

    def denoise(noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(noisy.shape))
        rows = torch.arange(1.0, len(noisy) + 1).view(-1, 1, 1, 1, 1)
        return rows.expand_as(noisy) * 0.1

    noise = drawn(1, 4, 3, 2, 2)
    guided = sample_clip(denoise, SCHEDULES[0], noise, 2, guidance=3.0)
    as_if = sample_clip(lambda noisy, time: torch.full_like(noisy, 0.4), SCHEDULES[0], noise, 2)  # 0.1 + 3 * 0.1
    torch.testing.assert_close(guided, as_if)
    assert shapes == [(2, 4, 3, 2, 2)] * 2
    sample_clip(denoise, SCHEDULES[0], noise, 1)
    assert shapes[2:] == [(1, 4, 3, 2, 2)]


def test_it_stops_at_the_next_step() -> None:
    calls: list[int] = []

    def denoise(noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        calls.append(int(time))
        return noisy

    def stop(step: int, total: int) -> None:
        if step == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        sample_clip(denoise, SCHEDULES[1], drawn(1, 4, 3, 2, 2), 7, progress=stop)
    assert len(calls) == 2


@torch.no_grad()
def test_frames_are_decoded_one_by_one_whatever_fits_at_once() -> None:
    torch.manual_seed(0)
    vae = AutoencoderKL(latent_channels=4, norm_num_groups=4, block_out_channels=(8,), scaling_factor=0.5).eval()
    latents = drawn(1, 4, 5, 6, 6)
    frames = decode_frames(vae, latents, at_once=2)
    assert frames.shape == (5, 3, 6, 6)
    assert frames.dtype == torch.uint8
    assert torch.equal(frames, decode_frames(vae, latents, at_once=8))
    alone = decode_frames(vae, latents[:, :, 3:4])
    assert (frames[3].int() - alone[0].int()).abs().max() <= 1
