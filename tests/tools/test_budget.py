from dataclasses import dataclass

import pytest
import torch
from torch import nn

from vitron_agent.tools.budget import MIB, Budget, weight_bytes

BUDGET = Budget(100, 20, {"draw": 50, "find": 10}, {"draw": 15, "find": 5})


def test_weights_count_while_they_are_loaded_and_work_while_it_lasts() -> None:
    assert BUDGET.takes((), ()) == 20
    assert BUDGET.takes(("draw", "find"), ()) == 80
    assert BUDGET.takes(("draw", "find"), ("draw",)) == 95
    assert BUDGET.takes(("find",), ("draw",)) == 95  # who is at work is loaded, or about to be
    assert BUDGET.fits(("draw", "find"), ("draw", "find"))
    assert BUDGET.takes(("other",), ()) == 20  # what is not known counts when it was loaded once


def test_without_a_budget_everything_fits() -> None:
    assert Budget().fits(("a", "b"), ("a", "b"))
    assert Budget().lack("a") is None


def test_what_does_not_fit_even_alone_says_what_would() -> None:
    small = Budget(80, 20, {"draw": 50}, {"draw": 15})
    assert small.lack("find") is None
    assert small.lack("draw") == (
        "draw needs 65 MiB beside the 20 MiB that the planner takes, and the budget is 80 MiB: give at least 85 MiB, "
        "choose a larger device, or do without it"
    )
    assert str(Budget(60, 0, {"draw": 50}, {"draw": 15}).lack("draw")).startswith("draw needs 65 MiB, and the")


@dataclass
class Parts:
    unet: nn.Module
    extra: tuple[nn.Module, ...] = ()


class Draws:
    def __init__(self, *networks: nn.Module) -> None:
        self.parts = Parts(networks[0], networks[1:])
        self.me = self  # a cycle is no trap


def test_weights_are_found_in_the_parts_of_a_specialist_and_shared_ones_count_once() -> None:
    first, second = nn.Linear(256, 1024, bias=False), nn.Linear(8, 8, bias=False, dtype=torch.bfloat16)
    assert weight_bytes(Draws(first, second)) == MIB + 128
    second.weight = nn.Parameter(torch.ones(1, 1))
    assert weight_bytes(Draws(first, first)) == MIB
    assert weight_bytes("nothing") == 0


def test_what_was_found_takes_the_place_of_what_was_said() -> None:
    budget = Budget(10, weights={"draw": 5.0})
    budget.found("draw", Draws(nn.Linear(256, 2048, bias=False)))
    assert budget.weights == {"draw": 2.0}


@pytest.mark.parametrize("total", [84.9, 85])
def test_the_limit_itself_is_within_the_budget(total: float) -> None:
    assert Budget(total, 20, {"draw": 50}, {"draw": 15}).fits((), ("draw",)) is (total == 85)
