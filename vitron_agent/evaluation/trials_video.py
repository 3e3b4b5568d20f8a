"""Trials of the specialists of clips alone: they follow an object, make a clip of words, set a picture in motion."""

import random
from dataclasses import replace

import torch

from vitron_agent.evaluation.judge import GOOD_IOU
from vitron_agent.evaluation.made import check_of_picture, is_clip
from vitron_agent.evaluation.metrics import j_and_f
from vitron_agent.evaluation.sheets import Sample, moments, over, shown
from vitron_agent.evaluation.trials import Load, Trial, run_request
from vitron_agent.shapes.captions import referring
from vitron_agent.shapes.check import check_clip
from vitron_agent.shapes.clip import frames_of, render_clip, sample_clip
from vitron_agent.shapes.clip_captions import clip_caption, motion_command, motion_name
from vitron_agent.shapes.tasks_words import drawn_around
from vitron_agent.specialists.base import SpecialistRequest

TRACKING = {"text": 0.85, "region": 0.85, "region, two alike": 0.75}
"""Kinds of tracking trials and the J&F that is to be reached."""


def following(load: Load, index: int, seed: int) -> list[Trial]:
    """One object of a held-out clip by words and by a drawn region, and one of two alike objects by a region."""
    rng = random.Random(f"following {seed} {index}")
    trials = []
    for kind in ("text", "region", "region, two alike"):
        clip = sample_clip(rng, alike=kind.endswith("alike"))
        video, masks = frames_of(clip), render_clip(clip).masks
        chosen = rng.randrange(2 if kind.endswith("alike") else len(clip.scene.objects))
        words = referring(clip.scene, chosen, rng) if kind == "text" else "the object"
        request = SpecialistRequest(words, video=video)
        if kind != "text":
            region = drawn_around(clip.scene.objects[chosen], rng)
            request = replace(request, command="", region=region, mask=region.to_mask(64, 64))
        result, seconds = run_request(load("seem"), request)
        truth = masks[:, chosen]
        found = result.masks if result is not None and result.masks is not None else torch.zeros_like(truth)
        score = j_and_f(found, truth)
        shown_frames = tuple(shown(over(video[i], found[i])) for i in (0, 2, 4, 7))
        trials.append(Trial(kind, {}, None, None, seconds, Sample(words, shown_frames, score > GOOD_IOU), score))
    return trials


def filming(load: Load, index: int, seed: int) -> list[Trial]:
    """A held-out clip as a caption: is the clip that is made what it says?"""
    rng = random.Random(f"filming {seed} {index}")
    clip = sample_clip(rng)
    words = clip_caption(clip, rng)
    result, seconds = run_request(load("zeroscope"), SpecialistRequest(words, seed=index))
    true = moments(frames_of(clip))
    video = result.video if result is not None else None
    if video is None or not is_clip(video):
        checks = {"background": False, "objects": False, "motion": False}
        return [Trial("caption", checks, None, None, seconds, Sample(words, true, False))]
    check = check_clip(video, clip)
    checks = {"background": check.background_ok, "objects": check.objects_ok, "motion": check.motions_ok}
    return [Trial("caption", checks, None, None, seconds, Sample(words, (*true, *moments(video)), check.all_ok))]


def animating(load: Load, index: int, seed: int) -> list[Trial]:
    """The first frame of a held-out clip with a command: does it move so, and stay what it is?"""
    rng = random.Random(f"animating {seed} {index}")
    clip = sample_clip(rng)
    words, picture = motion_command(clip, rng), frames_of(clip)[0]
    result, seconds = run_request(load("i2vgen_xl"), SpecialistRequest(words, image=picture, seed=index))
    video = result.video if result is not None else None
    if video is None or not is_clip(video):
        checks = {"motion": False, "objects kept": False}
        return [Trial("command", checks, None, None, seconds, Sample(words, (shown(picture),), False))]
    check = check_of_picture(video, picture, clip.scene, tuple(map(motion_name, clip.motions)))
    checks = {"motion": check.motions_ok, "objects kept": check.objects_ok}
    sample = Sample(words, (shown(picture), *moments(video)), check.motions_ok and check.objects_ok)
    return [Trial("command", checks, None, None, seconds, sample, first_psnr=check.first_psnr)]
