"""What states hold, read off by a linear classifier: how a feature's content is measured. Knows tensors only."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """Multinomial regression on standardised features.

    Attributes:
        mean: (d,) float32, taken off first.
        spread: (d,) float32, divided by.
        weight: (d, classes) float32.
        bias: (classes,) float32.
    """

    mean: Tensor
    spread: Tensor
    weight: Tensor
    bias: Tensor

    @classmethod
    def fitted(cls, features: Tensor, labels: Sequence[int], decay: float = 1e-2) -> "LinearReadout":
        """Fit one.

        Args:
            features: (N, d) float.
            labels: N class numbers from 0; as many classes are told apart as the largest one says.
            decay: Weight of the squared weights, against fitting noise.

        Raises:
            ValueError: There are fewer than two rows.
        """
        if len(features) < 2:
            raise ValueError(f"{len(features)} rows are too few for a readout: collect more")
        target = torch.tensor(labels)
        mean, spread = features.mean(0).detach(), features.std(0).clamp_min(1e-6).detach()
        rows = ((features - mean) / spread).detach()
        weight = torch.zeros(rows.shape[1], int(target.max()) + 1, requires_grad=True)
        bias = torch.zeros(weight.shape[1], requires_grad=True)
        optimiser = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimiser.zero_grad()
            loss = F.cross_entropy(rows @ weight + bias, target) + decay * weight.square().sum()
            loss.backward()
            return loss

        with torch.enable_grad():
            optimiser.step(closure)
        return cls(mean, spread, weight.detach(), bias.detach())

    def __call__(self, features: Tensor) -> Tensor:
        """Class numbers (N,) int64 of features (N, d) float."""
        return (((features - self.mean) / self.spread) @ self.weight + self.bias).argmax(1)
