"""What it is worth that specialists stay loaded, and what a budget of memory saves, as ratios within one run.

The paper's release starts every specialist anew for each call, reading its weights from disk; that is the other way
here. Peaks of memory are measured in fresh processes. In the tiny profile Python, torch and the libraries take most of
a process's memory (half a gigabyte; all weights together a tenth of that), so what the residency manager holds is
compared beside it; the session "large" has parts that outweigh them, random ones.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.session_peak import LARGE
from vitron_agent.build import build_specialist
from vitron_agent.evaluation.metrics import median
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.testing import paint

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5
CALLED = {"generate_image", "segment_image", "edit_image", "track_video"}
BUDGETS = {"tiny": 60, "large": 2 * LARGE + 100}  # MiB; smaller than the sum of the parts, larger than the largest
CIRCLE = GroundedPhrase(phrase="red circle", box=(0.2, 0.2, 0.6, 0.6))
REQUESTS = {
    "gligen": SpecialistRequest("a red circle", layout=(CIRCLE,)),
    "seem": SpecialistRequest("everything", image=paint("a picture")),
}


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@pytest.mark.parametrize("name", ["gligen", "seem"])
def test_a_call_to_a_loaded_specialist_against_one_that_reads_its_weights_first(name: str, compare: Any) -> None:
    kept, request = build_specialist(name), REQUESTS[name]
    kept.run(request)
    pairs = [
        (_seconds(lambda: kept.run(request)), _seconds(lambda: build_specialist(name).run(request)))
        for _ in range(ROUNDS)  # by turns, so that a busy machine slows both
    ]
    warm, cold = (median(list(each)) for each in zip(*pairs, strict=True))
    assert compare(f"{name}: call, kept loaded / read from disk", "s", warm, cold) > 1


def _session(name: str, budget: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.session_peak", name, budget]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["tiny", "large"])
def test_a_session_within_a_budget_makes_the_same_and_keeps_it(name: str, compare: Any) -> None:
    budget = BUDGETS[name]
    within, free = _session(name, str(budget)), _session(name, "none")
    compare(f"{name}: held, within {budget} MiB / no limit", "MiB", within["held"], free["held"])
    resident = compare(f"{name}: peak of the process, likewise", "MiB", within["resident"], free["resident"])
    assert within["results"] == free["results"]
    assert name != "tiny" or CALLED <= set(free["results"])
    assert free["parts"] > budget
    assert within["held"] <= budget < free["held"]
    assert within["loads"] > free["loads"]
    if name == "large":
        assert resident > 1
