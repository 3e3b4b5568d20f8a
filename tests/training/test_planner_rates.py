"""Which optimiser takes which of the planner's weights, and the course of its rate."""

import pytest
import torch
from torch import nn

from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.tiny import tiny_planner_config
from vitron_agent.training.planner_rates import make_optimizers, rate_factor

RATES = {"muon_lr": 3e-3, "lr": 2e-3, "tower_lr": 1e-4}


def test_the_rate_warms_up_and_runs_out() -> None:
    assert rate_factor(0.1, 0, 0.3) < 0.05
    assert rate_factor(0.5, 1000, 0.3) == 1
    assert rate_factor(0.85, 1000, 0.3) == pytest.approx(0.505)
    assert rate_factor(1.0, 1000, 0.3) < 0.01


@pytest.mark.parametrize("tower_lr", [1e-4, 0.0])
def test_each_weight_is_taken_by_one_optimiser(tower_lr: float) -> None:
    model, beside = PlannerModel.new(tiny_planner_config(64, 62, 63)), nn.Linear(2, 1)
    adam, muon = make_optimizers(model, {**RATES, "tower_lr": tower_lr}, beside.parameters())
    taken = [id(p) for optimiser in (adam, muon) for group in optimiser.param_groups for p in group["params"]]
    assert len(taken) == len(set(taken))
    tower = {id(p) for p in model.tower.parameters()}
    wanted = {id(p) for p in (*model.parameters(), *beside.parameters())}
    assert set(taken) == (wanted if tower_lr else wanted - tower)
    assert all(isinstance(p, torch.Tensor) and p.ndim == 2 for group in muon.param_groups for p in group["params"])
    assert id(beside.weight) in {id(p) for p in adam.param_groups[0]["params"]}
