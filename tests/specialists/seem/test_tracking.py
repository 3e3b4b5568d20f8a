"""One object through a clip: where it starts, what memory decides, and the trained tracker in the small world."""

import random

import pytest
import torch

from vitron_agent.build import build_specialist
from vitron_agent.errors import Cancelled, MissingInputError, NothingFoundError
from vitron_agent.media import Region
from vitron_agent.shapes.clip import FRAMES, Clip, Motion, frames_of, render_clip, sample_clip
from vitron_agent.shapes.scene import COLOURS, Obj, Scene
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.seem.tracking import LOST, Memory, SeemTracker, _evidence

BOX = Region.from_box(0.1, 0.2, 0.6, 0.9)


def square(row: int, column: int, side: int = 8) -> torch.Tensor:
    """A filled square in a mask of 32 x 32."""
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[row : row + side, column : column + side] = True
    return mask


def clip(length: int) -> torch.Tensor:
    """Random frames."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (length, 3, 48, 80), generator=generator, dtype=torch.uint8)


def overlaps(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """IoU per frame of masks (T, H, W)."""
    return (found & truth).flatten(1).sum(1) / (found | truth).flatten(1).sum(1)


@pytest.mark.parametrize(("shift", "row", "column"), [((0, 0), 10, 10), ((3, 0), 13, 10), ((-2, 4), 8, 14)])
def test_memory_expects_the_object_where_its_motion_leads(shift: tuple[int, int], row: int, column: int) -> None:
    memory = Memory(square(10, 10), torch.tensor(shift).float(), torch.zeros(3))
    assert torch.equal(memory.expected(), square(row, column))


def test_memory_learns_the_motion_and_forgets_what_left_the_frame() -> None:
    memory = Memory(square(10, 10), torch.zeros(2), torch.zeros(3)).seen(square(10, 14))
    assert memory.shift.tolist() == [0, 4]
    assert torch.equal(memory.expected(), square(10, 18))
    assert not Memory(square(10, 10), torch.tensor([40.0, 0.0]), torch.zeros(3)).expected().any()


def test_place_colour_and_size_speak_for_a_mask() -> None:
    frame = torch.zeros(3, 32, 32, dtype=torch.uint8)
    frame[0] = 200
    memory = Memory(square(10, 10), torch.zeros(2), torch.tensor([200 / 255, 0, 0]))
    same = _evidence(-0.1, square(10, 10), frame, memory)
    assert same > _evidence(-0.1, square(10, 20), frame, memory)
    assert same > _evidence(-0.1, square(10, 10, 12), frame, memory)
    other = Memory(memory.mask, memory.shift, torch.tensor([0.0, 0.0, 1.0]))
    assert _evidence(-0.1, square(10, 10), frame, other) < LOST


def test_there_is_a_mask_and_a_box_or_none_for_every_frame(segmenter) -> None:
    steps: list[tuple[int, int]] = []
    request = SpecialistRequest("", region=BOX, video=clip(5))
    result = SeemTracker(segmenter).run(request, lambda step, total: steps.append((step, total)))
    assert result.masks is not None
    assert result.masks.shape == (5, 48, 80)
    assert result.masks.dtype is torch.bool
    assert [box is not None for box in result.track] == result.masks.flatten(1).any(1).tolist()
    assert steps[-1] == (6, 6)
    assert [step for step, _ in steps] == sorted(step for step, _ in steps)


def test_the_region_lies_on_the_first_frame_of_its_span(segmenter) -> None:
    frames = clip(4)
    region = BOX.model_copy(update={"frames": (2, 3)})
    result = SeemTracker(segmenter).run(SpecialistRequest("", region=region, video=frames))
    alone = segmenter.run(SpecialistRequest("", frames[2], BOX))
    assert result.masks is not None
    assert torch.equal(result.masks[2], alone.mask)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (SpecialistRequest("the circle"), "needs a picture"),
        (SpecialistRequest("the circle", video=clip(0)), "has no frames"),
        (SpecialistRequest("", video=clip(2), region=BOX.model_copy(update={"frames": (2, 2)})), "frames 0 to 1"),
    ],
)
def test_what_is_missing_is_said(segmenter, request_: SpecialistRequest, message: str) -> None:
    with pytest.raises(MissingInputError, match=message):
        SeemTracker(segmenter).run(request_)


def test_pictures_go_to_the_segmenter(segmenter, picture) -> None:
    request = SpecialistRequest("", picture, BOX)
    assert torch.equal(SeemTracker(segmenter).run(request).mask, segmenter.run(request).mask)


def test_it_can_be_cancelled(segmenter) -> None:
    def stop(step: int, total: int) -> None:
        if step == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        SeemTracker(segmenter).run(SpecialistRequest("", region=BOX, video=clip(4)), stop)


def test_revisions_tell_the_settings_apart(segmenter) -> None:
    assert SeemTracker(segmenter).revision != SeemTracker(segmenter, memory=False).revision


@pytest.fixture(scope="module")
def tracker() -> SeemTracker:
    """The trained one of the tiny profile."""
    built = build_specialist("seem", "tiny")
    assert isinstance(built, SeemTracker)
    return built


def test_the_trained_tracker_tells_two_alike_objects_apart(tracker: SeemTracker) -> None:
    left = Obj("circle", "red", "large", 0.25, 0.3, 0.16, COLOURS["red"])
    right = Obj("circle", "red", "large", 0.75, 0.7, 0.16, COLOURS["red"])
    moving = Clip(Scene("gray", (left, right)), (Motion("right", 0.4), Motion("left", 0.4)))
    truth = render_clip(moving).masks
    for slot, obj in enumerate((left, right)):
        region = Region.from_box(*obj.box)
        result = tracker.run(SpecialistRequest("", region=region, video=frames_of(moving)))
        assert result.masks is not None
        assert overlaps(result.masks, truth[:, slot]).min() > 0.6


def test_the_trained_tracker_follows_words(tracker: SeemTracker) -> None:
    rng = random.Random(5)
    for _ in range(4):
        moving = sample_clip(rng, count=1)
        obj = moving.scene.objects[0]
        result = tracker.run(SpecialistRequest(f"the {obj.colour} {obj.shape}", video=frames_of(moving)))
        assert result.masks is not None
        assert len(result.track) == FRAMES
        assert overlaps(result.masks, render_clip(moving).masks[:, 0]).mean() > 0.6


def test_the_trained_tracker_invents_nothing(tracker: SeemTracker) -> None:
    circle = Obj("circle", "red", "large", 0.4, 0.5, 0.2, COLOURS["red"])
    moving = Clip(Scene("gray", (circle,)), (Motion("right", 0.2),))
    with pytest.raises(NothingFoundError, match="green star"):
        tracker.run(SpecialistRequest("the green star", video=frames_of(moving)))
