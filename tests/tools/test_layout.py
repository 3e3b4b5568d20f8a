import random

import pytest

from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import Box
from vitron_agent.shapes.tasks import sample_conversation
from vitron_agent.tools.layout import settled
from vitron_agent.tools.placing import centre_of, clearance

TOP_RIGHT, TOP, LEFT = (0.57, 0.07, 0.93, 0.43), (0.32, 0.07, 0.68, 0.43), (0.07, 0.32, 0.43, 0.68)


def entries(**boxes: Box) -> tuple[GroundedPhrase, ...]:
    return tuple(GroundedPhrase(phrase=name.replace("_", " "), box=box) for name, box in boxes.items())


def test_layouts_that_are_right_stay_exactly_as_they_are() -> None:
    rng, seen = random.Random(0), 0
    for _ in range(60):
        for turn in sample_conversation(rng, "train", rng.choice(("draw", "chain"))).turns:
            if turn.invocation is not None and turn.invocation.layout:
                seen += 1
                assert settled(turn.invocation.command, turn.invocation.layout) == turn.invocation.layout
    assert seen > 40


def test_of_two_on_each_other_the_one_that_has_more_room_moves_within_its_words() -> None:
    command = "a black circle at the top right and a red circle at the top on a gray background"
    layout = entries(black_circle=TOP_RIGHT, red_circle=TOP)
    black, red = settled(command, layout)
    assert black == layout[0]
    assert clearance(red.box, [black.box]) >= 0.03
    assert centre_of(red.box)[1] < 0.45


@pytest.mark.parametrize(
    ("place", "low", "high"),
    [
        ("on the left", (0, 0), (0.45, 1)),
        ("at the bottom", (0, 0.55), (1, 1)),
        ("in the centre", (0.4, 0.4), (0.6, 0.6)),
    ],
)
def test_what_is_not_where_the_command_says_goes_there(place: str, low: tuple, high: tuple) -> None:
    (star,) = settled(f"a large blue star {place} on a navy background", entries(large_blue_star=TOP_RIGHT))
    x, y, r = centre_of(star.box)
    assert low[0] <= x <= high[0]
    assert low[1] <= y <= high[1]
    assert 0.15 <= r <= 0.22


def test_what_moves_keeps_its_size_where_there_is_room() -> None:
    (tree,) = settled("a tree on the left", entries(tree=(0.4, 0.1, 1.0, 0.7)))
    assert centre_of(tree.box)[2] == pytest.approx(0.3, abs=0.02)


def test_relations_hold_between_the_boxes() -> None:
    layout = entries(white_cross=TOP, purple_diamond=(0.32, 0.57, 0.68, 0.93))
    assert settled("a white cross above a purple diamond on a gray background", layout) == layout
    cross, diamond = settled("a white cross below a purple diamond on a gray background", layout)
    assert centre_of(cross.box)[1] > centre_of(diamond.box)[1] + 0.15
    assert clearance(cross.box, [diamond.box]) >= 0.03


def test_things_without_a_place_of_their_own_may_stand_before_each_other() -> None:
    before = entries(man=(0.3, 0.2, 0.5, 0.6), horse=(0.2, 0.4, 0.8, 0.9))
    assert settled("a man riding a horse", before) == before
    one, other = settled("a red star and a red star", entries(red_star=TOP, red_star_=TOP))
    assert one.box == TOP
    assert clearance(other.box, [one.box]) >= 0.03


def test_where_there_is_no_room_all_stays_as_it_was_written() -> None:
    layout = entries(large_red_square=(0.0, 0.0, 0.6, 1.0), large_blue_square=(0.0, 0.0, 1.0, 1.0))
    assert settled("a large red square on the left and a large blue square on the left", layout) == layout


@pytest.mark.parametrize("command", ["", "on a gray background", "a , and a ", "boats -> sea, and a red star at the"])
def test_any_words_are_taken(command: str) -> None:
    layout = entries(red_star=TOP, blue_star=LEFT)
    assert settled(command, layout) == layout
