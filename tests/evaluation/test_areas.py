import torch

from tests.evaluation.clips import CLIP, GREEN, RED
from vitron_agent.evaluation.areas import MARGIN, box_mask, mask_of, masks_of, untouched
from vitron_agent.evaluation.cases import Target
from vitron_agent.invocation import Invocation, Module
from vitron_agent.media import Region
from vitron_agent.shapes.clip import Clip, render_clip
from vitron_agent.shapes.scene import Scene

SCENE = CLIP.scene


def test_background_and_everything_are_masks_too() -> None:
    ground = mask_of(SCENE, Target(call=Invocation(module=Module.B, command="the background")))
    everything = mask_of(SCENE, Target(call=Invocation(module=Module.B, command="everything")))
    assert torch.equal(ground, ~everything)


def test_box_masks_grow_by_their_margin() -> None:
    assert int(box_mask(RED, 0.0, 64).sum()) < int(box_mask(RED, 0.05, 64).sum())


def test_what_is_meant_in_the_first_frame_is_masked_in_all() -> None:
    truth = render_clip(CLIP).masks
    by_words = Target(call=Invocation(module=Module.E, command="the circle"))
    assert torch.equal(masks_of(CLIP, by_words), truth[:, 0])
    drawn = Region.parse("click:0.7,0.72")
    by_region = Target(call=Invocation(module=Module.E, command="the object", uses_drawn_region=True), drawn=drawn)
    assert torch.equal(masks_of(CLIP, by_region), truth[:, 1])
    assert not masks_of(CLIP, Target(call=Invocation(module=Module.E, command="the cross"))).any()


def test_a_changed_object_may_touch_its_surroundings_in_every_frame() -> None:
    kept = untouched(CLIP, GREEN)
    for frame, scene in enumerate(CLIP.scenes):
        assert torch.equal(kept[frame], ~box_mask(scene.objects[0], MARGIN, 64))


def test_a_new_background_may_touch_everything_but_the_objects() -> None:
    masks = render_clip(CLIP).masks
    kept = untouched(CLIP, Clip(Scene("sky", SCENE.objects), CLIP.motions))
    assert kept.any()
    assert not (kept & ~masks.any(1)).any()
    both = untouched(CLIP, Clip(Scene("sky", GREEN.scene.objects), CLIP.motions))
    assert torch.equal(both, kept & masks[:, 1])
