"""Judges a picture against what was asked: was it drawn right, was it edited right, did the rest stay as it was.

Knows scenes and requirements; it does not know requests in words (language.py) or how pictures are made.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations

import torch

from vitron_agent.shapes.check.read import as_float, read_scene
from vitron_agent.shapes.scene import CENTRE, HIGH, LOW, Obj, Scene

TOLERANCE = 0.03
"""Slack on places, share of the side (2 pixels at 64): asked "left" (x < 0.45), 0.47 still counts."""
NEAR = 0.08
"""Greatest distance per axis of an object's centre from the centre that was asked for, share of the side."""


@dataclass(frozen=True)
class WantedObject:
    """What one object must be; None leaves an attribute free.

    Attributes:
        shape: One of `SHAPES`.
        colour: One of `COLOURS`.
        size: "small" or "large".
        place: A place word of `place_of`.
        near: Centre (x, y) as shares, within `NEAR`.
    """

    shape: str | None = None
    colour: str | None = None
    size: str | None = None
    place: str | None = None
    near: tuple[float, float] | None = None


@dataclass(frozen=True)
class Wanted:
    """What a picture must show: these objects and no others.

    Attributes:
        objects: The objects, in any order in the picture.
        background: A background name, or None for any.
        relations: (i, relation, j): object i is "left of", "right of", "above" or "below" object j.
    """

    objects: tuple[WantedObject, ...]
    background: str | None = None
    relations: tuple[tuple[int, str, int], ...] = field(default=())

    @classmethod
    def of(cls, scene: Scene, sizes: bool = True) -> "Wanted":
        """The requirement to show exactly this scene: names and centres, and size words if `sizes`."""
        wanted = (WantedObject(o.shape, o.colour, o.size if sizes else None, None, (o.x, o.y)) for o in scene.objects)
        return cls(tuple(wanted), scene.background)


@dataclass(frozen=True)
class GenerationCheck:
    """What is right in a picture. The parts are judged on the best assignment of read to wanted objects.

    Attributes:
        background_ok: The ground has the wanted name (True if any was allowed).
        count_ok: As many objects as wanted.
        shapes_ok: Every wanted shape is there.
        colours_ok: Every wanted colour is there.
        sizes_ok: Every wanted size word holds.
        places_ok: Every wanted place word, or centre, holds.
        relations_ok: Every wanted relation holds.
    """

    background_ok: bool
    count_ok: bool
    shapes_ok: bool
    colours_ok: bool
    sizes_ok: bool
    places_ok: bool
    relations_ok: bool

    @property
    def objects_ok(self) -> bool:
        """Every object has the right shape and colour, and there is none too many."""
        return self.count_ok and self.shapes_ok and self.colours_ok

    @property
    def all_ok(self) -> bool:
        """Everything is as wanted."""
        return self.objects_ok and self.background_ok and self.sizes_ok and self.places_ok and self.relations_ok


@dataclass(frozen=True)
class EditCheck:
    """Whether an edit did what was asked.

    Attributes:
        done: The picture shows what it should after the edit.
        psnr_outside: Peak signal-to-noise ratio in dB outside the edited region, inf if not one value changed, None if
            the region covers the whole picture.
        check: The parts of `done`.
    """

    done: bool
    psnr_outside: float | None
    check: GenerationCheck


def place_holds(place: str, x: float, y: float, tolerance: float = TOLERANCE) -> bool:
    """Whether a point is at a place, with some slack. "left" alone only asks for the left half, "top left" for both.

    Args:
        place: "centre", "left", "right", "top", "bottom" or a corner such as "top left".
        x: Share of the width.
        y: Share of the height.
        tolerance: Slack, share of the side.
    """
    if place == "centre":
        return math.hypot(x - 0.5, y - 0.5) <= CENTRE + tolerance
    sides = {
        "left": x < LOW + tolerance,
        "right": x > HIGH - tolerance,
        "top": y < LOW + tolerance,
        "bottom": y > HIGH - tolerance,
    }
    return all(sides[word] for word in place.split())


