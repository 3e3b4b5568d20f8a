"""The evaluation's result: rows with n and a 95% interval, as values, as a table and as JSON.

Knows numbers and names only; where they come from stands in suites and runner.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from vitron_agent.evaluation.metrics import bootstrap, c_iou, g_iou, mean, median, wilson

Unit = Literal["rate", "iou", "dB", "s", "error"]
LESS_IS_BETTER = ("s", "error")
Signals = Literal["on", "off"]


@dataclass(frozen=True)
class Row:
    """One measured number.

    Attributes:
        suite: Which suite it belongs to.
        name: What was measured.
        value: The number; NaN where n is 0.
        low: Lower end of the 95% interval.
        high: Upper end.
        n: How many cases it stands on.
        unit: What the number is.
        target: What it should reach at least (for seconds and errors: at most), None where nothing is asked.
    """

    suite: str
    name: str
    value: float
    low: float
    high: float
    n: int
    unit: Unit = "rate"
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached, None without one."""
        if self.target is None or math.isnan(self.value):
            return None
        return self.value <= self.target if self.unit in LESS_IS_BETTER else self.value >= self.target

    def text(self) -> str:
        """Value and interval for people: "97.5% (94.3-98.9)"."""
        if not self.n:
            return "-"
        if self.unit == "rate":
            return f"{100 * self.value:.1f}% ({100 * self.low:.1f}-{100 * self.high:.1f})"
        digits = {"iou": 3, "error": 3, "s": 2, "dB": 1}[self.unit]
        unit = {"iou": "", "error": "", "dB": " dB", "s": " s"}[self.unit]
        return f"{self.value:.{digits}f}{unit} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def rate_row(suite: str, name: str, right: Sequence[bool], target: float | None = None) -> Row:
    """A share of cases with Wilson's interval."""
    value = sum(right) / len(right) if right else math.nan
    low, high = wilson(sum(right), len(right))
    return Row(suite, name, value, low, high, len(right), "rate", target)


def iou_row(
    suite: str, name: str, overlaps: Sequence[tuple[float, float]], target: float | None = None, summed: bool = True
) -> Row:
    """CIoU (or gIoU, where not `summed`) with a bootstrap interval."""
    statistic = c_iou if summed else g_iou
    low, high = bootstrap(overlaps, statistic)
    return Row(suite, name, statistic(overlaps) if overlaps else math.nan, low, high, len(overlaps), "iou", target)


def mean_row(suite: str, name: str, values: Sequence[float], unit: Unit, target: float | None = None) -> Row:
    """A mean with a bootstrap interval."""
    low, high = bootstrap(values, mean)
    return Row(suite, name, mean(values), low, high, len(values), unit, target)


def median_row(suite: str, name: str, values: Sequence[float], unit: Unit) -> Row:
    """A median with a bootstrap interval: what a mean hides where single values have no bound."""
    low, high = bootstrap(values, median)
    return Row(suite, name, median(values), low, high, len(values), unit)


@dataclass(frozen=True)
class Report:
    """All rows of an evaluation.

    Attributes:
        profile: What was evaluated.
        seed: Of cases and runs.
        rows: Per setting of the signals; a suite that signals cannot change has rows under "on" only.
        seconds: Wall clock of the whole evaluation.
        failures: Per case that was not right: what was asked, what came.
        left_out: One line for each suite that could not be run, which says why.
    """

    profile: str
    seed: int
    rows: dict[str, tuple[Row, ...]]
    seconds: float
    failures: tuple[dict[str, Any], ...] = field(default=())
    left_out: tuple[str, ...] = ()

    def row(self, suite: str, name: str, signals: Signals = "on") -> Row | None:
        """One row by its names."""
        found = [row for row in self.rows.get(signals, ()) if (row.suite, row.name) == (suite, name)]
        return found[0] if found else None

    def to_json(self) -> dict[str, Any]:
        """Plain data: the same numbers as the table. NaN becomes null."""
        rows = {key: [_plain(asdict(row) | {"met": row.met}) for row in found] for key, found in self.rows.items()}
        return {
            "profile": self.profile,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "rows": rows,
            "failures": list(self.failures),
            "left_out": list(self.left_out),
        }

    def table(self) -> Table:
        """Both settings side by side, with n, interval and target; below, what was left out."""
        shown = list(self.rows)
        title = f"vitron-agent evaluation: profile {self.profile}, seed {self.seed}"
        table = Table(title=title, caption="\n".join(self.left_out) or None)
        for column in ("suite", "measure", "n"):
            table.add_column(column, justify="right" if column == "n" else "left", no_wrap=True)
        for setting in shown:
            table.add_column(f"signals {setting} (95% interval)", justify="right", no_wrap=True)
        table.add_column("target", justify="right", no_wrap=True)
        keys = dict.fromkeys((row.suite, row.name) for found in self.rows.values() for row in found)
        last = None
        for suite, name in keys:
            cells = [next((r for r in self.rows[s] if (r.suite, r.name) == (suite, name)), None) for s in shown]
            first = next(row for row in cells if row is not None)
            table.add_section() if suite != last and last is not None else None
            texts = [_coloured(row) if row else "=" for row in cells]
            table.add_row("" if suite == last else suite, name, str(first.n), *texts, _target(first))
            last = suite
        return table

    def print(self, console: Console | None = None) -> None:
        """Write the table. "=" stands where signals cannot make a difference."""
        (console or Console(width=150)).print(self.table())


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """NaN is not JSON."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _coloured(row: Row) -> str:
    return row.text() if row.met is None else f"[{'green' if row.met else 'red'}]{row.text()}[/]"


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    if row.unit == "rate":
        return f"{100 * row.target:.0f}%"
    return f"{'<=' if row.unit in LESS_IS_BETTER else ''}{row.target:g}{' dB' if row.unit == 'dB' else ''}"
