"""What the mappers learn from: calls of training conversations with the signals that the planner gives them.

The planner is run once over whole conversations (its own words are the ones of the ground truth), and its states at the
forced runs are kept. This file knows the planner and the conversations, no specialist.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vitron_agent.invocation import Invocation, Module
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import Processor
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.shapes import tasks
from vitron_agent.shapes.language import Split
from vitron_agent.training.planner_batch import Batch, collate, embed
from vitron_agent.training.planner_data import turns_of

BATCH = 12  # conversations that the planner reads together
OWN = {Module.A: "draw", Module.B: "segment", Module.C: "edit", Module.G: "animate"}
"""The task that is all about one module: short, and nearly every conversation holds a call of it."""
OTHERS = 0.15
"""Share of conversations of any task: calls deep in a conversation have other embeddings."""


@dataclass(frozen=True, eq=False)
class SignalledCall:
    """One call with its truth and what the planner's special tokens felt like.

    Attributes:
        invocation: The call.
        facts: Ground truth as in `shapes.tasks`: scenes before and after, or what is meant.
        signals: float32 (n_task + n_shared, d_llm).
    """

    invocation: Invocation
    facts: dict[str, Any]
    signals: Tensor


@torch.no_grad()
def planner_states(model: PlannerModel, batch: Batch) -> Tensor:
    """Last-layer states (B, T, d_llm) of the planner over whole conversations."""
    return model.hidden(embed(model, batch))


def signal_runs(ids: Tensor, states: Tensor, vocabulary: Vocabulary) -> list[list[Tensor]]:
    """Cut the states at every forced run out of a batch.

    Args:
        ids: (B, T) int64.
        states: (B, T, d_llm).
        vocabulary: Knows the runs of the modules.

    Returns:
        For each row its runs in order, each (n_task + n_shared, d_llm).
    """
    runs = {vocabulary.signals(module)[0]: len(vocabulary.signals(module)) for module in Module}
    return [
        [state[place : place + runs[token]] for place, token in enumerate(row.tolist()) if token in runs]
        for row, state in zip(ids, states, strict=True)
    ]


def signalled_calls(
    model: PlannerModel, vocabulary: Vocabulary, module: Module, seed: int, split: Split = "train"
) -> Iterator[SignalledCall]:
    """Endless calls of one module with their signals.

    Args:
        model: The trained planner, in evaluation mode.
        vocabulary: Its vocabulary.
        module: Calls of this module only.
        seed: Of the conversations.
        split: Which wordings.
    """
    processor = Processor(vocabulary, model.image_tokens, folds_case=model.folds_case, video_tokens=model.video_tokens)
    rng = random.Random(f"signals/{module.letter}/{split}/{seed}")
    while True:
        own = [None if rng.random() < OTHERS else OWN.get(module) for _ in range(BATCH)]
        talks = [tasks.sample_conversation(rng, split, task) for task in own]
        batch = collate([processor.serialise(turns_of(talk)) for talk in talks], processor, None)
        found = signal_runs(batch.ids, planner_states(model, batch.to(str(model.device))), vocabulary)
        for talk, runs in zip(talks, found, strict=True):
            calls = [turn for turn in talk.turns if turn.invocation is not None]
            for turn, signals in zip(calls, runs, strict=True):
                if turn.invocation is not None and turn.invocation.module is module:
                    yield SignalledCall(turn.invocation, turn.facts, signals.float().cpu())
