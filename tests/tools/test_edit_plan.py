import random
from dataclasses import replace

import pytest
import torch

from vitron_agent.errors import NothingFoundError
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Scene, apart, sample_scene
from vitron_agent.shapes.tasks_refer import resized
from vitron_agent.tools import edit_plan, placing
from vitron_agent.tools.placing import LARGE, SMALL

PICTURE = torch.zeros(3, 64, 64, dtype=torch.uint8)


def target(box: tuple[float, float, float, float]) -> torch.Tensor:
    return edit_plan.within(box, PICTURE)


def test_removal_is_the_box_grown_by_two_pixels() -> None:
    plan = edit_plan.removal(target((0.25, 0.5, 0.5, 0.75)))
    assert edit_plan.box_of(plan.mask) == (14 / 64, 30 / 64, 34 / 64, 50 / 64)
    assert int(plan.mask.sum()) == 20 * 20


def test_removal_at_the_edge_stays_inside() -> None:
    assert edit_plan.box_of(edit_plan.removal(target((0.0, 0.75, 0.25, 1.0))).mask)[0] == 0.0


def test_nothing_to_remove_is_an_error() -> None:
    with pytest.raises(NothingFoundError, match="say it with other words"):
        edit_plan.removal(torch.zeros(64, 64, dtype=torch.bool))


@pytest.mark.parametrize("new", ["blue circle", "small blue circle"])
def test_a_replacement_that_has_the_size_keeps_the_box(new: str) -> None:
    box = (0.25, 0.25, 0.46875, 0.46875)  # radius 0.11: small
    plan = edit_plan.replacement(target(box), new)
    assert plan.layout[0].box == (0.25, 0.25, 0.47, 0.47)


@pytest.mark.parametrize(("new", "size"), [("large star", LARGE), ("bigger star", LARGE), ("tiny star", SMALL)])
def test_a_replacement_of_another_size_gets_the_usual_radius(new: str, size: placing.Size) -> None:
    old = (0.3, 0.3, 0.56, 0.56) if size is LARGE else (0.2, 0.2, 0.6, 0.6)  # between small and large; large
    plan = edit_plan.replacement(target(old), new)
    x, y, r = placing.centre_of(plan.layout[0].box)
    assert r == pytest.approx(size.usual, abs=0.006)
    assert (x, y) == pytest.approx(placing.centre_of(edit_plan.box_of(target(old)))[:2], abs=0.011)


def test_the_mask_covers_the_old_object_and_the_new_one() -> None:
    old = (0.2, 0.2, 0.6, 0.6)
    plan = edit_plan.replacement(target(old), "small star")
    assert plan.mask[target(old)].all()


def test_a_growing_object_stays_in_the_picture() -> None:
    plan = edit_plan.replacement(target((0.03, 0.03, 0.23, 0.23)), "large star")
    x1, y1, x2, y2 = plan.layout[0].box
    assert min(x1, y1) >= 0.01
    assert x2 - x1 == pytest.approx(2 * LARGE.usual, abs=0.011)


def test_a_growing_object_keeps_clear_of_its_neighbour() -> None:
    other = (0.5, 0.2, 0.9, 0.6)
    plan = edit_plan.replacement(target((0.25, 0.3, 0.45, 0.5)), "large star", [other])
    x1, _, x2, _ = plan.layout[0].box
    assert x2 <= 0.5
    assert x2 - x1 >= 2 * LARGE.least - 0.011


def test_the_new_background_leaves_the_objects_alone() -> None:
    objects = target((0.25, 0.25, 0.5, 0.5))
    plan = edit_plan.new_background(objects)
    assert not (plan.mask & objects).any()
    assert plan.mask[0, 0]


def test_an_addition_paints_its_square_and_a_little_more() -> None:
    plan = edit_plan.addition("small star", (0.25, 0.25, 0.5, 0.5), PICTURE)
    assert [(item.phrase, item.box) for item in plan.layout] == [("small star", (0.25, 0.25, 0.5, 0.5))]
    assert edit_plan.box_of(plan.mask) == (14 / 64, 14 / 64, 34 / 64, 34 / 64)


