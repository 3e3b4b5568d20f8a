import torch

from vitron_agent.training.seem_measure import Tally


def test_a_tally_sums_over_the_set_and_counts_refusals():
    tally = Tally()
    left, all_ = torch.zeros(4, 4, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)
    left[:, :1] = True
    tally.add(left, left, 1.0)
    tally.add(left, all_, 2.0)
    tally.add(None, left, 3.0)
    row = tally.row()
    assert row == {"n": 3, "ciou": round(8 / 24, 4), "miou": round(1.25 / 3, 4), "p50": 0.3333, "nothing": 0.3333,
                   "seconds": 2.0}  # fmt: skip


def test_nothing_wanted_and_nothing_found_is_right():
    tally = Tally()
    tally.add(None, torch.zeros(4, 4, dtype=torch.bool), 0.0)
    assert tally.row()["miou"] == 1
