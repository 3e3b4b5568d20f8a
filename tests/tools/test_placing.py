from math import hypot

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitron_agent.errors import NothingFoundError
from vitron_agent.shapes.check.compare import place_holds
from vitron_agent.tools import placing
from vitron_agent.tools.placing import ANY, GAP, LARGE, SMALL

CROWD = [(x / 4, y / 4, x / 4 + 0.2, y / 4 + 0.2) for x in range(4) for y in range(4)]


@pytest.mark.parametrize(
    ("new", "box", "wanted"),
    [
        ("star", (0.1, 0.1, 0.4, 0.4), (0.1, 0.1, 0.4, 0.4)),
        ("star", (0.0, 0.0, 1.0, 1.0), (0.28, 0.28, 0.72, 0.72)),  # no object is as large as the picture
        ("small star", (0.1, 0.1, 0.5, 0.5), (0.17, 0.17, 0.43, 0.43)),
        ("star", (0.4, 0.4, 0.5, 0.9), (0.36, 0.56, 0.54, 0.74)),  # narrower than any object
        ("star", (0.47, 0.47, 0.53, 0.53), (0.32, 0.32, 0.68, 0.68)),  # a click
        ("star", (0.9, 0.9, 1.0, 1.0), (0.82, 0.82, 1.0, 1.0)),
    ],
)
def test_a_square_of_a_possible_size_in_a_box(new: str, box: tuple, wanted: tuple) -> None:
    assert placing.inside(box, placing.size_of(new) or ANY) == pytest.approx(wanted, abs=0.011)


def test_anywhere_is_where_most_room_is() -> None:
    assert placing.free_place([(0.0, 0.0, 0.5, 1.0)], ANY)[0] > 0.5


def test_no_room_is_an_error() -> None:
    with pytest.raises(NothingFoundError, match="no room"):
        placing.free_place(CROWD, ANY)
    with pytest.raises(NothingFoundError, match="say another place"):
        placing.free_place([(0.0, 0.0, 0.5, 1.0)], ANY, placing.spot_at("left"))


@pytest.mark.parametrize("place", ["left", "right", "top", "bottom", "centre", "top left", "bottom right"])
def test_a_place_is_kept_and_what_stands_near_it_is_spared(place: str) -> None:
    spot = placing.spot_at(place)
    usual = placing.centre_of(placing.free_place([], LARGE, spot))
    assert usual == pytest.approx((*spot.liked(LARGE.usual), LARGE.usual), abs=0.001)
    x, y = usual[:2]
    others = [] if place == "centre" else [placing.square((x + 0.5) / 2, (y + 0.5) / 2, SMALL.least)]
    box = placing.free_place(others, SMALL, spot)
    assert place_holds(place, *placing.centre_of(box)[:2], tolerance=0.0)
    assert placing.clearance(box, others) >= GAP / 2 - 1e-9


@pytest.mark.parametrize(
    ("relation", "side"), [("left of", (-1, 0)), ("right of", (1, 0)), ("above", (0, -1)), ("below", (0, 1))]
)
def test_beside_is_next_to_the_anchor_and_clear_of_the_rest(relation: str, side: tuple[int, int]) -> None:
    anchor = (0.4, 0.4, 0.6, 0.6)
    spot = placing.spot_beside(relation, [anchor])
    x, y, r = placing.centre_of(placing.free_place([anchor], SMALL, spot))
    step = 0.1 + r + GAP
    assert (x, y) == pytest.approx((0.5 + side[0] * step, 0.5 + side[1] * step), abs=0.04)
    x, y, _ = placing.centre_of(placing.free_place([anchor, placing.square(x, y, r)], SMALL, spot))
    assert (x - 0.5) * side[0] + (y - 0.5) * side[1] >= abs((x - 0.5) * side[1] + (y - 0.5) * side[0])
    assert hypot(x - 0.5, y - 0.5) > 0.2


def test_between_is_in_the_middle_of_the_gap() -> None:
    large, small = (0.0, 0.4, 0.3, 0.7), (0.8, 0.5, 0.9, 0.6)
    box = placing.free_place([large, small], SMALL, placing.spot_beside("between", [large, small]))
    assert placing.centre_of(box)[:2] == pytest.approx((0.55, 0.55), abs=0.03)
    near = [large, (0.35, 0.4, 0.65, 0.7)]
    with pytest.raises(NothingFoundError, match="no room"):
        placing.free_place(near, SMALL, placing.spot_beside("between", near))


SHARES = st.floats(0, 1)
BOXES = st.tuples(SHARES, SHARES, SHARES, SHARES).map(
    lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
)


@settings(max_examples=25)
@given(BOXES, st.lists(BOXES, max_size=3))
def test_every_fitted_square_lies_in_the_picture_with_a_radius_of_its_size(place, others) -> None:
    x, y, _ = placing.centre_of(place)
    for size in (SMALL, LARGE):
        box = placing.fitting(x, y, size, others)
        r = placing.centre_of(box)[2]
        assert min(box) >= 0
        assert max(box) <= 1
        assert size.least - 0.016 <= r <= size.usual + 1e-9


@settings(max_examples=25)
@given(st.lists(BOXES, max_size=4))
def test_a_free_place_is_free(others) -> None:
    try:
        box = placing.free_place(others, ANY)
    except NothingFoundError:
        return
    assert placing.clearance(box, others) >= GAP / 2 - 1e-9
