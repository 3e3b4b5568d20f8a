"""What a trial of a specialist alone is, and how one request of it is run and timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from vitron_agent.errors import VitronError
from vitron_agent.evaluation.sheets import Sample
from vitron_agent.specialists.base import Specialist, SpecialistRequest, SpecialistResult

Load = Callable[[str], Specialist]
"""Loads a specialist by its name."""


@dataclass(frozen=True)
class Trial:
    """One run of a specialist.

    Attributes:
        kind: What was asked, such as "text" or "recolour".
        checks: What was right, by name.
        overlap: Intersection and union with the true mask, in pixels.
        tracked: J&F of a tracked clip.
        psnr_outside: dB outside the true region.
        seconds: What it took.
        sample: For the sheet.
        first_psnr: dB of a clip's first frame against the picture it must begin with.
    """

    kind: str
    checks: dict[str, bool]
    overlap: tuple[int, int] | None
    psnr_outside: float | None
    seconds: float
    sample: Sample
    tracked: float | None = None
    first_psnr: float | None = None


def run_request(specialist: Specialist, request: SpecialistRequest) -> tuple[SpecialistResult | None, float]:
    """Run a request; what the specialist refuses comes back as None."""
    start = time.perf_counter()
    try:
        result: SpecialistResult | None = specialist.run(request)
    except VitronError:
        result = None
    return result, time.perf_counter() - start
