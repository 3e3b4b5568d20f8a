"""The specialists alone, given true words, layouts, regions and masks: so that a failure of the whole can be located.

No planner is involved: what is asked for is right by construction, and no signals come along. Trials on pictures stand
here, those on clips in trials_video.py.
"""

import random
from collections.abc import Callable
from dataclasses import replace

import torch

from vitron_agent.evaluation.areas import box_mask
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.evaluation.judge import GOOD_IOU, GOOD_PSNR
from vitron_agent.evaluation.metrics import overlap
from vitron_agent.evaluation.report import Row, iou_row, mean_row, rate_row
from vitron_agent.evaluation.rows import GOOD_FIRST_PSNR
from vitron_agent.evaluation.sheets import Sample, over, shown
from vitron_agent.evaluation.trials import Load, Trial, run_request
from vitron_agent.evaluation.trials_video import TRACKING, animating, filming, following
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.shapes.captions import article, background_reference, caption, referring
from vitron_agent.shapes.check import Wanted, check_edit, check_generation
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import (
    BACKGROUNDS,
    COLOURS,
    SHAPES,
    Obj,
    Scene,
    apart,
    clashes,
    sample_object,
    sample_scene,
)
from vitron_agent.shapes.tasks_words import drawn_around
from vitron_agent.specialists.base import Specialist, SpecialistRequest
from vitron_agent.tools import edit_plan

EDITS = ("recolour", "reshape", "remove", "add", "background")


def drawing(load: Load, index: int, seed: int) -> list[Trial]:
    """A held-out scene as caption and layout: is the picture that scene?"""
    rng = random.Random(f"drawing {seed} {index}")
    scene = sample_scene(rng)
    words = caption(scene, rng)
    layout = tuple(GroundedPhrase(phrase=f"{o.colour} {o.shape}", box=o.box) for o in scene.objects)
    result, seconds = run_request(load("gligen"), SpecialistRequest(words, layout=layout, seed=index))
    empty = torch.zeros(3, 64, 64, dtype=torch.uint8)
    image = result.image if result is not None and result.image is not None else empty
    check = check_generation(image, scene)
    checks = {
        "background": check.background_ok,
        "colour and shape of every object": check.objects_ok,
        "places": check.places_ok,
        "sizes": check.sizes_ok,
    }
    sample = Sample(words, (shown(picture_of(scene)), shown(image)), check.all_ok)
    return [Trial("layout", checks, None, None, seconds, sample)]


def finding(load: Load, index: int, seed: int) -> list[Trial]:
    """One object of a held-out scene by words, by a drawn region, and every tenth time the background."""
    rng = random.Random(f"finding {seed} {index}")
    scene = sample_scene(rng)
    picture, masks = picture_of(scene), render([scene]).masks[0]
    chosen = rng.randrange(len(scene.objects))
    words = referring(scene, chosen, rng)
    region = drawn_around(scene.objects[chosen], rng)
    by_words = SpecialistRequest(words, image=picture)
    drawn = SpecialistRequest("the object", image=picture, region=region, mask=region.to_mask(64, 64))
    trials = [
        _found(load("seem"), "text", words, by_words, masks[chosen]),
        _found(load("seem"), f"region, {region.kind.value}", f"{region.kind.value}: {words}", drawn, masks[chosen]),
    ]
    if index % 10 == 0:
        ground = background_reference(rng)
        trials.append(_found(load("seem"), "background", ground, replace(by_words, command=ground), ~masks.any(0)))
    return trials


def _found(seem: Specialist, kind: str, title: str, request: SpecialistRequest, truth: torch.Tensor) -> Trial:
    assert request.image is not None
    result, seconds = run_request(seem, request)
    mask = result.mask if result is not None and result.mask is not None else torch.zeros_like(truth)
    both, union = overlap(mask, truth)
    pictures = (request.image, over(request.image, truth), over(request.image, mask))
    sample = Sample(title, tuple(shown(picture) for picture in pictures), both > GOOD_IOU * union)
    return Trial(kind, {}, (both, union), None, seconds, sample)


