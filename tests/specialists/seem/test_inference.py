import torch

from vitron_agent.specialists.seem.inference import (
    components,
    confident,
    distinct,
    panoptic,
    resize_masks,
    semantic,
    touched,
)

VOID = 3  # of four classes


def logits(*labels: int, sure: float = 8.0) -> torch.Tensor:
    """Class logits (Q, 4) that favour one label each."""
    return torch.nn.functional.one_hot(torch.tensor(labels), 4).float() * sure


def rectangle(top: int, left: int, bottom: int, right: int, value: float = 5.0) -> torch.Tensor:
    mask = torch.full((8, 8), -5.0)
    mask[top:bottom, left:right] = value
    return mask


def test_every_pixel_belongs_to_at_most_one_segment():
    masks = torch.stack([rectangle(0, 0, 8, 5, 3.0), rectangle(0, 4, 8, 8, 6.0)])
    found = panoptic(logits(0, 1), masks, 0.4, 0.5)
    assert [segment.label for segment in found] == [0, 1]
    assert not (found[0].mask & found[1].mask).any()
    assert found[1].mask[:, 4].all()


def test_void_and_unsure_queries_make_no_segment():
    masks = rectangle(0, 0, 4, 4).expand(3, 8, 8)
    class_logits = torch.cat((logits(VOID), logits(0, sure=0.1), logits(1)))
    assert [segment.label for segment in panoptic(class_logits, masks, 0.4, 0.1)] == [1]


def test_a_mostly_hidden_segment_is_dropped():
    masks = torch.stack([rectangle(0, 0, 8, 8, 1.0), rectangle(0, 0, 8, 6, 6.0)])
    assert [segment.label for segment in panoptic(logits(0, 1), masks, 0.4, 0.8)] == [1]
    assert len(panoptic(logits(0, 1), masks, 0.4, 0.2)) == 2


def test_only_stuff_of_one_class_is_merged():
    masks = torch.stack([rectangle(0, 0, 8, 3), rectangle(0, 5, 8, 8)])
    assert len(panoptic(logits(2, 2), masks, 0.4, 0.8)) == 2
    merged = panoptic(logits(2, 2), masks, 0.4, 0.8, frozenset({2}))
    assert len(merged) == 1
    assert merged[0].mask.sum() == 48


def test_nothing_found_is_an_empty_list():
    assert panoptic(logits(VOID, VOID), torch.zeros(2, 8, 8), 0.4, 0.8) == []


def test_semantic_leaves_void_out():
    shares = semantic(logits(0, VOID), torch.stack([rectangle(0, 0, 8, 8), rectangle(0, 0, 8, 8)]))
    assert shares.shape == (3, 8, 8)
    assert shares[0].min() > 0.9
    assert shares[1:].max() < 0.1


def test_masks_come_back_at_the_pictures_size():
    small = torch.full((1, 8, 8), -4.0)
    small[0, :3, :4] = 4.0  # of a 24 x 28 picture inside a 32 x 32 input: rows 0-11, columns 0-15
    large = resize_masks(small, (32, 32), (24, 28), (48, 56))[0] > 0
    assert large.shape == (48, 56)
    assert large[:22, :30].all()  # up to the blur of the border
    assert not large[26:].any()
    assert not large[:, 34:].any()


def test_pieces_come_largest_first_and_diagonals_connect():
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[0, 0] = mask[1, 1] = True
    mask[4:7, 4:7] = True
    pieces = components(mask)
    assert [int(piece.sum()) for piece in pieces] == [9, 2]
    assert torch.equal(torch.stack(pieces).any(0), mask)
    assert components(torch.zeros(4, 4, dtype=torch.bool)) == []


def test_a_stroke_keeps_the_pieces_it_lies_on():
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:3, :3] = mask[5:, 5:] = mask[5:, :3] = True
    stroke = torch.zeros_like(mask)
    stroke[1, 1:] = True
    kept = touched(mask, stroke)
    assert kept[:3, :3].all()
    assert int(kept.sum()) == 9
    stroke[6, 6] = True
    assert int(touched(mask, stroke).sum()) == 18
    assert torch.equal(touched(mask, torch.zeros_like(mask)), mask)


def test_what_is_empty_or_shown_by_a_better_mask_is_left_out():
    wide, same, other, empty = (rectangle(*box) > 0 for box in ((0, 0, 8, 4), (0, 0, 7, 4), (0, 3, 8, 8), (0, 0, 0, 0)))
    assert [int(mask.sum()) for mask in distinct([wide, same, empty, other])] == [32, 40]
    assert [int(mask.sum()) for mask in distinct([same, wide])] == [28]
    assert distinct([empty]) == []


def test_who_leaves_out_what_is_not_confident_first_finds_the_same_segments():
    class_logits, masks = torch.randn(12, 5) * 3, torch.randn(12, 8, 8)
    kept = confident(class_logits, 0.6)
    assert 0 < len(kept) < 12
    assert (class_logits[kept].argmax(-1) != 4).all()
    whole, part = panoptic(class_logits, masks, 0.6, 0.2), panoptic(class_logits[kept], masks[kept], 0.6, 0.2)
    assert [(s.label, s.score) for s in whole] == [(s.label, s.score) for s in part]
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(whole, part, strict=True))
