"""A quick look at how well a planner in training does: held-out conversations, judged turn by turn.

Every assistant turn is scored, given the true turns before it, by whether the most likely id is the right one at all
of its places, numbers apart. With greedy decoding that is what the turn would say. It costs one forward pass a batch;
the evaluation suite decodes for real.
"""

import math
import random
import re
from collections import defaultdict

import torch

from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import Processor
from vitron_agent.shapes import tasks
from vitron_agent.shapes.language import Split
from vitron_agent.training.planner_batch import collate, embed
from vitron_agent.training.planner_data import turns_of

_NUMBER = re.compile(r" ?\d+(\.\d+)?")
Scores = dict[str, tuple[int, float, float]]
"""Task -> (turns, share with all words right, share of numbers that are right or, of a box, at most 0.02 off)."""


@torch.inference_mode()
def measure(
    model: PlannerModel, processor: Processor, count: int = 10, seed: int = 77_001, split: Split = "heldout"
) -> Scores:
    """Scores of every task.

    Args:
        model: The planner, in evaluation mode.
        processor: Writes conversations down.
        count: Conversations per task.
        seed: Of the conversations.
        split: Which phrasings.
    """
    rng = random.Random(seed)
    vocabulary = processor.vocabulary
    values = torch.tensor([float(piece) if _NUMBER.fullmatch(piece) else math.nan for piece in vocabulary.pieces])
    scores: Scores = {}
    for task in tasks.TASKS:
        examples = [processor.serialise(turns_of(tasks.sample_conversation(rng, split, task))) for _ in range(count)]
        examples.sort(key=lambda example: len(example.ids))
        words: list[bool] = []
        numbers: list[bool] = []
        for begin in range(0, count, 8):
            batch = collate(examples[begin : begin + 8], processor, None)
            best = model.logits(model.hidden(embed(model, batch))[:, :-1]).argmax(-1)
            target, asked = batch.ids[:, 1:], batch.weights[:, 1:] > 0
            right, number = best == target, ~values[target].isnan()
            near = (values[best] - values[target]).abs() < 0.025
            numbers += near[asked & number].tolist()
            for row in range(len(target)):
                words += _turns(right[row] | number[row], asked[row], target[row] == vocabulary.eos)
        scores[task] = (
            len(words),
            sum(words) / max(len(words), 1),
            sum(numbers) / max(len(numbers), 1) if numbers else 1.0,
        )
    return scores


def _turns(right: torch.Tensor, asked: torch.Tensor, end: torch.Tensor) -> list[bool]:
    """Per assistant turn (it ends with `</s>`), whether all asked places are right."""
    out, good = [], True
    for is_right, is_asked, is_end in zip(right.tolist(), asked.tolist(), end.tolist(), strict=True):
        if is_asked:
            good = good and is_right
            if is_end:
                out.append(good)
                good = True
    return out


def probe(model: PlannerModel, processor: Processor, count: int = 10) -> str:
    """`measure` as one line: the mean over tasks, then each task's words (and numbers)."""
    scores = measure(model, processor, count)
    groups: dict[str, list[float]] = defaultdict(list)
    for _, words, numbers in scores.values():
        groups["words"].append(words)
        groups["numbers"].append(numbers)
    mean = {key: sum(values) / len(values) for key, values in groups.items()}
    each = " ".join(f"{task} {words:.2f}/{numbers:.2f}" for task, (_, words, numbers) in scores.items())
    return f"held out: words {mean['words']:.3f} numbers {mean['numbers']:.3f} | {each}"
