"""Muon for matrices and convolutions, AdamW for the rest, in one optimiser.

Muon (Keller Jordan, "Muon: An optimizer for hidden layers", 2024) orthogonalises each matrix's momentum; a step's size
is matched to AdamW's by 0.2 * sqrt(max(rows, columns)) ("Muon is scalable for LLM training", 2025). Knows tensors only.
"""

from typing import Any

import torch
from torch import Tensor

from vitron_agent.training.precision import multiplies_bfloat16

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrices: Tensor, rounds: int = 5) -> Tensor:
    """Return (n, rows, columns) with singular values pushed to about 1 (Newton-Schulz, in bf16 where that is fast)."""
    a, b, c = _COEFFICIENTS
    x = matrices.bfloat16() if multiplies_bfloat16(matrices.device) else matrices.float()
    turned = x.shape[-2] > x.shape[-1]
    x = x.mT if turned else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if turned else x).to(matrices.dtype)


class MuonAdamW(torch.optim.Optimizer):
    """One optimiser for both kinds of parameter groups: `muon=True` groups hold tensors with at least two axes."""

    def __init__(
        self,
        groups: list[dict[str, Any]],
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        rounds: int = 5,
    ) -> None:
        """Optimise `groups`: each with params, lr, and optionally muon (of `rounds` rounds) and weight_decay."""
        super().__init__(groups, {"lr": 1e-3, "muon": False, "weight_decay": 0.0})
        self.momentum, self.betas, self.rounds = momentum, betas, rounds

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step."""
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if group["weight_decay"] and weights:
                torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            if group["muon"]:
                self._muon(weights, group["lr"])
            elif weights:
                self._adam(weights, group["lr"])

    def _muon(self, weights: list[Tensor], rate: float) -> None:
        alike: dict[tuple[int, int], list[Tensor]] = {}
        for weight in weights:
            alike.setdefault((weight.shape[0], weight[0].numel()), []).append(weight)
        for (rows, columns), members in alike.items():
            updates = []
            for weight in members:
                assert weight.grad is not None
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight.grad)
                state["momentum"].lerp_(weight.grad, 1 - self.momentum)
                updates.append(weight.grad.lerp(state["momentum"], self.momentum).reshape(rows, columns))
            scale = rate * 0.2 * max(rows, columns) ** 0.5
            for weight, update in zip(members, orthogonalised(torch.stack(updates), self.rounds), strict=True):
                weight.sub_(update.reshape(weight.shape), alpha=scale)

    def _adam(self, weights: list[Tensor], rate: float) -> None:
        states = [self.state[weight] for weight in weights]
        for weight, state in zip(weights, states, strict=True):
            if not state:
                state |= {
                    "exp_avg": torch.zeros_like(weight),
                    "exp_avg_sq": torch.zeros_like(weight),
                    "step": torch.zeros(()),
                }
        grads = [weight.grad for weight in weights if weight.grad is not None]
        first, second = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
        for state in states:
            state["step"] += 1
        count = float(states[0]["step"])
        torch._foreach_lerp_(first, grads, 1 - self.betas[0])
        torch._foreach_mul_(second, self.betas[1])
        torch._foreach_addcmul_(second, grads, grads, 1 - self.betas[1])
        deviation = torch._foreach_sqrt(torch._foreach_div(second, 1 - self.betas[1] ** count))
        torch._foreach_add_(deviation, 1e-8)
        torch._foreach_addcdiv_(weights, first, deviation, -rate / (1 - self.betas[0] ** count))
