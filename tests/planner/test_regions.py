"""Masks to tokens."""

import pytest
import torch
from torch import Tensor

from vitron_agent.media import Region
from vitron_agent.planner.regions import BoxRegions, RegionEncoder, mask_moments


@pytest.fixture
def encoder() -> RegionEncoder:
    """Random weights."""
    torch.manual_seed(0)
    return RegionEncoder(8, 16, hidden=12).eval()


def test_features_are_pooled_where_the_mask_is(encoder: RegionEncoder) -> None:
    """A wide flat box must pool a row of patches, not a column (the release swaps the axes)."""
    mask = Region.from_box(0.0, 0.0, 1.0, 0.25).to_mask(64, 64)[None]
    patches = torch.randn(1, 64, 8)
    inside, outside = patches.clone(), patches.clone()
    inside.view(1, 8, 8, 8)[:, 1, 7] += 5  # row 1, last column: inside the box
    outside.view(1, 8, 8, 8)[:, 7, 1] += 5  # row 7, column 1: inside only if the axes are swapped
    with torch.inference_mode():
        token = encoder(patches, mask)
        assert not torch.allclose(encoder(inside, mask), token, atol=1e-3)
        assert torch.allclose(encoder(outside, mask), token, atol=1e-6)


def test_geometry_tells_the_same_content_apart_by_place(encoder: RegionEncoder) -> None:
    flat = torch.ones(2, 64, 8)
    masks = torch.stack([Region.parse(f"click:{x},0.5").to_mask(64, 64) for x in (0.2, 0.8)])
    with torch.inference_mode():
        left, right = encoder(flat, masks)
    assert not torch.allclose(left, right, atol=1e-3)


@pytest.mark.parametrize(
    "drawn",
    ["click:0.3,0.3", "box:0.2,0.2,0.5,0.6", "polygon:0.1,0.1,0.5,0.1,0.3,0.6", "scribble:0.1,0.1,0.2,0.3,0.4,0.4"],
)
def test_every_way_of_drawing_gives_one_finite_token(encoder: RegionEncoder, drawn: str) -> None:
    mask = Region.parse(drawn).to_mask(37, 61)[None]
    with torch.inference_mode():
        token = encoder(torch.randn(1, 64, 8), mask)
    assert token.shape == (1, 16)
    assert token.isfinite().all()


def test_an_empty_mask_counts_as_the_whole_picture(encoder: RegionEncoder) -> None:
    patches = torch.randn(1, 64, 8)
    with torch.inference_mode():
        nothing = encoder(patches, torch.zeros(1, 64, 64, dtype=torch.bool))
        everything = encoder(patches, torch.ones(1, 64, 64, dtype=torch.bool))
    assert torch.equal(nothing, everything)


def test_moments_are_centre_and_edges() -> None:
    mask = Region.from_box(0.25, 0.5, 0.75, 0.625).to_mask(64, 64)[None].float()
    x, y, left, top, right, bottom = mask_moments(mask)[0].tolist()
    assert (x, y) == pytest.approx((0.5, 0.5625))
    assert (left, top, right, bottom) == pytest.approx((0.25, 0.5, 0.75, 0.625), abs=1 / 64)


def test_vitron_s_regions_pool_the_transposed_box_as_in_training() -> None:
    regions = BoxRegions(1, 4)
    patches = torch.zeros(1, 4, 1)
    patches[0, 1] = 1.0  # top right
    corner, other = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    corner[:, :4, 4:], other[:, 4:, :4] = True, True
    seen: list[Tensor] = []
    regions.region_linear["layers"][0].register_forward_hook(lambda module, given, out: seen.append(given[0]))  # type: ignore[index]
    regions(patches, corner)
    regions(patches, other)
    assert [float(state) for state in seen] == [0.0, 1.0]


def test_the_published_sizes_give_the_published_counts() -> None:
    with torch.device("meta"):
        sizes = {n: sum(w.numel() for w in p.parameters()) for n, p in BoxRegions(1024, 4096).named_children()}
    assert (round(sizes["region_linear"] / 1e6, 2), round(sizes["loc_encoder"] / 1e6, 2)) == (37.76, 8.40)
