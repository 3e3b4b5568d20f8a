"""Looking textures up, putting pixels in, and filling what is left."""

from dataclasses import replace

import pytest
import torch

from vitron_agent.specialists.stable_video.layers import GRID, Layer, LayeredAtlas, filled, splat


def layer(texture: torch.Tensor, frames: int = 1, density: float = 1.0) -> Layer:
    """A layer that is not moved."""
    return Layer(texture, torch.eye(2, 3).expand(frames, 2, 3), torch.zeros(frames, 2, GRID, GRID), (0.0, 0.0), density)


def test_an_unmoved_layer_shows_its_texture() -> None:
    texture = torch.rand(3, 8, 10, generator=torch.Generator().manual_seed(0))
    plain = layer(texture, 2)
    assert torch.allclose(plain.seen_at(plain.places(8, 10)), texture.expand(2, -1, -1, -1), atol=1e-6)


def test_shift_residual_and_density_move_the_place() -> None:
    moved = layer(torch.zeros(3, 4, 4), density=2.0)
    moved.residual[:, 0] = 1.5
    places = moved.places(4, 4)
    assert places[0, 0, 0].tolist() == [4.0, 1.0]  # (0.5 + 1.5, 0.5) * 2


def test_a_digest_stands_for_all_that_an_atlas_holds() -> None:
    texture = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(2))
    atlas = LayeredAtlas(layer(texture), layer(torch.zeros(3, 4, 4)), torch.full((1, 4, 4), 0.5))
    changed = [
        replace(atlas, alpha=atlas.alpha * 2),
        replace(atlas, foreground=atlas.background, background=atlas.foreground),
        replace(atlas, background=atlas.background.with_texture(texture)),
        replace(atlas, foreground=replace(atlas.foreground, density=2.0)),
        replace(atlas, foreground=replace(atlas.foreground, origin=(1.0, 0.0))),
        replace(atlas, foreground=replace(atlas.foreground, residual=atlas.foreground.residual + 1)),
        replace(atlas, foreground=replace(atlas.foreground, affine=atlas.foreground.affine * 2)),
    ]
    assert len({made.digest() for made in (atlas, *changed)}) == 8
    assert replace(atlas, alpha=atlas.alpha.clone()).digest() == atlas.digest()


def test_what_is_splatted_is_seen_again() -> None:
    texture = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(1))
    plain = layer(torch.zeros(3, 6, 6))
    places = plain.places(6, 6).reshape(-1, 2)
    found, coverage = splat(texture.permute(1, 2, 0).reshape(-1, 3), torch.ones(36), places, (6, 6))
    assert torch.allclose(found, texture, atol=1e-6)
    assert torch.allclose(coverage, torch.ones(6, 6))


def test_pixels_beside_the_texture_are_left_out_and_weights_count() -> None:
    values = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    places = torch.tensor([[0.5, 0.5], [0.5, 0.5], [9.0, 9.0]])
    found, coverage = splat(values, torch.tensor([3.0, 1.0, 1.0]), places, (2, 2))
    assert found[:, 0, 0].tolist() == pytest.approx([0.75, 0.25, 0.0])
    assert coverage.tolist() == [[4.0, 0.0], [0.0, 0.0]]


def test_holes_take_the_colour_around_them() -> None:
    texture = torch.full((3, 9, 7), 0.4)
    coverage = torch.ones(9, 7)
    texture[:, 3:6, 2:5], coverage[3:6, 2:5] = 0.0, 0.0
    assert torch.allclose(filled(texture, coverage), torch.full((3, 9, 7), 0.4), atol=1e-5)
    known = torch.rand(3, 8, 8)
    assert torch.equal(filled(known, torch.ones(8, 8)), known)


def test_alpha_mixes_the_layers() -> None:
    atlas = LayeredAtlas(layer(torch.ones(3, 4, 4)), layer(torch.zeros(3, 4, 4)), torch.full((1, 4, 4), 0.25))
    assert torch.allclose(atlas.render(), torch.full((1, 3, 4, 4), 0.25))
