"""Parts of stage 3: signal tokens that can be trained alone, the discriminator, gradient reversal, a linear probe.

After VITRON, section 4.3 and appendix B.3 (a transformer that sees the shared features alone and tells the task), and
Ganin et al. 2016 (reversal, and the schedule of its weight). Nothing here knows specialists, data or files.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vitron_agent.invocation import Module
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.readout import LinearReadout
from vitron_agent.planner.tokenizer import Vocabulary


class SignalRows(nn.Module):
    """The input embeddings of the planner's signal tokens, apart from all others: what they ask of the conversation.

    With these alone trained, the planner writes every word as before.
    """

    def __init__(self, model: PlannerModel, vocabulary: Vocabulary) -> None:
        """Begin with the planner's own rows."""
        super().__init__()
        self.ids = sorted({token for module in Module for token in vocabulary.signals(module)})
        table = model.language_model.get_input_embeddings().weight
        self.rows = nn.Parameter(table[self.ids].detach().clone().float())
        place = torch.full((len(table),), -1)
        place[self.ids] = torch.arange(len(self.ids))
        self.register_buffer("place", place, persistent=False)

    def put(self, ids: Tensor, embeds: Tensor) -> Tensor:
        """Embeddings (B, T, d_llm) of ids (B, T), with these rows where signal tokens stand."""
        place = self.get_buffer("place")[ids]
        return torch.where((place >= 0)[..., None], self.rows[place.clamp_min(0)].to(embeds.dtype), embeds)

    @torch.no_grad()
    def write_into(self, model: PlannerModel) -> None:
        """Give a planner these rows."""
        table = model.language_model.get_input_embeddings().weight
        table[self.ids] = self.rows.to(table.device, table.dtype)


class _Reversal(torch.autograd.Function):
    """Identity whose gradient is turned round and scaled."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * grads[0], None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Return x; its gradient comes back times -strength, so that what is behind x learns the opposite."""
    found: Tensor = _Reversal.apply(x, strength)
    return found


def reversal_strength(done: float, most: float) -> float:
    """The weight of the reversed gradient when `done` (0 to 1) of a run is over: from 0 towards `most`."""
    return most * (2 / (1 + math.exp(-10 * done)) - 1)


class Discriminator(nn.Module):
    """Tells the task from the shared features: a transformer encoder, the mean over tokens, a linear layer.

    The paper's has 4 layers of width 768; the tiny profile's is smaller in the same measure as its planner.
    """

    def __init__(self, d_llm: int, tasks: int, width: int = 64, layers: int = 2, heads: int = 4) -> None:
        """Build an untrained one.

        Args:
            d_llm: Width of the planner's states.
            tasks: How many tasks are told apart.
            width: Inner width, divisible by `heads`.
            layers: Encoder layers.
            heads: Attention heads.
        """
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, batch_first=True, norm_first=True)
        self.proj_in = nn.Sequential(nn.LayerNorm(d_llm), nn.Linear(d_llm, width))
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, tasks)

    def forward(self, shared: Tensor) -> Tensor:
        """Logits (B, tasks) of shared features vs, (B, n_shared, d_llm)."""
        found: Tensor = self.head(self.encoder(self.proj_in(shared)).mean(1))
        return found


def linear_probe(features: Tensor, labels: Sequence[int], train: float = 0.7, decay: float = 1e-2) -> float:
    """How well a linear classifier that is fitted to some rows names the task of the others.

    Args:
        features: (N, d) float.
        labels: N task numbers; rows of all tasks should be mixed.
        train: Share of rows, from the first on, that it is fitted to.
        decay: Weight of the squared weights, against fitting noise.

    Returns:
        Its accuracy on the other rows.

    Raises:
        ValueError: There are fewer than two rows for either part.
    """
    cut = round(train * len(features))
    if min(cut, len(features) - cut) < 2:
        raise ValueError(f"{len(features)} rows are too few for a probe: collect more")
    readout = LinearReadout.fitted(features[:cut], labels[:cut], decay)
    return float((readout(features[cut:]) == torch.tensor(labels[cut:])).float().mean())
