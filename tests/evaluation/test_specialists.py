"""Ideal specialists pass all trials, idle ones fail them."""

import math

import pytest
import torch

from vitron_agent.build import build_specialist
from vitron_agent.errors import NothingFoundError
from vitron_agent.evaluation.report import Row
from vitron_agent.evaluation.specialists import NEEDS, TRIALS, rows
from vitron_agent.evaluation.trials import Trial
from vitron_agent.evaluation.trials_video import TRACKING
from vitron_agent.media import MediaKind
from vitron_agent.profiles import find_profile
from vitron_agent.shapes.check import read_scene
from vitron_agent.shapes.clip import Clip, Motion, frames_of
from vitron_agent.shapes.clip_words import motions_in, read_film
from vitron_agent.shapes.scene import Scene
from vitron_agent.shapes.tasks_refer import object_in
from vitron_agent.specialists.base import (
    Progress,
    Specialist,
    SpecialistRequest,
    SpecialistResult,
    ignore_progress,
)


class Idle:
    """Draws nothing, changes nothing, and says it found nothing."""

    name = "idle"
    revision = "0"

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        if request.image is None:
            return SpecialistResult(MediaKind.IMAGE, image=torch.full((3, 64, 64), 128, dtype=torch.uint8))
        if request.mask is not None and request.region is None:
            return SpecialistResult(MediaKind.IMAGE, image=request.image)
        raise NothingFoundError("nothing")


def _trials(suite: str, specialist: Specialist, count: int) -> list[Trial]:
    return [trial for i in range(count) for trial in TRIALS[suite](lambda name: specialist, i, 0)]


def _values(suite: str, specialist: Specialist, count: int = 5) -> dict[str, Row]:
    return {row.name: row for row in rows(suite, _trials(suite, specialist, count))}


def test_an_ideal_generator_is_right(ideal_specialist: Specialist) -> None:
    found = _values("gligen-alone", ideal_specialist)
    assert [found[name].value for name in ("background", "colour and shape of every object", "places")] == [1, 1, 1]


def test_an_idle_generator_is_wrong() -> None:
    assert _values("gligen-alone", Idle())["colour and shape of every object"].value == 0


def test_an_ideal_segmenter_finds_everything(ideal_specialist: Specialist) -> None:
    found = _values("seem-alone", ideal_specialist, 11)
    assert found["cIoU, text"].value > 0.9
    assert found["cIoU, region, all"].value > 0.9
    assert found["cIoU, background"].value > 0.95
    assert found["cIoU, background"].n == 2


def test_an_idle_segmenter_finds_nothing() -> None:
    assert _values("seem-alone", Idle())["cIoU, text"].value == 0


def test_an_ideal_editor_is_right_in_every_kind(ideal_specialist: Specialist) -> None:
    found = _values("inpainting-alone", ideal_specialist, 10)
    assert found["done"].value == 1
    assert {name.strip() for name in found} >= {"recolour", "reshape", "remove", "add", "background"}
    assert found["PSNR outside the region"].value > 35


def test_an_idle_editor_is_wrong_but_clean() -> None:
    found = _values("inpainting-alone", Idle(), 10)
    assert found["done"].value == 0
    assert found["PSNR outside the region"].value == pytest.approx(99.0)
    assert not math.isnan(found["seconds"].value)


def test_the_trained_tracker_is_judged_by_kind() -> None:
    found = _values("tracking-alone", build_specialist("seem", "tiny"), 3)
    assert {name for name in found if name.startswith("J&F")} == {f"J&F, {kind}" for kind in TRACKING}
    assert found["J&F, region"].value > 0.6


def test_a_tracker_that_finds_nothing_is_wrong() -> None:
    found = _values("tracking-alone", Idle(), 2)
    assert [found[f"J&F, {kind}"].value for kind in TRACKING] == [0, 0, 0]


class Filmmaker:
    """Makes clips that do exactly what their command says, or stand still."""

    name = "filmmaker"
    revision = "0"

    def __init__(self, still: bool = False) -> None:
        self.still = still

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        if request.image is None:
            said, ground = read_film(request.command)
            places = ((0.25, 0.25), (0.75, 0.5), (0.25, 0.75))
            boxes = [(x - 0.12, y - 0.12, x + 0.12, y + 0.12) for x, y in places]
            pairs = zip(said, boxes, strict=False)
            objects = tuple(object_in(box, f"{part.words.colour} {part.words.shape}") for part, box in pairs)
            scene, names = Scene(str(ground), objects), tuple(part.motion or "still" for part in said)
        else:
            scene = read_scene(request.image).scene
            try:
                names = motions_in(scene, request.command)
            except ValueError as error:  # as read, a thing may no longer be "left of" another
                raise NothingFoundError(str(error)) from None
        video = frames_of(Clip(scene, tuple(map(self._motion, names))))
        if request.image is not None:
            video[0] = request.image
        return SpecialistResult(MediaKind.VIDEO, video=video)

    def _motion(self, name: str) -> Motion | None:
        return None if self.still or name == "still" else Motion(name, 1.6 if name in ("grow", "shrink") else 0.22)


def test_an_ideal_filmmaker_is_right() -> None:
    found = _values("zeroscope-alone", Filmmaker(), 8)
    assert [found[name].n for name in ("background", "objects", "motion")] == [8] * 3
    assert found["background"].value == 1
    assert found["objects"].value >= 0.75  # what it lets move may meet
    assert found["motion"].value >= 0.5


def test_an_ideal_animator_is_right_and_begins_with_the_picture() -> None:
    found = _values("i2vgen-alone", Filmmaker(), 8)
    assert [found[name].n for name in ("motion", "objects kept")] == [8] * 2
    assert found["motion"].value >= 0.75
    assert found["objects kept"].value >= 0.75
    assert (found["PSNR of the first frame"].value, found["PSNR of the first frame"].target) == (99.0, 28.0)


def test_clips_in_which_nothing_moves_are_wrong_about_motion_alone() -> None:
    for suite, kept in (("zeroscope-alone", "objects"), ("i2vgen-alone", "objects kept")):
        found = _values(suite, Filmmaker(still=True), 4)
        assert (found["motion"].value, found[kept].value) == (0, 1)


def test_a_maker_of_videos_that_makes_none_is_wrong_in_all() -> None:
    for suite in NEEDS:
        found = _values(suite, Idle(), 2)
        assert [row.value for name, row in found.items() if name != "seconds"] == [0] * (
            3 if suite == "zeroscope-alone" else 2
        )


def test_what_trials_need_is_an_extra_of_the_profile() -> None:
    assert set(NEEDS) < set(TRIALS)
    assert set(NEEDS.values()) == {part.name for part in find_profile("tiny").extras}
