"""Writes the ablation down for people: a page with tables and a plot. Knows numbers, not how they came."""

import math
from pathlib import Path

from PIL import Image, ImageDraw

from vitron_agent.evaluation.ablation import ARMS, Ablation, Change
from vitron_agent.evaluation.report import Row
from vitron_agent.evaluation.silent import REQUESTS

PAGE, PLOT = "results.md", "results.png"
FEWEST = 10
"""Cases from which on a change is called more than chance."""
_COLOURS = {"text": (120, 130, 150), "embeddings": (225, 150, 60), "hybrid": (50, 120, 200)}
_INK, _PAPER, _GRID = (20, 20, 20), (255, 255, 255), (225, 225, 225)
_BAR, _GAP, _HEIGHT, _LEFT, _TOP = 22, 34, 200, 46, 34

_INTRO = """# Message passing, measured

Written by `vitron-agent evaluate --ablation --limit {limit} --seed {seed}`; do not edit it by hand. Profile {profile},
{limit} held-out cases per suite, the same in every arm; 95% intervals in brackets.

- **text**: specialists get the planner's words. **hybrid**: words and embeddings, as the agent runs.
- **embeddings**: specialists get embeddings and no words. Nothing is said that names the module, so it is read off the
  task-invariant tokens, fed right behind the request, by a linear classifier ({requests} requests in the wordings of
  training; the planner itself never learned to put it there). Operation and boxes are still read off the call. The
  segmenter that finds what an edit is about has no embeddings in any arm, so here it looks for "object".
- Execution rate: the right calls were made, could be read, and ran. Task right: so was what came of them.
- `words-lose-dictated` dictates the right calls, in every arm, and asks for exactly the shade, size or place of an
  example; errors are measured where the task is right, 0 is exact. A sixth of its cases ask for all that an object of
  another picture is, counted in the same rows; a sixth for the speed of a clip, and one for an object to move to where
  was clicked (without weights of I2VGen-XL these two are not executed). Where something new shall stand is said by the
  call itself, box or click, in every arm: there words lose nothing. How far something shall move no call says.

![Execution rate and share of right tasks per suite and arm]({plot})
"""

_PAPER_NOTE = """## The paper's figures

VITRON's figure 4 compares the same three arms at full size, on other data, with bars whose values its text does not
give: hybrid is best on every task, text alone has the higher execution rate of the other two, embeddings alone the
higher task score. Its axes run from 50 to 100% (execution) and are not comparable with the numbers above.
"""

_SYNERGY_NOTE = """
## Synergy

The other idea of the paper, features that tasks share, is measured in [synergy.md](synergy.md).
"""


def write_page(ablation: Ablation, folder: Path) -> Path:
    """Write `results.md` and `results.png`.

    Args:
        ablation: The measurement.
        folder: Where; it is made if it is not there.

    Returns:
        The page's path.

    Raises:
        OSError: They cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plot(ablation).save(folder / PLOT)
    path = folder / PAGE
    more = _SYNERGY_NOTE if (folder / "synergy.md").is_file() else ""
    path.write_text(page(ablation) + more, encoding="utf-8")
    return path


def page(ablation: Ablation) -> str:
    """The page as Markdown."""
    parts = [
        _INTRO.format(limit=ablation.limit, seed=ablation.seed, profile=ablation.profile, plot=PLOT, requests=REQUESTS)
    ]
    parts.append(f"## All arms\n\n{_rows_table(ablation)}")
    for (arm, other), changes in ablation.changes.items():
        how = "Case by case. Rates: difference in points. Errors: change as a share, on cases that both arms did."
        parts.append(f"## {arm.capitalize()} against {other}\n\n{how}\n\n{_changes_table(changes)}")
    return "\n".join([*parts, _PAPER_NOTE])


def _rows_table(ablation: Ablation) -> str:
    lines = [
        f"| suite | measure | n | {' | '.join(ARMS)} |",
        f"| --- | --- | ---: | {' | '.join(['---:'] * len(ARMS))} |",
    ]
    for arms in zip(*(ablation.rows[arm] for arm in ARMS), strict=True):
        counts = sorted({row.n for row in arms})
        shown = str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
        lines.append(f"| {arms[0].suite} | {arms[0].name} | {shown} | {' | '.join(row.text() for row in arms)} |")
    return "\n".join(lines) + "\n"


def _changes_table(changes: tuple[Change, ...]) -> str:
    lines = ["| suite | measure | n | change | |", "| --- | --- | ---: | ---: | --- |"]
    for change in changes:
        lines.append(f"| {change.suite} | {change.name} | {change.n} | {change_text(change)} | {_sure(change)} |")
    return "\n".join(lines) + "\n"


def change_text(change: Change) -> str:
    """A change for people: "+3.0% (-1.0 to +7.0)", "-" where nothing could be compared."""
    if math.isnan(change.value):
        return "-"
    return f"{100 * change.value:+.1f}% ({100 * change.low:+.1f} to {100 * change.high:+.1f})"


def _sure(change: Change) -> str:
    """Whether a change is more than chance; of few cases an interval by resampling says nothing."""
    if math.isnan(change.value) or change.n < FEWEST:
        return ""
    return "" if change.low <= 0 <= change.high else "beyond its interval"


def plot(ablation: Ablation) -> Image.Image:
    """Bars with intervals: execution rate and right tasks of every suite, one colour per arm."""
    shown = ("execution rate", "task right")
    groups = [key for key in dict.fromkeys((row.suite, row.name) for row in ablation.rows["hybrid"]) if key[1] in shown]
    wide = len(ARMS) * _BAR + _GAP
    image = Image.new("RGB", (_LEFT + len(groups) * wide + _GAP, _TOP + _HEIGHT + 60), _PAPER)
    pen = ImageDraw.Draw(image)
    for percent in range(0, 101, 25):
        y = _TOP + _HEIGHT * (1 - percent / 100)
        pen.line((_LEFT, y, image.width - _GAP / 2, y), fill=_GRID)
        pen.text((6, y - 6), f"{percent}%", fill=_INK)
    for place, arm in enumerate(ARMS):
        pen.rectangle((_LEFT + 110 * place, 8, _LEFT + 110 * place + 12, 20), fill=_COLOURS[arm])
        pen.text((_LEFT + 110 * place + 18, 8), arm, fill=_INK)
    for number, (suite, name) in enumerate(groups):
        left = _LEFT + _GAP / 2 + number * wide
        for place, arm in enumerate(ARMS):
            row = next(row for row in ablation.rows[arm] if (row.suite, row.name) == (suite, name))
            _bar(pen, left + place * _BAR, row, _COLOURS[arm])
        for line, text in enumerate((*suite.replace("-dictated", "").split("-"), name)):
            pen.text((left, _TOP + _HEIGHT + 6 + 12 * line), text, fill=_INK)
    return image


def _bar(pen: ImageDraw.ImageDraw, left: float, row: Row, colour: tuple[int, int, int]) -> None:
    if math.isnan(row.value):
        return
    foot = _TOP + _HEIGHT
    low, value, high = (foot - _HEIGHT * share for share in (row.low, row.value, row.high))
    pen.rectangle((left, value, left + _BAR - 3, foot), fill=colour)
    pen.line((left + _BAR / 2, low, left + _BAR / 2, high), fill=_INK)
