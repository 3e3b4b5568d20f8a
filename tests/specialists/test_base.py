"""The contract: what a request defaults to, and that a plain class with a `run` is a specialist."""

import dataclasses

import pytest
import torch

from vitron_agent.errors import Cancelled
from vitron_agent.media import MediaKind
from vitron_agent.specialists.base import Progress, Specialist, SpecialistRequest, SpecialistResult, ignore_progress


class Inverter:
    """The smallest specialist."""

    name = "inverter"
    revision = "1"

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        assert request.image is not None
        progress(1, 1)
        return SpecialistResult(MediaKind.IMAGE, image=255 - request.image)


def test_a_plain_class_is_a_specialist() -> None:
    specialist: Specialist = Inverter()
    result = specialist.run(SpecialistRequest("invert", image=torch.zeros(3, 2, 2, dtype=torch.uint8)))
    assert result.kind is MediaKind.IMAGE
    assert result.image is not None
    assert result.image.min() == 255


def test_progress_can_cancel() -> None:
    def stop(step: int, total: int) -> None:
        raise Cancelled(f"stopped at step {step} of {total}")

    with pytest.raises(Cancelled, match="step 1 of 1"):
        Inverter().run(SpecialistRequest("invert", image=torch.zeros(3, 2, 2, dtype=torch.uint8)), stop)


def test_a_request_needs_a_command_alone_and_cannot_be_changed() -> None:
    request = SpecialistRequest("a red circle")
    others = [getattr(request, field.name) for field in dataclasses.fields(request)[1:]]
    assert others == [None, None, (), None, None, None, 0, None, None, None, None, {}, None]
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.seed = 1  # type: ignore[misc]  # frozen
