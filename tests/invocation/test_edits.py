"""Edit commands: the four canonical forms, and as people write them."""

import pytest

from vitron_agent.errors import InvocationError
from vitron_agent.invocation import parse_edit


@pytest.mark.parametrize(
    ("command", "operation", "target", "new"),
    [
        ("replace the red circle with a blue circle", "replace", "red circle", "blue circle"),
        ("remove the small star", "remove", "small star", None),
        ("add a green square", "add", None, "green square"),
        ("change the background to navy", "background", None, "navy"),
        ("Please remove the dog.", "remove", "dog", None),
        ("delete that cat, please", "remove", "cat", None),
        ("get rid of the blue square on the left", "remove", "blue square on the left", None),
        ("put a hat on the marked dog", "add", None, "hat on the marked dog"),
        ("insert an orange star in the top left corner", "add", None, "orange star"),
        ("swap the motorcycle for a bicycle", "replace", "motorcycle", "bicycle"),
        ("turn the circle into a square", "replace", "circle", "square"),
        ("change the cat to a dog", "replace", "cat", "dog"),
        ("the red circle -> a blue square", "replace", "red circle", "blue square"),
        ("paint the red circle blue", "replace", "red circle", "blue circle"),
        ("make the small star bigger", "replace", "small star", "bigger star"),
        ("make the background pink", "background", None, "pink"),
        ("replace the background with sand", "background", None, "sand"),
        ("background: sky", "background", None, "sky"),
        ("replace the background circle with a square", "replace", "background circle", "square"),
        ("REPLACE  the\nred circle WITH a Blue circle!", "replace", "red circle", "Blue circle"),
    ],
)
def test_commands_are_taken_apart(command: str, operation: str, target: str | None, new: str | None) -> None:
    edit = parse_edit(command)
    assert (edit.operation, edit.target, edit.new) == (operation, target, new)


@pytest.mark.parametrize(
    ("command", "new", "place", "beside"),
    [
        ("add a red circle", "red circle", None, None),
        ("add a red circle at the top left", "red circle", "top left", None),
        ("add a small star on the left", "small star", "left", None),
        ("draw a dot in the upper right corner", "dot", "top right", None),
        ("put a boat at the bottom of the picture", "boat", "bottom", None),
        ("add a cross in the middle", "cross", "centre", None),
        ("add a star left of the blue square", "star", None, ("left of", ("blue square",))),
        ("add a hat to the right of the large dog", "hat", None, ("right of", ("large dog",))),
        ("put a moon over the tree", "moon", None, ("above", ("tree",))),
        ("insert a tree under the sun", "tree", None, ("below", ("sun",))),
        ("add a dot below the square on the left", "dot", None, ("below", ("square on the left",))),
        ("add a dot between the red star and the circle", "dot", None, ("between", ("red star", "circle"))),
        ("add a cat in the middle of the road", "cat in the middle of the road", None, None),
        ("add a bird in the sky", "bird in the sky", None, None),
        ("remove the star on the left", None, None, None),
    ],
)
def test_additions_say_where(command: str, new: str | None, place: str | None, beside: tuple | None) -> None:
    edit = parse_edit(command)
    assert (edit.new, edit.place, edit.beside) == (new, place, beside)


@pytest.mark.parametrize("command", ["", "hello", "remove", "make it nice and shiny, will you?", "x" * 10_000])
def test_anything_else_is_named(command: str) -> None:
    with pytest.raises(InvocationError, match="replace the OLD with a NEW") as caught:
        parse_edit(command)
    assert len(str(caught.value)) < 300
