"""A mask over its picture, by its pixels."""

import torch

from vitron_agent.media.overlay import TINT, outline, overlay


def test_the_outline_is_the_masks_border() -> None:
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[2:6, 2:6] = True
    line = outline(mask)
    assert int(line.sum()) == 12
    assert not line[3:5, 3:5].any()


def test_a_mask_at_the_edge_has_an_outline_there() -> None:
    assert outline(torch.ones(4, 4, dtype=torch.bool))[0].all()


def test_the_overlay_tints_the_mask_and_nothing_else() -> None:
    image = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[2:6, 2:6] = True
    shown = overlay(image, mask)
    assert torch.equal(shown[:, ~mask], image[:, ~mask])
    assert tuple(shown[:, 2, 2].tolist()) == TINT
    assert shown[:, 3, 3].tolist() == [round(100 * 0.55 + value * 0.45) for value in TINT]


def test_nothing_masked_shows_the_picture_itself() -> None:
    image = torch.randint(0, 256, (3, 6, 7), dtype=torch.uint8)
    assert torch.equal(overlay(image, torch.zeros(6, 7, dtype=torch.bool)), image)


def test_parts_of_a_mask_that_lie_apart_and_at_edges_each_get_their_outline() -> None:
    image = torch.full((3, 20, 24), 10, dtype=torch.uint8)
    mask = torch.zeros(20, 24, dtype=torch.bool)
    mask[0:4, 0:4], mask[12:18, 15:24] = True, True
    shown, line = overlay(image, mask), outline(mask)
    assert torch.equal(shown[:, line], torch.tensor(TINT, dtype=torch.uint8)[:, None].expand(-1, int(line.sum())))
    assert torch.equal(shown[:, ~mask], image[:, ~mask])
    inside = mask & ~line
    assert inside.any()
    assert not (shown[:, inside] == 10).all(0).any()
