"""Seconds to follow an object through a clip, to edit a clip, and to make a new one, against the design's budgets.

Clips of eight frames, 64x64, a fresh one each time, so that no atlas of an earlier edit is taken again. New clips are
measured where the profile's folder has weights for them.
"""

import random
from typing import Any

import pytest

from vitron_agent.build import build_specialist
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.locations import placed
from vitron_agent.shapes.clip import FRAMES, Clip, frames_of, render_clip, sample_clip
from vitron_agent.specialists.base import Specialist, SpecialistRequest

PROFILE = "tiny"
TRACKING, EDIT, NEW = 2.0, 30.0, 10.0
EDITS = 3  # runs of an edit, which takes long
CLIPS = [sample_clip(random.Random(f"video benchmark {i}"), 2) for i in range(12)]


def _name(clip: Clip) -> str:
    return f"{clip.scene.objects[0].colour} {clip.scene.objects[0].shape}"


def _extra(name: str) -> Specialist:
    """Load a specialist that the profile works without; skip where its weights are not there."""
    profile = placed(PROFILE)
    if missing := profile.missing(profile.part(name)):
        pytest.skip(f"profile {PROFILE} has no weights of {name} yet: {profile.folder}/{missing[0]} is missing")
    return build_specialist(name, PROFILE)


def test_tracking(measure: Any) -> None:
    seem = build_specialist("seem", PROFILE)

    def track(index: int) -> None:
        result = seem.run(SpecialistRequest(f"the {_name(CLIPS[index])}", video=frames_of(CLIPS[index])))
        assert result.masks is not None
        assert result.masks.any()

    assert measure("track through 8 frames", TRACKING, track) <= TRACKING


@pytest.mark.timeout(900)  # four fits
def test_video_edit(measure: Any) -> None:
    editor = build_specialist("stable_video", PROFILE)

    def edit(index: int) -> None:
        video, masks = frames_of(CLIPS[index]), render_clip(CLIPS[index]).masks[:, 0]
        repainted = {0: 255 - video[0]}  # the object is what changes
        request = SpecialistRequest("make it negative", video=video, masks=masks, keyframes=repainted)
        assert editor.run(request).video is not None

    assert measure("video edit, 8 frames", EDIT, edit, EDITS) <= EDIT


def test_new_video_of_words(measure: Any) -> None:
    zeroscope = _extra("zeroscope")

    def make(index: int) -> None:
        words = f"a {_name(CLIPS[index])} moves to the right on a {CLIPS[index].scene.background} background"
        video = zeroscope.run(SpecialistRequest(words, seed=index)).video
        assert video is not None
        assert len(video) == FRAMES

    assert measure("new video of words, 8 frames", NEW, make) <= NEW


def test_new_video_of_a_picture(measure: Any) -> None:
    animator = _extra("i2vgen_xl")

    def animate(index: int) -> None:
        picture = picture_of(CLIPS[index].scene)
        request = SpecialistRequest(f"the {_name(CLIPS[index])} moves to the right", image=picture, seed=index)
        video = animator.run(request).video
        assert video is not None
        assert len(video) == FRAMES

    assert measure("new video of a picture, 8 frames", NEW, animate) <= NEW
