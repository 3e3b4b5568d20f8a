import random

import pytest
import torch

from vitron_agent.media import MediaKind, Region
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Scene, sample_scene
from vitron_agent.shapes.tasks_results import mask_result
from vitron_agent.shapes.tasks_session import RESULT_PICTURE
from vitron_agent.specialists.base import SpecialistResult
from vitron_agent.tools.results import MADE, segmented


def perfect(scene: Scene, slots: list[int]) -> SpecialistResult:
    """What a segmenter without faults returns for objects of a scene."""
    masks = render([scene], size=256).masks[0]
    boxes = tuple(scene.objects[slot].box for slot in slots)
    labels = tuple(f"{scene.objects[slot].colour} {scene.objects[slot].shape}" for slot in slots)
    return SpecialistResult(MediaKind.MASK, mask=masks[slots].any(0), boxes=boxes, labels=labels)


@pytest.mark.parametrize("seed", range(8))
def test_a_mask_reads_as_the_planner_was_taught(seed: int) -> None:
    """The numbers may differ in their last digit: the teacher computes areas, the tool counts pixels."""
    scene = sample_scene(random.Random(seed), 2)
    phrase = f"the {scene.objects[0].colour} {scene.objects[0].shape}"
    drawn = Region.from_box(*scene.objects[0].box)
    taught = mask_result(scene, phrase, 3, drawn)
    said = segmented(phrase, perfect(scene, [0]), "picture 3")
    assert said.split("), ")[0] == taught.split("), ")[0]
    share, wanted = (float(text.split("), ")[1].split("%")[0]) for text in (said, taught))
    assert share == pytest.approx(wanted, abs=0.15)
    assert said.endswith("% of picture 3.")


def test_everything_reads_as_the_planner_was_taught() -> None:
    scene = sample_scene(random.Random(5), 3)
    assert segmented("everything", perfect(scene, [0, 1, 2]), "picture 2") == mask_result(scene, "everything", 2, None)


def test_the_background_reads_as_the_planner_was_taught() -> None:
    scene = Scene("gray", ())
    full = SpecialistResult(MediaKind.MASK, torch.zeros(0), torch.ones(8, 8).bool(), ((0.0, 0.0, 1.0, 1.0),), ("x",))
    assert segmented("the background", full, "picture 1") == mask_result(scene, "the background", 1, None)


def test_a_new_picture_reads_as_the_planner_was_taught() -> None:
    assert MADE == RESULT_PICTURE
