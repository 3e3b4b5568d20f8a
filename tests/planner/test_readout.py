"""A linear readout finds what is there, and nothing where nothing is."""

import pytest
import torch

from vitron_agent.planner.readout import LinearReadout


def test_it_tells_classes_apart_that_it_has_not_seen_the_rows_of() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = [number % 3 for number in range(300)]
    features = torch.randn(300, 8, generator=generator)
    features[torch.arange(300), torch.tensor(labels)] += 4
    features[:, 7] = 5.0  # says nothing, and has no spread to divide by
    readout = LinearReadout.fitted(features[:200], labels[:200])
    found = readout(features[200:])
    assert found.dtype == torch.int64
    assert (found == torch.tensor(labels[200:])).float().mean() > 0.9


def test_noise_tells_nothing() -> None:
    features = torch.randn(400, 4, generator=torch.Generator().manual_seed(1))
    labels = [number % 2 for number in range(400)]
    readout = LinearReadout.fitted(features[:200], labels[:200])
    assert (readout(features[200:]) == torch.tensor(labels[200:])).float().mean() < 0.65


def test_one_row_is_too_few() -> None:
    with pytest.raises(ValueError, match="1 rows are too few"):
        LinearReadout.fitted(torch.zeros(1, 2), [0])
