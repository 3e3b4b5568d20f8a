"""Scenes of the small world: what is in a picture, and how to sample one.

A scene is a background and one to three objects. Coordinates are shares of the picture's side: origin top left, x to
the right, y down. This file knows nothing about pixels (render.py) or words beyond names (captions.py, language.py).
"""

import random
from dataclasses import dataclass, replace
from typing import Literal

RGB = tuple[float, float, float]
Size = Literal["small", "large"]
Box = tuple[float, float, float, float]

SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond")


def _rgb(red: int, green: int, blue: int) -> RGB:
    return red / 255, green / 255, blue / 255


COLOURS: dict[str, RGB] = {
    "red": _rgb(220, 40, 40),
    "green": _rgb(40, 180, 60),
    "blue": _rgb(50, 80, 220),
    "yellow": _rgb(240, 210, 40),
    "purple": _rgb(150, 50, 190),
    "orange": _rgb(245, 140, 30),
    "white": _rgb(240, 240, 240),
    "black": _rgb(25, 25, 25),
}
BACKGROUNDS: dict[str, RGB] = {
    "gray": _rgb(128, 128, 128),
    "navy": _rgb(20, 25, 80),
    "pink": _rgb(250, 190, 200),
    "olive": _rgb(110, 120, 50),
    "sky": _rgb(150, 205, 250),
    "sand": _rgb(225, 200, 150),
}
RADII: dict[Size, tuple[float, float]] = {"small": (0.09, 0.13), "large": (0.15, 0.22)}
"""Half of the side of an object's bounding square, as a share of the picture, per size word."""

LOW, HIGH, CENTRE = 0.45, 0.55, 0.15
"""Beyond LOW / HIGH an object is left or right (top or bottom); within CENTRE of the middle it is at the centre."""
GAP = 0.04
"""Least distance between two bounding squares, as a share of the side (2.5 pixels at 64)."""
MARGIN = 0.02
"""Least distance between a bounding square and the picture's edge."""


@dataclass(frozen=True)
class Obj:
    """One object.

    Attributes:
        shape: One of `SHAPES`.
        colour: One of `COLOURS`; `rgb` is its exact shade.
        size: "small" or "large".
        x: Centre, share of the width.
        y: Centre, share of the height.
        r: Half of the side of the bounding square, share of the side.
        rgb: The exact shade, each channel in [0, 1].
    """

    shape: str
    colour: str
    size: Size
    x: float
    y: float
    r: float
    rgb: RGB

    @property
    def box(self) -> Box:
        """The bounding square as (x_left, y_top, x_right, y_bottom), clipped to [0, 1]."""
        left, top = max(0.0, self.x - self.r), max(0.0, self.y - self.r)
        return left, top, min(1.0, self.x + self.r), min(1.0, self.y + self.r)

    @property
    def phrase(self) -> str:
        """Size, colour and shape in words, such as "small red circle"."""
        return f"{self.size} {self.colour} {self.shape}"

    @property
    def place(self) -> str:
        """Where the object is in words, such as "top left" (see `place_of`)."""
        return place_of(self.x, self.y)


@dataclass(frozen=True)
class Scene:
    """A picture's content: a background name and one to three objects (none after a removal)."""

    background: str
    objects: tuple[Obj, ...]


def place_of(x: float, y: float) -> str:
    """Name a place: "centre", "left", "right", "top", "bottom" or a corner such as "top left".

    Args:
        x: Share of the width.
        y: Share of the height.

    Returns:
        "centre" within `CENTRE` of the middle on both axes (in Euclidean distance), else the sides that apply.
    """
    if (x - 0.5) ** 2 + (y - 0.5) ** 2 <= CENTRE**2:
        return "centre"
    vertical = "top" if y < LOW else "bottom" if y > HIGH else ""
    horizontal = "left" if x < LOW else "right" if x > HIGH else ""
    return f"{vertical} {horizontal}".strip()


def relation(a: Obj, b: Obj, margin: float = 0.1) -> tuple[str, ...]:
    """The relations that clearly hold from `a` to `b`: of "left of", "right of", "above", "below".

    Args:
        a: The object spoken of.
        b: The object it is compared with.
        margin: Least distance of the centres along the axis, share of the side.
    """
    found = []
    if abs(a.x - b.x) >= margin:
        found.append("left of" if a.x < b.x else "right of")
    if abs(a.y - b.y) >= margin:
        found.append("above" if a.y < b.y else "below")
    return tuple(found)


def apart(a: Obj, b: Obj, gap: float = GAP) -> bool:
    """Whether the bounding squares of two objects keep at least `gap` between them."""
    return max(abs(a.x - b.x), abs(a.y - b.y)) >= a.r + b.r + gap


def nearest_name(rgb: RGB, palette: dict[str, RGB]) -> str:
    """The palette name whose base colour is nearest to `rgb` (squared distance, channels in [0, 1])."""
    return min(palette, key=lambda name: sum((p - q) ** 2 for p, q in zip(palette[name], rgb, strict=True)))


def sample_shade(rng: random.Random, colour: str, spread: float = 0.07) -> RGB:
    """Draw a shade around a colour's base that is still nearest to its own name.

    Args:
        rng: Source of randomness.
        colour: One of `COLOURS`.
        spread: Standard deviation per channel.
    """
    base = COLOURS[colour]
    while True:
        red, green, blue = (min(1.0, max(0.0, channel + rng.gauss(0.0, spread))) for channel in base)
        if nearest_name((red, green, blue), COLOURS) == colour:
            return red, green, blue


def clashes(colour: str, background: str) -> bool:
    """Whether a colour can hardly be seen on a background (closer than 0.25 in RGB distance)."""
    pairs = zip(COLOURS[colour], BACKGROUNDS[background], strict=True)
    return sum((p - q) ** 2 for p, q in pairs) < 0.25**2


def sample_object(rng: random.Random, background: str = "gray") -> Obj:
    """Draw one object at a random place, inside the picture and visible on `background`."""
    size: Size = rng.choice(("small", "large"))
    r = rng.uniform(*RADII[size])
    colour = rng.choice([name for name in COLOURS if not clashes(name, background)])
    low, high = r + MARGIN, 1 - r - MARGIN
    x, y = rng.uniform(low, high), rng.uniform(low, high)
    return Obj(rng.choice(SHAPES), colour, size, x, y, r, sample_shade(rng, colour))


def sample_scene(rng: random.Random, count: int | None = None) -> Scene:
    """Draw a scene whose objects keep a visible gap.

    Args:
        rng: Source of randomness.
        count: Number of objects, 1 to 3; drawn if None.
    """
    background = rng.choice(tuple(BACKGROUNDS))
    wanted = count if count is not None else rng.choice((1, 2, 2, 3, 3))
    objects: list[Obj] = []
    while len(objects) < wanted:
        for _ in range(50):
            candidate = sample_object(rng, background)
            if all(apart(candidate, other) for other in objects):
                objects.append(candidate)
                break
        else:
            objects.clear()  # a corner of the space with no room left: start again
    return Scene(background, tuple(objects))


def recoloured(obj: Obj, colour: str, rng: random.Random | None = None) -> Obj:
    """The same object in another colour (its base shade, or a random shade if `rng` is given)."""
    return replace(obj, colour=colour, rgb=sample_shade(rng, colour) if rng else COLOURS[colour])
