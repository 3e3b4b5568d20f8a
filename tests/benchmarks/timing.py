"""Times two ways or more by turns, so that a busy machine slows them alike."""

import time
from collections.abc import Callable

import torch

from vitron_agent.evaluation.metrics import median


def by_turns(rounds: int, *ways: Callable[[], object]) -> list[float]:
    """Return the seconds of each way, the median of all rounds; each runs once before, to make what stays."""
    for way in ways:
        way()
    taken = [[seconds_of(way) for way in ways] for _ in range(rounds)]
    return [median(list(each)) for each in zip(*taken, strict=True)]


def seconds_of(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes, the GPU's included."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
