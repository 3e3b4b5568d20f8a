"""Floats become bytes: rounded, and cut off where they leave their range."""

import torch

from vitron_agent.specialists.pixels import as_bytes, unit_range


def test_pixels_are_rounded_and_cut_off() -> None:
    found = as_bytes(torch.tensor([-0.5, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 7.0]))
    assert found.dtype == torch.uint8
    assert found.tolist() == [0, 0, 0, 1, 255, 255]


def test_what_was_decoded_comes_to_the_unit_range() -> None:
    found = unit_range(torch.tensor([-3.0, -1.0, 0.0, 1.0, 2.0], dtype=torch.bfloat16))
    assert found.dtype == torch.float32
    assert found.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
