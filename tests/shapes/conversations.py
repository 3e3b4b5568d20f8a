"""Conversations of the small world for tests, drawn once for each task and side of the split."""

import random
from functools import cache

from vitron_agent.shapes.language import Split
from vitron_agent.shapes.tasks import VIDEO_TASKS, Conversation, sample_conversation


@cache
def samples(task: str, split: Split = "train") -> tuple[Conversation, ...]:
    """Three hundred conversations of one task, the same ones every time."""
    rng = random.Random(f"{task} {split}")
    return tuple(sample_conversation(rng, split, task) for _ in range(300))


@cache
def video_talks() -> tuple[Conversation, ...]:
    """Conversations of all tasks about videos, on both sides of the split."""
    return tuple(c for task in VIDEO_TASKS for c in (*samples(task), *samples(task, "heldout")))
