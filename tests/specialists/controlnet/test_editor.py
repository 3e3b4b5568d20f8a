"""What an edit changes, what it is held to, where it begins; not how it looks: the weights are random."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vitron_agent.errors import Cancelled, InputError, MissingInputError
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.controlnet import ControlDefaults, ControlEditor
from vitron_agent.specialists.controlnet.editor import around, wish_of

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def editor(written: Path) -> ControlEditor:
    return ControlEditor.from_pretrained(written, defaults=ControlDefaults(steps=2, guidance=2.0))


@pytest.fixture
def picture() -> Tensor:
    """A bright square on noise."""
    made = torch.randint(0, 90, (3, 40, 60), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    made[:, 10:30, 20:44] = 220
    return made


MASK = torch.zeros(40, 60, dtype=torch.bool)
MASK[10:30, 20:44] = True


def image(editor: ControlEditor, request: SpecialistRequest) -> Tensor:
    made = editor.run(request).image
    assert made is not None
    return made


@pytest.mark.parametrize("command", ["make the square blue", "change the background to pink"])
def test_nothing_changes_outside_the_mask(editor: ControlEditor, picture: Tensor, command: str) -> None:
    before = picture.clone()
    result = editor.run(SpecialistRequest(command, image=picture, mask=MASK))
    assert result.image is not None
    assert torch.equal(result.image[:, ~MASK], before[:, ~MASK])
    assert (result.image != before)[:, MASK].float().mean() > 0.5
    assert torch.equal(picture, before)


def test_an_object_is_held_to_its_edges_alone(editor: ControlEditor, picture: Tensor) -> None:
    """The noise around it has edges too; they are not shown."""
    request = SpecialistRequest("make the square blue", image=picture, mask=MASK)
    control = editor.run(request).looks["control"]
    assert set(control.unique().tolist()) == {0, 255}
    other = torch.where(MASK, picture, 255 - picture)
    assert torch.equal(editor.run(SpecialistRequest(request.command, image=other, mask=MASK)).looks["control"], control)


def test_a_background_is_held_to_its_depth(editor: ControlEditor, picture: Tensor) -> None:
    control = editor.run(SpecialistRequest("change the background to pink", image=picture, mask=~MASK)).looks["control"]
    assert len(control.unique()) > 20


def test_seed_and_draft_are_where_sampling_begins(editor: ControlEditor, picture: Tensor) -> None:
    def made(seed: int, draft: Tensor | None = None) -> Tensor:
        return image(editor, SpecialistRequest("make it blue", image=picture, mask=MASK, seed=seed, draft=draft))

    assert torch.equal(made(3), made(3))
    assert not torch.equal(made(3), made(4))
    dark, bright = torch.zeros_like(picture), torch.full_like(picture, 255)
    assert not torch.equal(made(3, dark), made(3, bright))
    assert torch.equal(made(3, bright), made(3, torch.where(MASK, bright, dark)))  # of the object alone


def test_words_count(editor: ControlEditor, picture: Tensor) -> None:
    blue, green = (
        image(editor, SpecialistRequest(f"make it {colour}", image=picture, mask=MASK)) for colour in ("blue", "green")
    )
    assert not torch.equal(blue, green)


@pytest.mark.parametrize(
    ("command", "words", "scenery"),
    [
        ("replace the dog with a brown bear", "brown bear", False),
        ("change the background to a snowy street", "snowy street", True),
        ("paint the red circle blue", "blue circle", False),
        ("in the style of Monet", "in the style of Monet", False),
    ],
)
def test_the_wish_is_what_shall_be_seen(command: str, words: str, scenery: bool) -> None:
    assert wish_of(command) == (f"{words}, best quality, extremely detailed", scenery)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(32, 32, (32, 32)), (40, 60, (32, 48)), (432, 768, (32, 56)), (100, 1000, (8, 64)), (1000, 10, (64, 8))],
)
def test_pictures_are_edited_near_the_trained_size(
    editor: ControlEditor, height: int, width: int, size: tuple[int, int]
) -> None:
    assert editor.working_size(height, width) == size


def test_the_surroundings_of_a_mask_stay_in_the_picture() -> None:
    assert around(MASK) == (slice(8, 32), slice(18, 46))
    assert around(torch.ones(40, 60, dtype=torch.bool)) == (slice(0, 40), slice(0, 60))


def test_each_step_is_told_and_can_stop(editor: ControlEditor, picture: Tensor) -> None:
    steps: list[tuple[int, int]] = []

    def stop(step: int, total: int) -> None:
        steps.append((step, total))
        raise Cancelled("stop")

    request = SpecialistRequest("make it blue", image=picture, mask=MASK, steps=4)
    editor.run(request, lambda step, total: steps.append((step, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(Cancelled):
        editor.run(request, stop)
    assert steps[4:] == [(1, 4)]


def test_what_is_missing_is_said(editor: ControlEditor, picture: Tensor) -> None:
    with pytest.raises(MissingInputError, match="no picture"):
        editor.run(SpecialistRequest("make it blue"))
    with pytest.raises(InputError, match="the mask is empty"):
        editor.run(SpecialistRequest("make it blue", image=picture, mask=torch.zeros_like(MASK)))
