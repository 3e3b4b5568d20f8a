"""Where the things of a new picture go: a planner's boxes, held against the words of its own command.

A planner writes boxes one after the other, and one that is written late may land on an earlier one, or on another side
than the command says. Such boxes move; all others stay as they were written. Lengths are shares of the picture's side,
boxes (x1, y1, x2, y2). This file knows words and boxes only: no pixels, no specialist.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vitron_agent.errors import NothingFoundError
from vitron_agent.invocation import RELATIONS, GroundedPhrase, parse_edit
from vitron_agent.media import Box
from vitron_agent.tools.placing import ANY, Size, Spot, centre_of, free_place, size_of, spot_at, spot_beside

SHARED = 0.25  # share of the smaller of two boxes above which things that have places of their own lie on each other
COVERED = 0.6  # the same for things that nothing was said about: one may well stand before another
_GROUND = re.compile(r",? (?:on|against|over) (?:an? )?[\w-]+(?: [\w-]+)? background$", re.IGNORECASE)
_NEXT = re.compile(r"(?:, and |, | and )(?=(?:a|an|the|one|another) )", re.IGNORECASE)


@dataclass(frozen=True)
class _Said:
    """What a command says of where a thing is: a place's name, or a relation and the thing's number it holds to."""

    place: str | None = None
    beside: tuple[str, int] | None = None

    def spot(self, boxes: Sequence[Box]) -> Spot | None:
        """Return where that is, among boxes as they are."""
        if self.beside is not None:
            return spot_beside(self.beside[0], [boxes[self.beside[1]]])
        return None if self.place is None else spot_at(self.place)


def settled(command: str, layout: tuple[GroundedPhrase, ...]) -> tuple[GroundedPhrase, ...]:
    """Return a layout whose boxes are where the command says, and not on each other.

    Args:
        command: What is to be drawn, such as "a red star at the top and a blue circle on a gray background".
        layout: The planner's boxes. Those that are right stay exactly as they are; so do all, where there is no room.
    """
    said, sizes = _said(command, [item.phrase for item in layout]), [size_of(item.phrase) for item in layout]
    boxes = _exchanged(said, sizes, [item.box for item in layout])
    wrong = [number for number in range(len(boxes)) if _is_wrong(number, said, boxes)]
    right = [number for number in range(len(boxes)) if number not in wrong]
    try:
        for number in sorted(wrong, key=lambda number: _freedom(said[number])):
            if _is_wrong(number, said, boxes, among=right):
                others = [boxes[other] for other in right]
                x1, y1, x2, y2 = free_place(others, sizes[number] or _as_it_is(boxes[number]), said[number].spot(boxes))
                boxes[number] = (round(x1, 2), round(y1, 2), round(x2, 2), round(y2, 2))
            right.append(number)
    except NothingFoundError:
        return layout
    return tuple(item.model_copy(update={"box": box}) for item, box in zip(layout, boxes, strict=True))


def _said(command: str, phrases: Sequence[str]) -> list[_Said]:
    """What a command says of each phrase's place; nothing where it names it in other words."""
    said, open_ones = [_Said() for _ in phrases], list(range(len(phrases)))

    def taken(words: str | None) -> int | None:
        number = next((number for number in open_ones if phrases[number].lower() == (words or "").lower()), None)
        if number is not None:
            open_ones.remove(number)
        return number

    mentions = _NEXT.split(_GROUND.sub("", " ".join(command.split()).strip(" .")))
    for mention in filter(None, mentions):
        edit = parse_edit(f"add {mention}")
        number = taken(edit.new)
        relation, names = edit.beside or (None, ())
        anchors = [taken(name) for name in names]
        if number is None:
            continue
        if relation in RELATIONS and anchors[0] is not None:
            said[number] = _Said(beside=(relation, anchors[0]))
        elif edit.place is not None:
            said[number] = _Said(place=edit.place)
    return said


def _exchanged(said: Sequence[_Said], sizes: Sequence[Size | None], boxes: list[Box]) -> list[Box]:
    """Return the boxes, those of two things exchanged that stand the other way round than the command says."""
    for number, what in enumerate(said):
        if what.beside is None or sizes[number] != sizes[what.beside[1]]:
            continue
        other, turned = what.beside[1], list(boxes)
        turned[number], turned[other] = boxes[other], boxes[number]
        held = [spot_beside(what.beside[0], [b[other]]).holds(*centre_of(b[number])[:2]) for b in (boxes, turned)]
        boxes = turned if held == [False, True] else boxes
    return boxes


def _is_wrong(number: int, said: Sequence[_Said], boxes: Sequence[Box], among: Sequence[int] | None = None) -> bool:
    """Whether a box is not where the command says, or lies on another one (of those in `among`)."""
    spot, (x, y, _) = said[number].spot(boxes), centre_of(boxes[number])
    if spot is not None and not spot.holds(x, y):
        return True
    others = [other for other in (range(len(boxes)) if among is None else among) if other != number]
    placed = {n for n, what in enumerate(said) if what.place is not None or what.beside is not None}
    placed |= {what.beside[1] for what in said if what.beside is not None}
    return any(
        _shared(boxes[number], boxes[other]) > (SHARED if {number, other} <= placed else COVERED) for other in others
    )


def _as_it_is(box: Box) -> Size:
    """Return the size of a box, or what is left of it where there is less room."""
    radius = centre_of(box)[2]
    return Size(min(ANY.least, radius), radius, radius)


def _shared(one: Box, other: Box) -> float:
    """How much of the smaller of two boxes lies in the other, as a share of its area."""
    width, height = (max(0.0, min(one[i + 2], other[i + 2]) - max(one[i], other[i])) for i in (0, 1))
    least = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / max(least, 1e-6)


def _freedom(said: _Said) -> int:
    """How freely a thing may stand: what may stand in few places is placed first, what stands by another last."""
    if said.beside is not None:
        return 4
    if said.place is None:
        return 3
    return {"centre": 0}.get(said.place, 1 if " " in said.place else 2)
