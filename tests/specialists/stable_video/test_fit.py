"""The fit reconstructs clips of known motion, and its atlas sticks to the object: PSNR alone would not show that."""

import pytest
import torch
import torch.nn.functional as F

from vitron_agent.errors import Cancelled
from vitron_agent.specialists.stable_video import FitSettings, LayeredAtlas, fit_atlas
from vitron_agent.specialists.stable_video.fit import anchor_frame

from .textured import Truth, textured_clip


def psnr(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Of pixels 0 to 255, in dB."""
    return float(-10 * ((found.float() - truth.float()) / 255).square().mean().log10())


def tracking_error(atlas: LayeredAtlas, truth: Truth) -> float:
    """Mean distance, in anchor pixels, of an object's point in a frame from where the same point is on average."""
    front = atlas.foreground
    size = torch.tensor(truth.frames.shape[:1:-1])
    grid = (2 * truth.points / size - 1)[:, :, None]
    shifts = F.grid_sample(front.residual, grid, align_corners=True)[..., 0].permute(0, 2, 1)
    mapped = torch.einsum("tij,tnj->tni", front.affine[:, :, :2], truth.points) + front.affine[:, None, :, 2] + shifts
    return float((mapped - mapped.mean(0)).norm(dim=-1).mean())


@pytest.mark.parametrize("motion", [{}, {"turn": 70.0, "grow": 1.5, "pan": 0.25}, {"turn": 0.0, "grow": 0.6}])
def test_a_textured_object_is_reconstructed_and_tracked(motion: dict[str, float]) -> None:
    truth = textured_clip(**motion)  # type: ignore[arg-type]
    atlas = fit_atlas(truth.frames, truth.masks, FitSettings(steps=250))
    assert psnr(atlas.render() * 255, truth.frames) > 38
    assert tracking_error(atlas, truth) < 0.5


def test_the_fit_is_repeatable_and_tells_its_progress() -> None:
    truth = textured_clip(count=4)
    steps: list[tuple[int, int]] = []
    first = fit_atlas(truth.frames, truth.masks, FitSettings(steps=5), lambda *step: steps.append(step))
    again = fit_atlas(truth.frames, truth.masks, FitSettings(steps=5))
    assert torch.equal(first.render(), again.render())
    assert steps == [(step, 5) for step in range(1, 6)]
    assert not first.foreground.texture.requires_grad


def test_it_can_be_cancelled() -> None:
    def stop(step: int, total: int) -> None:
        raise Cancelled("enough")

    truth = textured_clip(count=3)
    with pytest.raises(Cancelled):
        fit_atlas(truth.frames, truth.masks, FitSettings(steps=5), stop)


def test_the_frame_that_shows_most_is_the_anchor() -> None:
    masks = torch.zeros(5, 8, 8, dtype=torch.bool)
    masks[:, :2] = True
    assert anchor_frame(masks) == 2
    masks[4, :6] = True
    assert anchor_frame(masks) == 4


def test_masks_must_belong_to_the_frames_and_show_something() -> None:
    frames = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="do not belong together"):
        fit_atlas(frames, torch.zeros(3, 8, 8, dtype=torch.bool))
    with pytest.raises(ValueError, match="no frame shows the object"):
        fit_atlas(frames, torch.zeros(2, 8, 8, dtype=torch.bool))