def test_phrases_lose_what_a_layout_cannot_hold() -> None:
    assert edit_plan.phrase("star, (blue): [x] <y>") == "star blue x y"
    assert edit_plan.phrase("()") == "object"


def test_boxes_touch_the_pixels_they_say() -> None:
    assert int(edit_plan.within((0.25, 0.25, 0.5, 0.5), PICTURE).sum()) == 16 * 16
    assert int(edit_plan.within((0.26, 0.26, 0.49, 0.49), PICTURE).sum()) == 16 * 16
    assert int(edit_plan.within((0.0, 0.0, 1.0, 1.0), torch.zeros(10, 30)).sum()) == 300


def parts(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (64, 64)) -> torch.Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_crumbs_of_a_mask_are_left_out_and_real_parts_are_not() -> None:
    large, crumb, part = (5, 5, 25, 25), (40, 40, 43, 43), (40, 5, 55, 20)
    assert torch.equal(edit_plan.main_parts(parts(large, crumb)), parts(large))
    assert torch.equal(edit_plan.main_parts(parts(large, part)), parts(large, part))


def test_parts_that_touch_at_a_corner_are_one() -> None:
    whole = parts((5, 5, 25, 25), (25, 25, 28, 28))
    assert torch.equal(edit_plan.main_parts(whole), whole)


def test_crumbs_of_large_and_of_odd_pictures() -> None:
    whole = parts((100, 100, 500, 500), (900, 50, 960, 110), size=(700, 1000))
    assert torch.equal(edit_plan.main_parts(whole), parts((100, 100, 500, 500), size=(700, 1000)))
    assert not edit_plan.main_parts(torch.zeros(33, 70, dtype=torch.bool)).any()


def pixels(scene: Scene) -> torch.Tensor:
    return render([scene]).images[0]


@pytest.mark.parametrize("seed", range(40))
def test_with_true_masks_a_plan_covers_what_changes_and_spares_the_rest(seed: int) -> None:
    """Scenes of the small world stand in for pictures, their exact masks for a segmenter."""
    rng = random.Random(seed)
    scene = sample_scene(rng, 2 + seed % 2)
    old, rest = scene.objects[0], scene.objects[1:]
    masks = render([scene]).masks[0]
    others = [edit_plan.box_of(mask) for mask in masks[1 : len(scene.objects)]]
    new = resized(old, "large" if old.size == "small" else "small")
    new = new if all(apart(new, other) for other in rest) else old
    plans = {
        "remove": (edit_plan.removal(masks[0]), Scene(scene.background, rest)),
        "resize": (edit_plan.replacement(masks[0], new.phrase, others), replace(scene, objects=(new, *rest))),
        "add": (edit_plan.addition(old.phrase, old.box, masks), Scene(scene.background, rest)),
    }
    for name, (plan, after) in plans.items():
        changed = ((pixels(scene) - pixels(after)).abs() > 0.03).any(0)
        assert not (changed & ~plan.mask).any(), name
        assert not (plan.mask & masks[1:].any(0)).any(), name
        if plan.layout:
            wanted = old.box if name == "add" else new.box
            assert plan.layout[0].box == pytest.approx(wanted, abs=0.05), name


def test_parts_have_boxes_and_specks_are_none() -> None:
    boxes = edit_plan.part_boxes(parts((0, 0, 16, 32), (32, 32, 64, 64), (20, 50, 22, 52)))
    assert sorted(boxes) == [(0.0, 0.0, 0.25, 0.5), (0.5, 0.5, 1.0, 1.0)]
    assert edit_plan.part_boxes(torch.zeros(64, 64, dtype=torch.bool)) == ()
    assert edit_plan.part_boxes(torch.ones(64, 64, dtype=torch.bool)) == ((0.0, 0.0, 1.0, 1.0),)