def editing(load: Load, index: int, seed: int) -> list[Trial]:
    """One edit of a held-out scene with the true mask of what is edited."""
    rng = random.Random(f"editing {seed} {index}")
    kind = EDITS[index % len(EDITS)]
    scene = sample_scene(rng, rng.choice((1, 2)) if kind == "add" else None)
    before, masks = picture_of(scene), render([scene]).masks[0]
    chosen = rng.randrange(len(scene.objects))
    obj, target = scene.objects[chosen], masks[chosen]
    name = f"{obj.colour} {obj.shape}"
    rest = scene.objects[:chosen] + scene.objects[chosen + 1 :]
    region = box_mask(obj, edit_plan.GROWTH, 64)
    if kind == "background":
        new = rng.choice([b for b in BACKGROUNDS if b != scene.background and _visible(scene, b)] or ["gray"])
        plan, command = edit_plan.new_background(masks.any(0)), f"change the background to {new}"
        after, region = replace(scene, background=new), plan.mask
    elif kind == "add":
        fresh = _free_object(scene, rng)
        command = f"add {article(fresh.phrase)}"
        plan = edit_plan.addition(fresh.phrase, fresh.box, before)
        after, region = replace(scene, objects=(*scene.objects, fresh)), box_mask(fresh, edit_plan.GROWTH, 64)
    elif kind == "remove":
        plan, command = edit_plan.removal(target), f"remove the {name}"
        after = replace(scene, objects=rest)
    else:
        fresh = _changed(obj, kind, scene.background, rng)
        new = f"{fresh.colour} {fresh.shape}"
        plan, command = edit_plan.replacement(target, new), f"replace the {name} with {article(new)}"
        after = replace(scene, objects=(*rest, fresh))
    request = SpecialistRequest(command, image=before, layout=plan.layout, mask=plan.mask, seed=index)
    result, seconds = run_request(load("gligen_inpaint"), request)
    image = result.image if result is not None and result.image is not None else before
    check = check_edit(before, image, Wanted.of(after, sizes=False), region | plan.mask)
    sample = Sample(command, (shown(before), shown(image)), check.done)
    outside = None if check.psnr_outside is None else min(check.psnr_outside, 99.0)
    return [Trial(kind, {"done": check.done}, None, outside, seconds, sample)]


def _visible(scene: Scene, background: str) -> bool:
    return not any(clashes(obj.colour, background) for obj in scene.objects)


def _changed(obj: Obj, kind: str, background: str, rng: random.Random) -> Obj:
    if kind == "reshape":
        return replace(obj, shape=rng.choice([s for s in SHAPES if s != obj.shape]))
    colour = rng.choice([c for c in COLOURS if c != obj.colour and not clashes(c, background)])
    return replace(obj, colour=colour, rgb=COLOURS[colour])


def _free_object(scene: Scene, rng: random.Random) -> Obj:
    """An object that keeps its distance from the others; two others always leave room for a small one."""
    while True:
        obj = sample_object(rng, scene.background)
        if all(apart(obj, other) for other in scene.objects):
            return obj


def rows(suite: str, trials: list[Trial]) -> list[Row]:
    """The rows of one specialist's trials."""
    found: list[Row] = []
    kinds = sorted({trial.kind for trial in trials})
    for name in dict.fromkeys(name for trial in trials for name in trial.checks):
        found.append(rate_row(suite, name, [t.checks[name] for t in trials if name in t.checks]))
        for kind in kinds if len(kinds) > 1 else ():
            found.append(rate_row(suite, f"  {kind}", [t.checks[name] for t in trials if t.kind == kind]))
    for kind in kinds:
        overlaps = [t.overlap for t in trials if t.kind == kind and t.overlap is not None]
        if overlaps:
            found.append(iou_row(suite, f"cIoU, {kind}", overlaps))
    regions = [t.overlap for t in trials if t.kind.startswith("region") and t.overlap is not None]
    if regions:
        found.append(iou_row(suite, "cIoU, region, all", regions))
    for kind, target in TRACKING.items():
        scores = [t.tracked for t in trials if t.kind == kind and t.tracked is not None]
        if scores:
            found.append(mean_row(suite, f"J&F, {kind}", scores, "iou", target))
    outside = [t.psnr_outside for t in trials if t.psnr_outside is not None]
    if outside:
        found.append(mean_row(suite, "PSNR outside the region", outside, "dB", GOOD_PSNR))
    first = [t.first_psnr for t in trials if t.first_psnr is not None]
    if first:
        found.append(mean_row(suite, "PSNR of the first frame", first, "dB", GOOD_FIRST_PSNR))
    found.append(mean_row(suite, "seconds", [t.seconds for t in trials], "s"))
    return found


TRIALS: dict[str, Callable[[Load, int, int], list[Trial]]] = {
    "gligen-alone": drawing,
    "seem-alone": finding,
    "inpainting-alone": editing,
    "tracking-alone": following,
    "zeroscope-alone": filming,
    "i2vgen-alone": animating,
}
NEEDS: dict[str, str] = {"zeroscope-alone": "zeroscope", "i2vgen-alone": "i2vgen_xl"}
"""The extra of a profile without which trials cannot run."""
