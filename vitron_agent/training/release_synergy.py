"""Stage 3 at full size: a discriminator tells the module from a call's shared signals, the planner learns to hide it.

After VITRON, section 4.3 and appendix B.3. What the tiny profile's stage (synergy_stage.py) asks of specialists beside
it needs the truth of every call, which the release's samples do not hold: here the words are what must not suffer.
Knows the planner's states; not data, optimisers or how long a run is.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitron_agent.errors import InputError
from vitron_agent.invocation import Module
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.training.signals_data import signal_runs
from vitron_agent.training.synergy_parts import Discriminator, reversal_strength, reverse_gradient

WIDTH, HEAD, LAYERS = 768, 64, 4
"""Of the paper's discriminator, and of each of its heads; no wider than the planner whose signals it reads."""


class ModuleAdversary(nn.Module):
    """What a planner's shared signals give away, as a loss that it learns to raise and the discriminator to lower."""

    def __init__(self, vocabulary: Vocabulary, d_llm: int, most: float) -> None:
        """Build an untrained discriminator.

        Args:
            vocabulary: Knows the signal tokens of every module.
            d_llm: Width of the planner's states, a multiple of 64 or smaller than 128.
            most: Weight of the reversed gradient at the end of a run, see `reversal_strength`.
        """
        super().__init__()
        self.vocabulary, self.most = vocabulary, most
        self.module_of = {vocabulary.signals(module)[0]: place for place, module in enumerate(Module)}
        width = min(WIDTH, d_llm)
        self.discriminator = Discriminator(d_llm, len(Module), width, LAYERS, max(width // HEAD, 1))

    def forward(self, ids: Tensor, states: Tensor, done: float) -> Tensor:
        """Return the discriminator's cross-entropy over the calls of one conversation; 0 where there is none.

        Args:
            ids: (T,) int64.
            states: (T, d_llm), the planner's last layer.
            done: Share of the run that is over, 0 to 1.
        """
        (runs,) = signal_runs(ids[None], states[None], self.vocabulary)
        if not runs:
            return states.new_zeros(())
        called = [self.module_of[token] for token in ids.tolist() if token in self.module_of]
        shared = torch.stack([run[-self.vocabulary.shared :] for run in runs]).float()
        logits = self.discriminator(reverse_gradient(shared, reversal_strength(done, self.most)))
        return F.cross_entropy(logits, torch.tensor(called, device=logits.device))


def check_modules(modules: set[Module]) -> None:
    """Refuse data from which no synergy can be learned.

    Raises:
        InputError: Fewer than two modules are called.
    """
    if len(modules) < 2:
        called = ", ".join(module.letter for module in modules) or "none"
        raise InputError(f"stage 3 learns what modules share, the data call {called}: add samples that call others")
