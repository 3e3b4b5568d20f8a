"""What stage 3 computes: signals of conversations, the losses they are asked to lower, and what they give away.

Holds the planner, frozen specialists with their mappers, signal tokens and discriminator. It does not know optimisers,
files or how long a run is.
"""

import random
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import Processor
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.training.loop import step_generator
from vitron_agent.training.planner_batch import Batch, collate, embed
from vitron_agent.training.signals import Aligned
from vitron_agent.training.signals_data import signal_runs
from vitron_agent.training.synergy_data import MODULES, Example, sample_example
from vitron_agent.training.synergy_parts import Discriminator, SignalRows, linear_probe, reverse_gradient

SCALED_BY = 48
"""Examples on which the losses without signals are taken."""
_TOGETHER = 20  # held-out conversations that are read together


class Stage:
    """A planner, specialists that are asked to use its signals, and a discriminator that must not tell them apart.

    Attributes:
        model: The planner.
        processor: Writes conversations down.
        tasks: Mapper's file name -> frozen specialist.
        rows: The planner's signal tokens.
        discriminator: Tells the module from `vs`.
        scales: Every specialist's loss without signals, which its losses are counted in.
    """

    def __init__(
        self, model: PlannerModel, vocabulary: Vocabulary, tasks: Mapping[str, Aligned], width: int, seed: int
    ) -> None:
        """Put everything together.

        Args:
            model: The trained planner, in evaluation mode; it is frozen here.
            vocabulary: Its words.
            tasks: Mapper's file name -> frozen specialist.
            width: Of the discriminator.
            seed: Of the examples that the losses are scaled by.
        """
        self.model, self.vocabulary, self.tasks = model.requires_grad_(False), vocabulary, tasks
        self.processor = Processor(
            vocabulary, model.image_tokens, folds_case=model.folds_case, video_tokens=model.video_tokens
        )
        self.rows = SignalRows(model, vocabulary)
        self.discriminator = Discriminator(model.d_llm, len(MODULES), width)
        self.scales = self._closed_losses(seed)

    @torch.no_grad()
    def _closed_losses(self, seed: int) -> dict[str, float]:
        rng = random.Random(f"synergy scales/{seed}")
        examples = [sample_example(rng, self.processor) for _ in range(SCALED_BY)]
        tokens = self.vocabulary.per_module + self.vocabulary.shared
        silent = torch.zeros(len(examples), tokens, self.model.d_llm)
        return {
            name: self.loss_without(task, examples, silent, step_generator(seed, 0)) or 1.0
            for name, task in self.tasks.items()
        }

    @torch.no_grad()
    def loss_without(
        self, task: Aligned, examples: Sequence[Example], signals: Tensor, generator: torch.Generator
    ) -> float:
        """A specialist's loss with its gate closed.

        Args:
            task: The specialist; its gate is as before when this returns.
            examples: Conversations with their calls' truth, B of them.
            signals: (B, n, d_llm) float32, of which nothing comes through.
            generator: Of the specialist's noise.

        Returns:
            At least 0; 0 if it has a loss for none of them.
        """
        gate = task.mapper.gate.clone()
        task.mapper.gate.zero_()
        loss = float(self.task_loss(task, examples, signals, generator))
        task.mapper.gate.copy_(gate)
        return loss

    def signals(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The first run of every conversation, (B, n, d_llm), and all last-layer states (B, T, d_llm)."""
        states = self.model.hidden(self.rows.put(batch.ids, embed(self.model, batch)))
        runs = signal_runs(batch.ids, states, self.vocabulary)
        return torch.stack([found[0] for found in runs]), states

    def shared(self, signals: Tensor) -> Tensor:
        """`vs` of v = [vp; vs], (B, n_shared, d_llm)."""
        return signals[:, self.vocabulary.per_module :]

    def task_loss(
        self, task: Aligned, examples: Sequence[Example], signals: Tensor, generator: torch.Generator
    ) -> Tensor:
        """A specialist's own loss on those examples that it has one for.

        Args:
            task: The specialist.
            examples: Conversations with their calls' truth, B of them.
            signals: (B, n, d_llm) float32, of each example's first call.
            generator: Of the specialist's noise.

        Returns:
            () float32, at least 0; 0 if there are none.
        """
        own = [i for i, e in enumerate(examples) if e.call.invocation.module is task.module and task.usable(e.call)]
        return task.loss([examples[i].call for i in own], signals[own], generator) if own else signals.new_zeros(())

    def losses(
        self, examples: Sequence[Example], generator: torch.Generator, strength: float, words: bool = False
    ) -> dict[str, Tensor]:
        """The parts of a batch's loss; their sum is what is learned from.

        Args:
            examples: Conversations with their calls' truth.
            generator: Of the specialists' noise.
            strength: Of the reversed gradient.
            words: Whether the assistant's words are asked for, too.

        Returns:
            One per specialist, as a share of what it is without signals, so that each counts alike; "discriminator";
            and "words" if asked for.
        """
        batch = collate([example.written for example in examples], self.processor, None)
        signals, states = self.signals(batch)
        parts = {
            name: self.task_loss(task, examples, signals, generator) / self.scales[name]
            for name, task in self.tasks.items()
        }
        logits = self.discriminator(reverse_gradient(self.shared(signals), strength))
        parts["discriminator"] = F.cross_entropy(logits, torch.tensor(_labels(examples)))
        if words:
            places = batch.weights[:, 1:] > 0
            said = self.model.logits(states[:, :-1][places]).float()
            parts["words"] = F.cross_entropy(said, batch.ids[:, 1:][places])
        return parts

    @torch.no_grad()
    def probe(self, count: int, seed: int) -> dict[str, float]:
        """What signals of held-out conversations give away, and what they are good for.

        Args:
            count: How many conversations.
            seed: Another seed draws others.

        Returns:
            "vs", "vp" (linear probes) and "discriminator": how often each names the module; "chance": the commonest
            module's share; for every specialist the change of its loss that signals make, as a share of the loss
            without them: -0.1 is a tenth less.
        """
        rng, features, labels = random.Random(f"synergy probe/{seed}"), list[Tensor](), list[int]()
        opened, closed = dict.fromkeys(self.tasks, 0.0), dict.fromkeys(self.tasks, 0.0)
        while len(labels) < count:
            number = min(_TOGETHER, count - len(labels))
            examples = [sample_example(rng, self.processor, "heldout") for _ in range(number)]
            labels += _labels(examples)
            signals = self.signals(collate([e.written for e in examples], self.processor, None))[0]
            features.append(signals)
            for name, task in self.tasks.items():  # the same noise both times
                opened[name] += float(self.task_loss(task, examples, signals, step_generator(seed, len(labels))))
                closed[name] += self.loss_without(task, examples, signals, step_generator(seed, len(labels)))
        found, split = torch.cat(features).float(), self.vocabulary.per_module
        told = self.discriminator(self.shared(found)).argmax(1) == torch.tensor(labels)
        return {
            "vs": linear_probe(found[:, split:].flatten(1), labels),
            "vp": linear_probe(found[:, :split].flatten(1), labels),
            "discriminator": float(told.float().mean()),
            "chance": max(labels.count(label) for label in set(labels)) / count,
            **{name: opened[name] / max(closed[name], 1e-9) - 1 for name in self.tasks},
        }


def _labels(examples: Sequence[Example]) -> list[int]:
    """Which module each calls, as its place in `MODULES`."""
    return [MODULES.index(example.call.invocation.module) for example in examples]
