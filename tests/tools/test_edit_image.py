import pytest
import torch

from vitron_agent.graphs import user_turn
from vitron_agent.media import MediaStore, Region
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.testing import EchoSpecialist
from vitron_agent.tools import edit_plan, placing

FOUND = (0.25, 0.25, 0.5, 0.5)  # where the echo specialist finds everything
OBJECTS = ((0.1, 0.1, 0.3, 0.3), (0.6, 0.6, 0.9, 0.9))  # what it finds when asked for everything


@pytest.fixture
def edit(bench, picture: str, echo: EchoSpecialist):
    """Edit the picture and return the answer with the editor's request."""

    def run(command: str, drawn: Region | None = None, **arguments: object) -> tuple[object, SpecialistRequest | None]:
        message = user_turn("edit", [picture], drawn)
        answer = bench.run([message], "edit_image", {"command": command, **arguments})
        return answer, echo.requests[-1] if answer.status == "success" else None

    return run


def box_of(mask: torch.Tensor) -> tuple[float, ...]:
    return edit_plan.box_of(mask)


def test_only_the_mask_changes_and_the_new_picture_is_stored(edit, store: MediaStore, picture: str) -> None:
    answer, request = edit("remove the red circle")
    before, after = store.get_image(picture), store.get_image(answer.artifact["uri"])
    mask = store.get_mask(answer.artifact["mask_uri"])
    assert torch.equal(mask, request.mask)
    assert torch.equal(after[:, ~mask], before[:, ~mask])
    assert not torch.equal(after[:, mask], before[:, mask])
    assert (answer.content, answer.artifact["inputs"]) == ("Result: done.", [picture])


def test_remove_reaches_a_little_beyond_its_object_and_puts_nothing_there(edit) -> None:
    _, request = edit("remove the red circle")
    assert request.layout == ()
    assert box_of(request.mask) == pytest.approx([0.25 - 2 / 64, 0.25 - 2 / 64, 0.5 + 2 / 64, 0.5 + 2 / 64])


def test_replace_puts_the_new_object_into_the_old_ones_box(edit) -> None:
    _, request = edit("replace the red circle with a blue circle")
    assert [(item.phrase, item.box) for item in request.layout] == [("blue circle", FOUND)]


def test_replace_by_a_large_one_grows_it_and_keeps_clear_of_the_others(edit) -> None:
    _, request = edit("replace the red circle with a large blue star")
    x1, y1, x2, y2 = request.layout[0].box
    assert 0.29 <= x2 - x1 <= 0.44
    assert placing.clearance((x1, y1, x2, y2), OBJECTS[1:]) > 0
    inside = edit_plan.within((x1, y1, x2, y2), request.mask) & ~request.mask
    assert not inside.any()


def test_the_background_is_everything_but_the_objects(edit) -> None:
    _, request = edit("change the background to navy")
    for box in OBJECTS:
        assert not request.mask[edit_plan.within(edit_plan.grown(box, -2 / 64), request.mask)].any()
    assert request.mask[0].all()
    assert request.layout == ()


def test_add_goes_where_the_planner_says(edit) -> None:
    _, request = edit("add a small green star", region=[0.6, 0.1, 0.82, 0.32])
    assert [(item.phrase, item.box) for item in request.layout] == [("small green star", (0.6, 0.1, 0.82, 0.32))]


def test_add_without_a_place_finds_the_free_one(edit) -> None:
    _, request = edit("add a small green star")
    box = request.layout[0].box
    assert placing.clearance(box, OBJECTS) >= 0.03
    assert min(box) >= 0.01
    assert max(box) <= 0.99


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        ("at the top right", lambda x, y: x > 0.55 and y < 0.45),
        ("on the left", lambda x, y: x < 0.45),
        ("below the red circle", lambda x, y: y >= 0.375 + 0.15 and abs(x - 0.375) <= y - 0.375),
    ],
)
def test_add_goes_where_its_words_say_and_keeps_clear_of_the_others(edit, words: str, holds) -> None:
    _, request = edit(f"add a small green star {words}")
    (item,) = request.layout
    x, y, _ = placing.centre_of(item.box)
    assert item.phrase == "small green star"
    assert holds(x, y)
    assert placing.clearance(item.box, OBJECTS) >= 0.03


def test_add_beside_what_is_not_there_is_an_error(edit) -> None:
    answer, _ = edit("add a star left of the unicorn")
    assert answer.status == "error"
    assert "'unicorn' is not in the picture" in answer.content


@pytest.mark.parametrize("kind", ["box:0.5,0.5,0.75,0.75", "click:0.6,0.6", "scribble:0.5,0.5,0.6,0.7"])
def test_a_drawn_region_is_segmented_by_its_stroke(edit, echo: EchoSpecialist, kind: str) -> None:
    drawn = Region.parse(kind)
    edit("remove the object", drawn, region="drawn")
    looked = echo.requests[0]
    assert (looked.command, looked.region) == ("", drawn)


def test_add_at_a_click_is_centred_there(edit) -> None:
    _, request = edit("add a large star", Region.parse("click:0.4,0.6"), region="drawn")
    x1, y1, x2, y2 = request.layout[0].box
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((0.4, 0.6), abs=0.011)
    assert x2 - x1 == pytest.approx(0.36, abs=0.021)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("remove the unicorn", "'unicorn' is not in the picture"),
        ("sing a song", "edit 'sing a song' is not understood"),
    ],
)
def test_what_cannot_be_done_goes_back_to_the_planner(edit, command: str, said: str) -> None:
    answer, _ = edit(command)
    assert answer.status == "error"
    assert said in answer.content
