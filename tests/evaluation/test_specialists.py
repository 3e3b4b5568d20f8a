"""Ideal specialists pass all trials, idle ones fail them."""

import math

import pytest
import torch

from vitron_agent.build import build_specialist
from vitron_agent.errors import NothingFoundError
from vitron_agent.evaluation.report import Row
from vitron_agent.evaluation.specialists import TRACKING, TRIALS, Trial, rows
from vitron_agent.media import MediaKind
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
