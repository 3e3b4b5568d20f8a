"""Collects what the benchmarks measure and prints it as one table at the end: `make bench`."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from rich.console import Console
from rich.table import Table

from vitron_agent.evaluation.metrics import median

MEASURED: list[tuple[str, float, float, list[float]]] = []
ROUNDS = 11


class Measure(Protocol):
    """Runs something several times after a warm-up, keeps its seconds, and returns their median."""

    def __call__(self, name: str, budget: float, work: Callable[[int], object], rounds: int = ROUNDS) -> float: ...


@pytest.fixture
def measure() -> Measure:
    """What the table's rows come from: see `Measure`."""

    def run(name: str, budget: float, work: Callable[[int], object], rounds: int = ROUNDS) -> float:
        import time

        work(0)
        seconds = []
        for index in range(1, rounds + 1):
            start = time.perf_counter()
            work(index)
            seconds.append(time.perf_counter() - start)
        MEASURED.append((name, budget, median(seconds), seconds))
        return median(seconds)

    return run


def table() -> Table:
    """What was measured: median, extremes, budget and their ratio."""
    found = Table(title="medians, seconds")
    for column in ("what", "runs", "median", "least", "most", "budget", "median / budget"):
        found.add_column(column, justify="left" if column == "what" else "right")
    for name, budget, middle, seconds in MEASURED:
        share = f"[{'green' if middle <= budget else 'red'}]{middle / budget:.2f}[/]"
        figures = (f"{figure:.3f}" for figure in (middle, min(seconds), max(seconds)))
        found.add_row(name, str(len(seconds)), *figures, f"{budget:g}", share)
    return found


def pytest_terminal_summary() -> None:
    if MEASURED:
        Console(width=110).print(table())


@pytest.fixture(scope="session")
def media_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")
