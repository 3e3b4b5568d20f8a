"""The box around a mask: shares of the sides, edges of pixels."""

import pytest
import torch

from vitron_agent.media import box_of


def test_a_box_is_the_smallest_around_a_mask() -> None:
    mask = torch.zeros(8, 16, dtype=torch.bool)
    mask[2:7, 1:4] = True
    mask[3, 2] = False
    assert box_of(mask) == (1 / 16, 2 / 8, 4 / 16, 7 / 8)
    assert box_of(torch.ones(8, 16, dtype=torch.bool)) == (0, 0, 1, 1)


def test_there_is_no_box_around_nothing() -> None:
    with pytest.raises(ValueError, match="the mask is empty"):
        box_of(torch.zeros(4, 4, dtype=torch.bool))
