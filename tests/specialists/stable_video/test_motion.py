"""Affine tracks follow known motion, and a frame that cannot be matched keeps what was expected of it."""

import numpy as np
import pytest
import torch

from vitron_agent.specialists.stable_video.motion import affine_tracks, dense_flow

from .textured import textured_clip


def test_flow_points_from_the_first_picture_into_the_second() -> None:
    first = (textured_clip(count=2).frames[0].float().mean(0)).byte().numpy()
    flow = dense_flow(first, np.roll(first, 2, axis=1))
    assert np.median(flow[16:-16, 16:-16, 0]) == pytest.approx(2, abs=0.2)
    assert np.median(flow[16:-16, 16:-16, 1]) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("anchor", [0, 6, 11])
def test_points_of_a_turning_growing_object_meet_in_the_anchor(anchor: int) -> None:
    truth = textured_clip(turn=60.0, grow=1.3)
    maps = affine_tracks(truth.frames, truth.masks, anchor, partial=True)
    assert torch.equal(maps[anchor], torch.eye(2, 3))
    mapped = torch.einsum("tij,tnj->tni", maps[:, :, :2], truth.points) + maps[:, None, :, 2]
    assert (mapped - truth.points[anchor]).norm(dim=-1).mean() < 1.0


def test_a_background_without_the_object_is_tracked_too() -> None:
    truth = textured_clip(pan=0.2)
    maps = affine_tracks(truth.frames, ~truth.masks, 6, partial=False)
    moved = maps[0, :, 2] - maps[-1, :, 2]
    # the texture moves by `pan` of its own width, 1.2 times the picture's half
    assert float(moved[0]) == pytest.approx(-0.2 / 1.2 * 64, abs=1.5)
    assert float(moved[1]) == pytest.approx(0, abs=1.0)


def test_where_nothing_can_be_matched_the_centre_is_followed() -> None:
    frames = torch.zeros(3, 3, 48, 48, dtype=torch.uint8)
    masks = torch.zeros(3, 48, 48, dtype=torch.bool)
    for frame in range(3):
        masks[frame, 20:23, 10 + 8 * frame : 13 + 8 * frame] = True  # nine pixels: too few for a map
    maps = affine_tracks(frames, masks, 0, partial=True)
    assert torch.allclose(maps[2], torch.tensor([[1.0, 0.0, -16.0], [0.0, 1.0, 0.0]]))
