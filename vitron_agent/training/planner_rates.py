"""How fast each part of the planner learns: its optimisers, and the course of their rates."""

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from vitron_agent.planner.model import PlannerModel
from vitron_agent.training.muon import MuonAdamW


def make_optimizers(
    model: PlannerModel, rate: Mapping[str, float], beside: Iterable[nn.Parameter] = ()
) -> list[torch.optim.Optimizer]:
    """Muon for the Llama blocks' matrices, AdamW for the rest.

    Args:
        model: The planner.
        rate: "muon_lr", "lr" of the rest, "tower_lr" of the vision tower (0 leaves it out).
        beside: What else learns, at the rate of the rest.
    """
    matrices, tower, rest = [], [], []
    for name, parameter in model.named_parameters():
        if "language_model.layers" in name and parameter.ndim == 2:
            matrices.append(parameter)
        elif "vision_tower" in name:
            tower.append(parameter)
        else:
            rest.append(parameter)
    groups = [{"params": [*rest, *beside], "lr": rate["lr"]}]
    if rate["tower_lr"] > 0:
        groups.append({"params": tower, "lr": rate["tower_lr"]})
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01)
    muon = MuonAdamW([{"params": matrices, "lr": rate["muon_lr"], "weight_decay": 0.02, "muon": True}], rounds=4)
    return [adam, muon]


def rate_factor(done: float, step: int, decay: float) -> float:
    """Warm-up over 50 steps, constant, then linear to zero over the last `decay` of the run."""
    return min(1.0, (step + 1) / 50) * min(1.0, max(1 - done, 0.0) / decay + 0.005)
