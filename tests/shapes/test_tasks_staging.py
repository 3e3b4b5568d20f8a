"""Layouts of first frames: inside the picture, apart, with room for what is to move, and without dice."""

from itertools import product

import pytest

from vitron_agent.shapes.clip import MOTIONS, Clip, Motion, is_sound
from vitron_agent.shapes.scene import COLOURS, MARGIN, Obj, Scene, place_of
from vitron_agent.shapes.tasks_staging import CHANGE, STEP, staged

EVERY = (*MOTIONS, None)


def clip_of(boxes, moves, step=STEP):
    objects = [
        Obj("star", "red", "large", (a + c) / 2, (b + d) / 2, (c - a) / 2, COLOURS["red"]) for a, b, c, d in boxes
    ]
    amounts = [Motion(m, CHANGE if m in ("grow", "shrink") else step) if m else None for m in moves]
    return Clip(Scene("gray", tuple(objects)), tuple(amounts))


@pytest.mark.parametrize("count", [1, 2])
def test_every_request_for_one_or_two_objects_has_a_first_frame_with_room(count):
    for moves in product(EVERY, repeat=count):
        boxes = staged((None,) * count, (None,) * count, moves)
        assert boxes is not None, moves
        assert is_sound(clip_of(boxes, moves))
        assert all(MARGIN - 1e-9 <= value <= 1 - MARGIN + 1e-9 for box in boxes for value in box)


def test_one_object_can_go_half_way_across():
    for move in ("left", "right", "up", "down"):
        boxes = staged((None,), (None,), (move,))
        assert boxes is not None
        assert is_sound(clip_of(boxes, (move,), step=0.5))


def test_nearly_every_request_for_three_objects_has_one_too():
    found = [staged((None,) * 3, (None,) * 3, moves) for moves in product(EVERY, repeat=3)]
    assert sum(boxes is not None for boxes in found) > 0.9 * len(found)


def test_sizes_and_places_that_were_said_are_kept():
    (box,) = staged(("large",), ("top right",), ("down",)) or ()
    assert place_of((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) == "top right"
    assert box[2] - box[0] > 0.3
    (small, other) = staged(("small", None), (None, None), ("right", None)) or ()
    assert small[2] - small[0] < 0.25 < other[2] - other[0]


def test_what_has_no_way_to_go_has_no_first_frame():
    assert staged(("large",), ("right",), ("right",)) is None