def relation_holds(a: Obj, relation: str, b: Obj) -> bool:
    """Whether the centres of two objects stand in a relation ("left of", "right of", "above", "below")."""
    along = {"left of": b.x - a.x, "right of": a.x - b.x, "above": b.y - a.y, "below": a.y - b.y}
    return along[relation] > 0


def matches(obj: Obj, wanted: WantedObject) -> tuple[bool, bool, bool, bool]:
    """Whether shape, colour, size and place of an object are as wanted, in this order."""
    place = wanted.place is None or place_holds(wanted.place, obj.x, obj.y)
    if wanted.near is not None:
        place = place and max(abs(obj.x - wanted.near[0]), abs(obj.y - wanted.near[1])) <= NEAR
    return (
        wanted.shape in (None, obj.shape),
        wanted.colour in (None, obj.colour),
        wanted.size in (None, obj.size),
        place,
    )


def _judge(objects: Sequence[Obj | None], wanted: Wanted) -> tuple[bool, bool, bool, bool, bool]:
    """Shapes, colours, sizes, places and relations for one assignment: objects[i] stands for wanted.objects[i]."""
    rows = [matches(o, w) if o else (False,) * 4 for o, w in zip(objects, wanted.objects, strict=True)]
    shapes, colours, sizes, places = (all(column) for column in zip(*rows, strict=True)) if rows else (True,) * 4
    relations = True
    for i, relation, j in wanted.relations:
        first, second = objects[i], objects[j]
        relations = relations and first is not None and second is not None and relation_holds(first, relation, second)
    return shapes, colours, sizes, places, relations


def same_objects(scene: Scene, wanted: Wanted) -> GenerationCheck:
    """Compare a read scene with what was wanted, under the assignment of objects that fits best."""
    slots: list[Obj | None] = [*scene.objects[:5]]  # a picture with more objects is wrong anyway
    slots += [None] * max(0, len(wanted.objects) - len(slots))

    def score(objects: Sequence[Obj | None]) -> int:
        parts = [matches(o, w) if o else (False,) * 4 for o, w in zip(objects, wanted.objects, strict=True)]
        return sum(8 * p[0] + 8 * p[1] + 2 * p[2] + 3 * p[3] for p in parts) + 4 * _judge(objects, wanted)[4]

    best = max(permutations(slots, len(wanted.objects)), key=score)
    background = wanted.background in (None, scene.background)
    return GenerationCheck(background, len(scene.objects) == len(wanted.objects), *_judge(best, wanted))


def check_generation(image: torch.Tensor, expected: Scene | Wanted) -> GenerationCheck:
    """Read a picture and compare it with what was asked.

    Args:
        image: (3, S, S) uint8, or float in [0, 1].
        expected: A scene (its names, sizes and centres must come back) or requirements with free attributes.
    """
    wanted = Wanted.of(expected) if isinstance(expected, Scene) else expected
    return same_objects(read_scene(image).scene, wanted)


def check_edit(
    before: torch.Tensor, after: torch.Tensor, expected: Scene | Wanted, region: torch.Tensor | None = None
) -> EditCheck:
    """Judge an edit by its result.

    Args:
        before: (3, S, S) uint8, or float in [0, 1].
        after: As `before`, of the same size.
        expected: What the picture must show afterwards.
        region: (S, S) bool, True where the edit was allowed to change pixels; None: everywhere.

    Raises:
        ValueError: The two pictures differ in size.
    """
    old, new = as_float(before), as_float(after)
    if old.shape != new.shape:
        raise ValueError(f"pictures of {tuple(old.shape)} and {tuple(new.shape)} cannot be compared; pass equal sizes")
    check = check_generation(after, expected)
    psnr = None
    if region is not None and not bool(region.all()):
        error = float((old - new)[:, ~region.cpu()].square().mean())
        psnr = -10 * math.log10(error) if error > 0 else math.inf
    return EditCheck(check.all_ok, psnr, check)
