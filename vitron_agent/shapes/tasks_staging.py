"""Where things stand before they move: layouts of a first frame that leave room for what is to happen.

As in tasks_layout.py no dice: one request has one layout, so that a planner can learn the choice. What moves to the
right begins on the left; two things begin in different corners, so that each has a way of its own.
"""

from functools import lru_cache
from itertools import product

from vitron_agent.shapes.clip import DISTANCE, FACTOR, Clip, Motion, is_sound
from vitron_agent.shapes.scene import COLOURS, Box, Obj, Scene, Size
from vitron_agent.shapes.tasks_layout import layout

STEP, CHANGE = DISTANCE[0], FACTOR[0]
"""How far a way must be free at least, as a share of the side, and by which factor a size must be free to change."""
_ALONE: dict[str | None, tuple[str | None, ...]] = {
    "right": ("left",),
    "left": ("right",),
    "up": ("bottom",),
    "down": ("top",),
}
_CORNERS: dict[str | None, tuple[str, ...]] = {
    "right": ("top left", "bottom left", "left"),
    "left": ("top right", "bottom right", "right"),
    "up": ("bottom left", "bottom right", "bottom"),
    "down": ("top left", "top right", "top"),
}
_ANYWHERE = ("top left", "bottom right", "top right", "bottom left", "centre")


@lru_cache(maxsize=65536)
def staged(
    sizes: tuple[Size | None, ...], places: tuple[str | None, ...], motions: tuple[str | None, ...]
) -> tuple[Box, ...] | None:
    """Boxes of the first frame for objects of which some will move.

    Args:
        sizes: Wished size per object, None for any.
        places: Wished place per object in the first frame, None for any.
        motions: What each object does, of clip.MOTIONS, None where it stands still.

    Returns:
        One (x_left, y_top, x_right, y_bottom) per object on two decimals, from which all motions go through without a
        collision; None if there is no such layout.
    """
    options = [
        (place,) if place else _starts(len(sizes), motion) for place, motion in zip(places, motions, strict=True)
    ]
    small = tuple(size or "small" for size in sizes)
    for wished in (sizes, small) if len(sizes) < 3 else (small,):
        for choice in sorted(product(*(range(len(option)) for option in options)), key=sum):
            named = tuple(option[k] for option, k in zip(options, choice, strict=True))
            boxes = layout(wished, named)
            if boxes and is_sound(_moving(boxes, motions)):
                return boxes
    return None


def _starts(count: int, motion: str | None) -> tuple[str | None, ...]:
    """Places to begin at, the most liked first."""
    return _ALONE.get(motion, (None,)) if count == 1 else _CORNERS.get(motion, _ANYWHERE)


def _moving(boxes: tuple[Box, ...], motions: tuple[str | None, ...]) -> Clip:
    """A clip of these boxes, each doing the least that it may."""
    objects = tuple(
        Obj("circle", "red", "large", (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, COLOURS["red"])
        for x1, y1, x2, y2 in boxes
    )
    amounts = (Motion(name, CHANGE if name in ("grow", "shrink") else STEP) if name else None for name in motions)
    return Clip(Scene("gray", objects), tuple(amounts))
