import math

import pytest
import torch

from vitron_agent.evaluation.metrics import (
    bootstrap,
    c_iou,
    contour_f,
    g_iou,
    j_and_f,
    mean,
    median,
    overlap,
    psnr,
    wilson,
)


def test_overlap_counts_pixels() -> None:
    found = torch.tensor([[True, True], [False, False]])
    truth = torch.tensor([[True, False], [True, False]])
    assert overlap(found, truth) == (1, 3)
    with pytest.raises(ValueError, match="equal sizes"):
        overlap(found, truth[:1])


def test_the_two_ious_weigh_large_and_small_masks_differently() -> None:
    pairs = [(90, 100), (0, 10)]
    assert c_iou(pairs) == pytest.approx(90 / 110)
    assert g_iou(pairs) == pytest.approx(0.45)


def test_ious_of_nothing_found_where_nothing_is() -> None:
    assert c_iou([(0, 0)]) == 1.0
    assert g_iou([(0, 0), (0, 4)]) == 0.5


def test_psnr_of_one_grey_level_and_of_equal_pictures() -> None:
    first = torch.full((3, 4, 4), 100, dtype=torch.uint8)
    assert psnr(first, first + 1) == pytest.approx(20 * math.log10(255))
    assert psnr(first, first) == math.inf


def test_psnr_looks_only_where_it_shall() -> None:
    first = torch.zeros(3, 4, 4, dtype=torch.uint8)
    second = first.clone()
    second[:, 0] = 255
    where = torch.ones(4, 4, dtype=torch.bool)
    where[0] = False
    assert psnr(first, second, where) == math.inf
    with pytest.raises(ValueError, match="no pixel"):
        psnr(first, second, torch.zeros(4, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="equal sizes"):
        psnr(first, second[:, :2])


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)]
)
def test_wilson_against_published_values(hits: int, n: int, low: float, high: float) -> None:
    """81 of 263: Newcombe 1998, table I, method 3."""
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-4)


def test_wilson_of_nothing_knows_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_bootstrap_encloses_the_mean_and_narrows_with_n() -> None:
    small, large = [0.0, 1.0] * 10, [0.0, 1.0] * 200
    low, high = bootstrap(small, mean)
    assert low < 0.5 < high
    tight = bootstrap(large, mean)
    assert tight[1] - tight[0] < high - low
    assert bootstrap(large, mean) == tight
    assert math.isnan(bootstrap([], mean)[0])


def test_mean_and_median() -> None:
    assert mean([1.0, 2.0, 6.0]) == 3.0
    assert median([5.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5
    assert math.isnan(mean([]))
    assert math.isnan(median([]))


def test_contours_may_be_a_pixel_off_at_this_size() -> None:
    truth = torch.zeros(64, 64, dtype=torch.bool)
    truth[20:40, 20:40] = True
    assert contour_f(truth, truth) == 1
    assert contour_f(truth.roll(1, 0), truth) == 1
    assert 0.3 < contour_f(truth.roll(4, 0), truth) < 0.7
    assert contour_f(truth.roll((20, 20), (0, 1)), truth) < 0.1
    nothing = torch.zeros_like(truth)
    assert (contour_f(nothing, nothing), contour_f(nothing, truth)) == (1, 0)


def test_tracking_is_judged_by_area_and_contour() -> None:
    truth = torch.zeros(2, 64, 64, dtype=torch.bool)
    truth[:, 20:40, 20:40] = True
    assert j_and_f(truth, truth) == 1
    lost = truth.clone()
    lost[1] = False
    assert j_and_f(lost, truth) == 0.5
    with pytest.raises(ValueError, match="zip"):
        j_and_f(truth[:1], truth)
