import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from vitron_agent.errors import CheckpointError
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.testing import EchoSpecialist
from vitron_agent.tools.residency import Residents


def test_a_specialist_is_built_at_its_first_run_and_once() -> None:
    built = []

    def build() -> EchoSpecialist:
        time.sleep(0.02)
        built.append(1)
        return EchoSpecialist()

    residents = Residents({"gligen": build, "seem": build})
    assert built == []
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: residents.run("gligen", SpecialistRequest("x")), range(8)))
    assert built == [1]


def test_runs_of_one_specialist_never_overlap() -> None:
    busy, worst, lock = 0, 0, threading.Lock()

    class Slow(EchoSpecialist):
        def run(self, request, progress=lambda step, total: None):
            nonlocal busy, worst
            with lock:
                busy += 1
                worst = max(worst, busy)
            time.sleep(0.01)
            with lock:
                busy -= 1
            return super().run(request)

    residents = Residents({"gligen": Slow})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: residents.run("gligen", SpecialistRequest("x")), range(6)))
    assert worst == 1


def test_a_broken_checkpoint_is_tried_again() -> None:
    tries = []

    def build() -> EchoSpecialist:
        tries.append(1)
        if len(tries) == 1:
            raise CheckpointError("truncated")
        return EchoSpecialist()

    residents = Residents({"gligen": build})
    with pytest.raises(CheckpointError):
        residents.run("gligen", SpecialistRequest("x"))
    assert residents.run("gligen", SpecialistRequest("x")).image is not None


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Residents({}).run("zeroscope", SpecialistRequest("x"))
