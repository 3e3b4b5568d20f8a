"""Collects what the benchmarks measure and prints it as tables at the end: `make bench`."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from rich.console import Console
from rich.table import Table

from vitron_agent.evaluation.metrics import median

MEASURED: list[tuple[str, float, float, list[float]]] = []
RATIOS: list[tuple[str, str, float, float]] = []
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


class Compare(Protocol):
    """Keeps one figure of two ways of doing a thing, ours and another, and returns how many times more the other is."""

    def __call__(self, name: str, unit: str, ours: float, other: float) -> float: ...


@pytest.fixture
def compare() -> Compare:
    """What the second table's rows come from: see `Compare`."""

    def run(name: str, unit: str, ours: float, other: float) -> float:
        RATIOS.append((name, unit, ours, other))
        return other / ours

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


def ratios() -> Table:
    """What was compared within one run, so that the machine's speed is in both figures."""
    found = Table(title="ratios within one run")
    for column in ("what", "unit", "ours", "the other", "the other / ours"):
        found.add_column(column, justify="left" if column in ("what", "unit") else "right")
    for name, unit, ours, other in RATIOS:
        found.add_row(name, unit, f"{ours:,.3f}", f"{other:,.3f}", f"{other / ours:.2f}")
    return found


def pytest_terminal_summary() -> None:
    for rows, made in ((MEASURED, table), (RATIOS, ratios)):
        if rows:
            Console(width=110).print(made())


@pytest.fixture(scope="session")
def media_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")
