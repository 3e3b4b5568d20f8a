"""Stage 3 at full size: the discriminator learns to tell modules from signals, and signals learn the opposite."""

import pytest
import torch
from torch import Tensor
from transformers import LlamaTokenizer

from vitron_agent.errors import InputError
from vitron_agent.invocation import Module
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.profiles import TINY
from vitron_agent.training.release_synergy import ModuleAdversary, check_modules

WIDTH = 16
CALLED = (Module.A, Module.E, Module.A)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    assert TINY.folder is not None
    return Vocabulary(LlamaTokenizer.from_pretrained(TINY.folder / "planner"), 4, 4)


@pytest.fixture
def adversary(vocabulary: Vocabulary) -> ModuleAdversary:
    torch.manual_seed(0)
    return ModuleAdversary(vocabulary, WIDTH, 0.5)


def conversation(vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """Ids with a word before every call, and states in which each module's shared tokens look like it."""
    ids = torch.tensor([token for module in CALLED for token in (9, *vocabulary.signals(module))])
    states = torch.randn(len(ids), WIDTH, generator=torch.Generator().manual_seed(1))
    states[:, 0] = 0.0
    for place, token in enumerate(ids.tolist()):
        if token in vocabulary.signals(Module.E):
            states[place, 0] = 3.0
    return ids, states.requires_grad_()


def test_the_discriminator_learns_to_tell_modules_of_all_calls(
    vocabulary: Vocabulary, adversary: ModuleAdversary
) -> None:
    ids, states = conversation(vocabulary)
    optimiser = torch.optim.AdamW(adversary.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = adversary(ids, states, 0.0)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 1
    assert losses[-1] < 0.2


def test_signals_learn_to_hide_it_and_only_those_that_are_shared(
    vocabulary: Vocabulary, adversary: ModuleAdversary
) -> None:
    ids, states = conversation(vocabulary)
    told = adversary(ids, states, 1.0)
    (gradient,) = torch.autograd.grad(told, states)
    shared = torch.zeros(len(ids), dtype=torch.bool)
    length = 1 + vocabulary.per_module + vocabulary.shared
    for call in range(len(CALLED)):
        shared[(call + 1) * length - vocabulary.shared : (call + 1) * length] = True
    assert bool((gradient[shared].abs().sum(1) > 0).all())
    assert bool((gradient[~shared] == 0).all())
    with torch.no_grad():
        assert float(adversary(ids, states - 0.1 * gradient / gradient.norm(), 1.0)) > float(told)


def test_nothing_is_hidden_at_the_start(vocabulary: Vocabulary, adversary: ModuleAdversary) -> None:
    ids, states = conversation(vocabulary)
    (gradient,) = torch.autograd.grad(adversary(ids, states, 0.0), states)
    assert bool((gradient == 0).all())


def test_words_alone_give_nothing_away(adversary: ModuleAdversary) -> None:
    assert float(adversary(torch.tensor([5, 6]), torch.ones(2, WIDTH), 1.0)) == 0


def test_the_discriminator_is_of_the_papers_size_at_full_width(vocabulary: Vocabulary) -> None:
    with torch.device("meta"):
        discriminator = ModuleAdversary(vocabulary, 4096, 0.5).discriminator
    assert len(discriminator.encoder.layers) == 4
    assert discriminator.head.in_features == 768


def test_data_of_one_module_are_refused() -> None:
    check_modules({Module.A, Module.B})
    with pytest.raises(InputError, match="the data call B: add samples"):
        check_modules({Module.B})
    with pytest.raises(InputError, match="the data call none"):
        check_modules(set())
