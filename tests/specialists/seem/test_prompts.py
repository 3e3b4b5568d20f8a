import torch

from vitron_agent.specialists.seem.prompts import (
    GROUNDING,
    PAD,
    SPATIAL,
    PromptTokens,
    StrokePoints,
    pool,
    sample,
    stroke_points,
)


def test_points_are_pixel_columns_and_rows_as_shares():
    mask = torch.zeros(4, 8, dtype=torch.bool)
    mask[1, 6] = mask[3, 0] = True
    points = stroke_points([mask], 512)
    assert points.places.tolist() == [[[0.75, 0.25], [0.0, 0.75]]]
    assert points.signs.tolist() == [[1, 1]]


def test_a_large_stroke_is_cut_to_the_same_points_every_time():
    mask = torch.ones(64, 64, dtype=torch.bool)
    torch.manual_seed(1)
    first = stroke_points([mask], 100)
    torch.manual_seed(2)
    again = stroke_points([mask], 100)
    assert first.places.shape == (1, 100, 2)
    assert torch.equal(first.places, again.places)
    assert not torch.equal(first.places, stroke_points([mask], 100, seed=1).places)
    assert len(first.places[0].unique(dim=0)) == 100


def test_strokes_are_padded_to_the_longest_and_negatives_follow():
    small, large = torch.zeros(8, 8, dtype=torch.bool), torch.zeros(8, 8, dtype=torch.bool)
    small[0, 0] = True
    large[2, :3] = True
    points = stroke_points([small, large], 512, negative=[large, small & False])
    assert points.signs.tolist() == [[1, -1, -1, -1], [1, 1, 1, 0]]


def test_sampling_reads_corners_aligned():
    features = torch.arange(12.0).reshape(1, 1, 3, 4)
    corners = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.5]]])
    assert sample(features, corners)[0, :, 0].tolist() == [0, 3, 8, 11, 5.5]


def test_pooling_averages_one_sign_and_is_zero_without_it():
    features = torch.arange(12.0).reshape(1, 1, 3, 4)
    points = StrokePoints(torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]]), torch.tensor([[1, 1, 0]]))
    assert pool(features, points, 1).item() == 1.5
    assert pool(features, points, -1).item() == 0


def test_an_empty_stroke_pools_to_zero():
    points = stroke_points([torch.zeros(8, 8, dtype=torch.bool)], 512)
    assert points.places.shape == (1, 0, 2)
    assert pool(torch.ones(1, 5, 2, 2), points, 1).tolist() == [[0] * 5]


def test_tokens_join_and_pad():
    rows = torch.ones(2, 3, 4)
    text = PromptTokens((rows, rows, rows), torch.full((2, 3), GROUNDING))
    stroke = PromptTokens((rows * 2, rows * 3, rows * 4), torch.full((2, 3), SPATIAL))
    both = text.join(stroke).pad(8)
    assert both.kinds[0].tolist() == [GROUNDING] * 3 + [SPATIAL] * 3 + [PAD] * 2
    assert both.levels[1][0, :, 0].tolist() == [1, 1, 1, 3, 3, 3, 0, 0]
    assert PromptTokens.none(2, rows).join(text).kinds.tolist() == text.kinds.tolist()
