"""Reads the content of a `<region>` tag: a box in any unit, a grounded list, or the user's drawing.

Known forms: the release's and paper's reals in [0, 1], the report's integers in percent, pixels, round or square
brackets or none, and `| Fs, Fe` for a span of frames. Two corners name one box whichever comes first, so turned ones
are put in order, and the repair is told; a number that could mean two things is refused. This file does not know calls.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from vitron_agent.errors import InvocationError, first_message, quoted
from vitron_agent.invocation.tags import DRAWN
from vitron_agent.invocation.types import GroundedPhrase
from vitron_agent.media import Region

MAX_TEXT = 5000  # characters: more than any layout needs
OVERSHOOT = 0.05  # how far outside the picture a planner may point before it must point again
_NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+|nan|inf(?:inity)?)(?:e[+-]?\d+)?)\s*(%|px)?"
_BOX = re.compile(
    rf"[(\[{{]?\s*{_NUMBER}[\s,;]+{_NUMBER}[\s,;]+{_NUMBER}[\s,;]+{_NUMBER}"
    r"\s*(?:\|\s*(-?\d+)\s*[,\s]\s*(-?\d+)\s*)?[)\]}]?",
    re.IGNORECASE | re.ASCII,
)
_ENTRY = re.compile(r"\s*([^:()\[\]]+?)\s*:\s*([(\[][^()\[\]]*[)\]])\s*(?:[,;]|\.?$)")


@dataclass(frozen=True)
class RegionText:
    """What a region tag says: one of the three, and what had to be repaired."""

    region: Region | None = None
    layout: tuple[GroundedPhrase, ...] = ()
    is_drawn: bool = False
    repairs: tuple[str, ...] = ()


def read_region(text: str, size: tuple[int, int] | None = None) -> RegionText:
    """Read the content of a region tag.

    Args:
        text: what stands between the tags.
        size: (width, height) of the picture, without which pixels cannot be understood.

    Raises:
        InvocationError: it is none of the known forms, ambiguous, outside the picture or without area.
    """
    if len(text) > MAX_TEXT:
        raise InvocationError(f"region {quoted(text)} has {len(text)} characters: write at most {MAX_TEXT}")
    rest, drawn = DRAWN.subn(" ", text)
    rest = " ".join(rest.split())
    if drawn:
        ignored = (f"region {rest!r} ignored: the user's own drawing (<objs>) is exact",) if rest else ()
        return RegionText(is_drawn=True, repairs=ignored)
    if match := _BOX.fullmatch(rest):
        region, repairs = _box(match, rest, size)
        return RegionText(region, repairs=repairs)
    return _layout(rest, size)


def _layout(text: str, size: tuple[int, int] | None) -> RegionText:
    """Read `phrase: (box), phrase: (box)` (paper, appendix B.2)."""
    entries: list[GroundedPhrase] = []
    repairs: list[str] = []
    position = 0
    while match := _ENTRY.match(text, position):
        position = match.end()
        phrase, box_text = match.groups()
        box_match = _BOX.fullmatch(box_text)
        if box_match is None:
            raise InvocationError(f"region {quoted(box_text)} of {phrase!r} is no box: write (0.10, 0.20, 0.50, 0.60)")
        region, notes = _box(box_match, box_text, size)
        repairs += notes
        try:
            entries.append(GroundedPhrase(phrase=phrase, box=region.box))
        except ValidationError as error:
            raise InvocationError(f"region: {first_message(error)}") from None
    if not entries or text[position:].strip():
        wanted = "write (0.10, 0.20, 0.50, 0.60), 'phrase: (box), phrase: (box)', or <objs>"
        raise InvocationError(f"region {quoted(text)} is not understood: {wanted}")
    return RegionText(layout=tuple(entries), repairs=tuple(repairs))


def _box(match: re.Match[str], text: str, size: tuple[int, int] | None) -> tuple[Region, tuple[str, ...]]:
    groups = match.groups()
    numbers = [float(number) for number in groups[:8:2]]
    repairs: list[str] = []
    values = _to_shares(numbers, [number.isdigit() for number in groups[:8:2]], groups[1:8:2], text, size)
    if not all(-OVERSHOOT <= value <= 1 + OVERSHOOT for value in values):  # NaN fails this too
        raise InvocationError(f"region {quoted(text)} lies outside the picture: write shares of its sides, 0 to 1")
    inside = [min(max(value, 0.0), 1.0) for value in values]
    if inside != values:
        repairs.append(f"region {quoted(text)} reached over the border and was cut there")
    x1, x2 = sorted(inside[::2])
    y1, y2 = sorted(inside[1::2])
    if [x1, y1, x2, y2] != inside:
        repairs.append(f"region {quoted(text)} had its corners turned; read as ({x1:g}, {y1:g}, {x2:g}, {y2:g})")
    frames: tuple[int, int] | None = None
    if groups[8] is not None:
        first, last = sorted((int(groups[8]), int(groups[9])))
        frames = (first, last)
        if first != int(groups[8]):
            repairs.append(f"region {quoted(text)} had its frames turned; read as {first} to {last}")
    try:
        return Region.from_box(x1, y1, x2, y2, frames), tuple(repairs)
    except ValidationError as error:
        raise InvocationError(f"region {quoted(text)}: {first_message(error)}") from None


def _to_shares(
    numbers: list[float],
    are_integers: list[bool],
    units: Sequence[str | None],
    text: str,
    size: tuple[int, int] | None,
) -> list[float]:
    """Turn numbers of any unit into shares of the picture's sides; what could mean two things is refused."""
    unit = _unit(numbers, all(are_integers), {mark.lower() if mark else None for mark in units})
    if unit == "share":
        return numbers
    if unit == "%":
        return [number / 100 for number in numbers]
    if unit == "px" and size is not None:
        return [number / size[axis % 2] for axis, number in enumerate(numbers)]
    reason = "is in pixels of a picture of unknown size" if unit == "px" else "has no clear unit"
    raise InvocationError(f"region {quoted(text)} {reason}: write shares of the picture's sides, 0 to 1")


def _unit(numbers: list[float], are_integers: bool, marks: set[str | None]) -> str | None:
    """Tell the unit by its mark, or without one by the numbers: None where they do not tell.

    Unmarked integers up to 100 are percent, the technical report's form, and larger ones pixels.
    """
    if marks != {None}:
        return marks.pop() if len(marks) == 1 else None
    highest = max(map(abs, numbers))
    if not highest > 1 + OVERSHOOT:
        return "share"
    if are_integers or all(number == 0 or abs(number) >= 1 for number in numbers):
        return "%" if highest <= 100 else "px"
    return None
