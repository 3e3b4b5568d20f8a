"""Edges lie where a picture changes, and depth is said in one range whatever the picture's size."""

import pytest
import torch
from transformers import DPTForDepthEstimation

from tests.specialists.control_parts_on_disk import write_estimator
from vitron_agent.specialists.controlnet.controls import depth_map, edge_map, scaled


def test_edges_are_where_colours_change() -> None:
    picture = torch.zeros(3, 40, 60, dtype=torch.uint8)
    picture[2, :, 30:] = 255  # a change of blue alone
    edges = edge_map(picture)
    assert (edges.shape, edges.dtype) == ((3, 40, 60), torch.float32)
    columns = edges.amax((0, 1)).nonzero().flatten()
    assert edges.max() == 1
    assert columns.min() >= 28
    assert columns.max() <= 31
    assert not edge_map(torch.full_like(picture, 90)).any()


def test_edges_fainter_than_the_thresholds_are_none() -> None:
    picture = torch.full((3, 40, 60), 90, dtype=torch.uint8)
    picture[:, :, 30:] = 100
    assert not edge_map(picture).any()


@pytest.fixture(scope="module")
def estimator(tmp_path_factory: pytest.TempPathFactory) -> DPTForDepthEstimation:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("midas")
    write_estimator(folder)
    return DPTForDepthEstimation.from_pretrained(folder, attn_implementation="eager").eval()


def test_depth_has_the_picture_s_size_and_the_range_of_a_control(estimator: DPTForDepthEstimation) -> None:
    picture = torch.randint(0, 256, (3, 40, 72), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    depth = depth_map(estimator, picture)
    assert depth.shape == (3, 40, 72)
    assert torch.equal(depth[0], depth[2])
    assert 0 <= depth.min() < 0.2
    assert 0.8 < depth.max() <= 1
    square = torch.randint(0, 256, (3, 64, 64), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    with torch.no_grad():
        raw = estimator(square[None].float() / 127.5 - 1).predicted_depth[0]
    torch.testing.assert_close(depth_map(estimator, square)[0], (raw - raw.min()) / (raw.max() - raw.min()))


def test_a_picture_without_any_depth_is_no_division_by_zero(estimator: DPTForDepthEstimation) -> None:
    with torch.no_grad():
        for weight in estimator.head.parameters():
            weight.zero_()
    assert torch.equal(depth_map(estimator, torch.zeros(3, 16, 16, dtype=torch.uint8)), torch.zeros(3, 16, 16))


def test_scaling_to_its_own_size_changes_nothing() -> None:
    picture = torch.rand(3, 8, 12)
    assert scaled(picture, (8, 12)) is picture
    assert scaled(picture, (4, 6)).shape == (3, 4, 6)
