"""Where in a picture: a click, box, polygon, scribble or mask, in coordinates that no resize can change.

Coordinates are shares of the picture's width and height: origin top left, x right, y down, all in [0, 1]. Resizing a
picture therefore needs no change of its regions; cropping and padding move them (`Region.cropped`, `Region.padded`).
This file does not know files, stores or the template in which a planner writes boxes.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from vitron_agent.errors import InputError, first_message, quoted
from vitron_agent.media.geometry import (
    MIN_AREA,
    Box,
    Point,
    between,
    box_of,
    clipped,
    inside_polygon,
    is_flat,
    near_line,
    pixel_centres,
)
from vitron_agent.media.refs import HANDLE_PATTERN

CLICK_RADIUS = 0.03  # of the picture's sides: about two pixels of a 64-pixel picture
SCRIBBLE_RADIUS = 0.02  # half the thickness of the line
MAX_POINTS = 1000
MAX_FRAME = 1_000_000  # frame numbers stay below: nine hours at 30 frames a second
EDGE_TOLERANCE = 1e-6  # what float arithmetic may add to the borders 0 and 1


class RegionKind(StrEnum):
    """How a region was drawn."""

    CLICK = "click"
    BOX = "box"
    POLYGON = "polygon"
    SCRIBBLE = "scribble"
    MASK = "mask"


_WANTED = {
    RegionKind.CLICK: "one point: click:0.5,0.5",
    RegionKind.BOX: "two corners, the top left one first: box:0.1,0.2,0.5,0.6",
    RegionKind.POLYGON: "three points or more: polygon:0.1,0.1,0.5,0.1,0.3,0.6",
    RegionKind.SCRIBBLE: "two points or more: scribble:0.1,0.1,0.2,0.3,0.4,0.4",
}


class Region(BaseModel):
    """A part of a picture or of a span of video frames.

    Attributes:
        kind: how it was drawn.
        points: (x, y) pairs in [0, 1]. A click has one, a box its top left and bottom right corners, a polygon three or
            more, a scribble the points of its line, a mask the two corners of its bounding box.
        frames: first and last frame number of a video, both included; None for a picture or a whole video.
        mask: handle of the pixels of a region of kind `mask`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: RegionKind
    points: tuple[Point, ...]
    frames: tuple[int, int] | None = None
    mask: str | None = Field(default=None, pattern=HANDLE_PATTERN)

    @model_validator(mode="before")
    @classmethod
    def _within_tolerance(cls, data: object) -> object:
        """Pull points that float arithmetic pushed a hair over the border back onto it."""
        if isinstance(data, dict) and isinstance(data.get("points"), (list, tuple)):
            try:
                points = tuple((_onto_border(x), _onto_border(y)) for x, y in data["points"])
            except (TypeError, ValueError):
                return data  # not pairs of numbers: the field's own validation says so
            return {**data, "points": points}
        return data

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if problem := _problem(self):
            raise ValueError(problem)
        return self

    @classmethod
    def from_box(cls, x1: float, y1: float, x2: float, y2: float, frames: tuple[int, int] | None = None) -> Self:
        """Build a box from its left, top, right and bottom edge, shares of the picture in [0, 1].

        Raises:
            pydantic.ValidationError: NaN, outside the picture, reversed corners or no area.
        """
        return cls(kind=RegionKind.BOX, points=((x1, y1), (x2, y2)), frames=frames)

    @classmethod
    def from_mask(cls, pixels: Tensor, uri: str) -> Self:
        """Build a region of kind `mask` from its pixels, bool (H, W), and the handle under which they are stored.

        Raises:
            InputError: the mask is empty.
        """
        if not pixels.any():
            raise InputError("the mask is empty: draw at least one pixel")
        left, top, right, bottom = box_of(pixels)
        return cls(kind=RegionKind.MASK, points=((left, top), (right, bottom)), mask=uri)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what a user typed: `box:0.1,0.2,0.5,0.6`, and for a video `box:0.1,0.2,0.5,0.6|0,12`.

        Raises:
            InputError: unknown kind, wrong count of numbers, NaN, outside [0, 1], reversed corners or no area.
        """
        name, _, numbers = text.partition(":")
        kind = next((kind for kind in _WANTED if kind.value == name.strip().lower()), None)
        shown = quoted(text)
        if kind is None:
            kinds = ", ".join(kind.value for kind in _WANTED)
            raise InputError(f"region {shown}: {name.strip()[:20]!r} is not one of {kinds}; write box:0.1,0.2,0.5,0.6")
        coordinates, bar, span = numbers.partition("|")
        values = _numbers(coordinates)
        if values is None or len(values) % 2:
            raise InputError(f"region {shown}: not pairs of numbers; write {_WANTED[kind]}")
        frames = _numbers(span) if bar else None
        if bar and (frames is None or len(frames) != 2 or not all(f.is_integer() for f in frames)):
            raise InputError(f"region {shown}: after '|' write the first and last frame number, such as |0,12")
        points = tuple(zip(values[::2], values[1::2], strict=True))
        try:
            return cls(kind=kind, points=points, frames=(int(frames[0]), int(frames[1])) if frames else None)
        except ValidationError as error:
            raise InputError(f"region {shown}: {first_message(error)}") from None

    @property
    def box(self) -> Box:
        """The bounding box (x1, y1, x2, y2) in [0, 1], with the thickness of a click or scribble."""
        margin = {RegionKind.CLICK: CLICK_RADIUS, RegionKind.SCRIBBLE: SCRIBBLE_RADIUS}.get(self.kind, 0.0)
        xs, ys = [x for x, _ in self.points], [y for _, y in self.points]
        return (
            max(min(xs) - margin, 0.0),
            max(min(ys) - margin, 0.0),
            min(max(xs) + margin, 1.0),
            min(max(ys) + margin, 1.0),
        )

    def to_mask(self, height: int, width: int) -> Tensor:
        """Draw the region: bool (height, width), True for the pixels whose centre lies inside, never empty.

        Clicks are discs of `CLICK_RADIUS` and scribbles lines of twice `SCRIBBLE_RADIUS`, measured in shares of the
        sides, so that a picture and its resized copy are covered alike.

        Raises:
            ValueError: the region is of kind `mask`: its pixels lie in the store, `store.get_mask(region.mask)`.
        """
        if self.kind is RegionKind.MASK:
            raise ValueError(f"the pixels of {self.mask} lie in the media store: use store.get_mask(region.mask)")
        x, y = pixel_centres(width)[None, :], pixel_centres(height)[:, None]
        if self.kind is RegionKind.BOX:
            (x1, y1), (x2, y2) = self.points
            return between(x, x1, x2) & between(y, y1, y2)
        if self.kind is RegionKind.CLICK:
            return near_line(x, y, self.points, CLICK_RADIUS)
        if self.kind is RegionKind.SCRIBBLE:
            return near_line(x, y, self.points, SCRIBBLE_RADIUS)
        inside = inside_polygon(x, y, self.points)
        return inside if inside.any() else near_line(x, y, self.points, 0.0)  # thinner than a pixel: its outline

    def cropped(self, window: Box) -> Self:
        """Carry the region into a crop of its picture.

        Args:
            window: (x1, y1, x2, y2), the part that is kept, in shares of the picture.

        Returns:
            What lies inside the window, in shares of the crop. Lines and outlines end at the border.

        Raises:
            ValueError: a region of kind `mask` (crop its pixels instead), or a window without area.
            InputError: nothing of the region lies inside the window.
        """
        x1, y1, x2, y2 = window
        if not (x1 < x2 and y1 < y2):
            raise ValueError(f"crop window {window} has no area")
        moved = [((x - x1) / (x2 - x1), (y - y1) / (y2 - y1)) for x, y in self.points]
        return self._moved(moved)

    def padded(self, left: float = 0.0, top: float = 0.0, right: float = 0.0, bottom: float = 0.0) -> Self:
        """Carry the region into a padded picture; `cropped` with the picture's old window is the exact inverse.

        Args:
            left: width added at the left, as a share of the old picture's width; likewise the others.
            top: height added above.
            right: width added at the right.
            bottom: height added below.

        Raises:
            ValueError: a region of kind `mask` (pad its pixels instead), or a negative margin.
        """
        if min(left, top, right, bottom) < 0:
            raise ValueError(f"padding {(left, top, right, bottom)} is negative: use cropped")
        width, height = 1 + left + right, 1 + top + bottom
        return self._moved([((x + left) / width, (y + top) / height) for x, y in self.points])

    def _moved(self, points: list[Point]) -> Self:
        """Rebuild with moved points, clipped to the picture."""
        if self.kind is RegionKind.MASK:
            raise ValueError(f"the pixels of {self.mask} lie in the media store: crop or pad them instead")
        if self.kind is RegionKind.BOX:
            points = [(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)) for x, y in points]
        else:
            points = clipped(points, closed=self.kind is RegionKind.POLYGON)
        points = [(_onto_border(x), _onto_border(y)) for x, y in points]
        region = self.model_copy(update={"points": tuple(points)})
        if not points or _problem(region):
            raise InputError(f"nothing of the {self.kind.value} lies inside the crop: crop less, or draw it elsewhere")
        return region


def _numbers(text: str) -> list[float] | None:
    """Read comma separated numbers, or None where one is not a number."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None


