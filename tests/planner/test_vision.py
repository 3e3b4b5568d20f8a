"""Pictures to patch features."""

import pytest
import torch
from transformers import CLIPVisionModel

from vitron_agent.planner.tiny import tiny_vision_config
from vitron_agent.planner.vision import (
    CLIP_MEAN,
    CLIP_STD,
    patch_features,
    pool_patches,
    sample_frames,
    to_pixel_values,
)


def test_pixels_are_standardised_whatever_their_type_and_size() -> None:
    colour = torch.tensor([200, 30, 90], dtype=torch.uint8)
    image = colour[:, None, None].expand(3, 40, 90)[None]
    values = to_pixel_values(image, 64)
    wanted = (colour.float() / 255 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)
    assert values.shape == (1, 3, 64, 64)
    assert torch.allclose(values[0, :, 31, 7], wanted, atol=1e-5)
    assert torch.allclose(values, to_pixel_values(image.float() / 255, 64))


def test_pooling_averages_neighbours_of_the_grid() -> None:
    grid = torch.arange(16.0).view(1, 16, 1)  # 4x4, row-major
    pooled = pool_patches(grid, 2)[0, :, 0].tolist()
    assert pooled == [2.5, 4.5, 10.5, 12.5]
    assert pool_patches(grid, 1) is grid


@pytest.mark.parametrize(("length", "places"), [(8, [0, 2, 5, 7]), (1, [0, 0, 0, 0]), (4, [0, 1, 2, 3])])
def test_frames_are_sampled_from_the_first_to_the_last(length: int, places: list[int]) -> None:
    video = torch.arange(length)[:, None, None, None].expand(-1, 3, 2, 2)
    assert sample_frames(video, 4)[:, 0, 0, 0].tolist() == places


@pytest.mark.parametrize(("count", "factor"), [(15, 2), (9, 2)])
def test_pooling_refuses_grids_that_do_not_divide(count: int, factor: int) -> None:
    with pytest.raises(ValueError, match=f"{count} patches"):
        pool_patches(torch.zeros(1, count, 4), factor)


def test_features_leave_out_the_class_token_and_follow_the_layer() -> None:
    torch.manual_seed(0)
    tower = CLIPVisionModel(tiny_vision_config()).eval()
    pixels = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        states = tower(pixels, output_hidden_states=True).hidden_states
        last, before = patch_features(tower, pixels), patch_features(tower, pixels, -2)
    assert last.shape == (2, 64, 128)
    assert torch.allclose(last, states[-1][:, 1:])
    assert torch.allclose(before, states[-2][:, 1:])
    assert not torch.allclose(last, before)
