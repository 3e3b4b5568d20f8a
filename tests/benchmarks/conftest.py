"""Collects what the benchmarks measure and prints it as one table at the end: `make bench`."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from vitron_agent.evaluation.metrics import median

Measure = Callable[[str, float, Callable[[int], object]], float]
MEASURED: list[tuple[str, float, float, list[float]]] = []
ROUNDS = 11


@pytest.fixture
def measure() -> Measure:
    """Runs something `ROUNDS` times after a warm-up and keeps its seconds; returns the median."""

    def run(name: str, budget: float, work: Callable[[int], object]) -> float:
        import time

        work(0)
        seconds = []
        for index in range(1, ROUNDS + 1):
            start = time.perf_counter()
            work(index)
            seconds.append(time.perf_counter() - start)
        MEASURED.append((name, budget, median(seconds), seconds))
        return median(seconds)

    return run


def table() -> Table:
    """What was measured: median, extremes, budget and their ratio."""
    found = Table(title=f"medians of {ROUNDS} runs, seconds")
    for column in ("what", "median", "least", "most", "budget", "median / budget"):
        found.add_column(column, justify="left" if column == "what" else "right")
    for name, budget, middle, seconds in MEASURED:
        share = f"[{'green' if middle <= budget else 'red'}]{middle / budget:.2f}[/]"
        found.add_row(name, f"{middle:.3f}", f"{min(seconds):.3f}", f"{max(seconds):.3f}", f"{budget:g}", share)
    return found


def pytest_terminal_summary() -> None:
    if MEASURED:
        Console(width=110).print(table())


@pytest.fixture(scope="session")
def media_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")