def _onto_border(value: float) -> float:
    """Clamp a value that is at most `EDGE_TOLERANCE` outside [0, 1]; leave every other one, NaN too, as it is."""
    if -EDGE_TOLERANCE <= value < 0:
        return 0.0
    return 1.0 if 1 < value <= 1 + EDGE_TOLERANCE else float(value)


def _problem(region: Region) -> str | None:
    """Say what is wrong with a region and what to do, or None."""
    kind, points = region.kind, region.points
    for value in (value for point in points for value in point):
        if not math.isfinite(value) or not 0 <= value <= 1:
            return f"{value:g} is not in [0, 1]; give shares of the width and height, 0,0 is the top left corner"
    if len(points) > MAX_POINTS:
        return f"{len(points)} points are more than {MAX_POINTS}; draw it with fewer"
    if region.frames and (problem := _span_problem(*region.frames)):
        return problem
    if (kind is RegionKind.MASK) != (region.mask is not None):
        return "a mask handle belongs to a region of kind mask, and to no other"
    if kind is RegionKind.CLICK and len(points) != 1:
        return f"a click has 1 point, not {len(points)}; write {_WANTED[kind]}"
    if kind in (RegionKind.BOX, RegionKind.MASK):
        return _box_problem(points)
    if kind is RegionKind.SCRIBBLE and len(points) < 2:
        return f"a scribble has 2 points or more, not {len(points)}; write {_WANTED[kind]}"
    if kind is RegionKind.POLYGON and (len(points) < 3 or is_flat(points)):
        return f"its {len(points)} points enclose no area; write {_WANTED[kind]}"
    return None


def _span_problem(first: int, last: int) -> str | None:
    if max(first, last) >= MAX_FRAME:
        return f"frame {quoted(str(max(first, last)), 20)} is in no video; count from 0"
    if not 0 <= first <= last:
        return f"frames {first} to {last} run backwards; put the first frame first"
    return None


def _box_problem(points: Sequence[Point]) -> str | None:
    wanted = _WANTED[RegionKind.BOX]
    if len(points) != 2:
        return f"a box has 2 corners, not {len(points)}; write {wanted}"
    (x1, y1), (x2, y2) = points
    for name, low, high in (("left", x1, x2), ("top", y1, y2)):
        if low > high:
            other = "right" if name == "left" else "bottom"
            return f"its {name} edge {low:g} lies beyond its {other} edge {high:g}; swap them: {wanted}"
    if (x2 - x1) * (y2 - y1) < MIN_AREA:
        return f"({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) has no area; move the corners apart"
    return None
