import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vitron_agent.errors import CheckpointError, MemoryExhausted
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


class Full(EchoSpecialist):
    """Lacks memory as long as another specialist is loaded, and always where it is asked for much."""

    loaded: set[str] = set()

    def run(self, request, progress=lambda step, total: None):
        if request.command == "much" or self.loaded:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.")
        return super().run(request)


class Neighbour(EchoSpecialist):
    """Is in memory for as long as somebody holds it."""

    def __init__(self) -> None:
        super().__init__()
        Full.loaded.add("seem")

    def __del__(self) -> None:
        Full.loaded.discard("seem")


def test_the_others_leave_for_one_that_lacks_memory_and_come_back() -> None:
    residents = Residents({"gligen": Full, "seem": Neighbour})
    residents.run("seem", SpecialistRequest("x"))
    assert Full.loaded
    assert residents.run("gligen", SpecialistRequest("x")).image is not None
    assert not Full.loaded
    assert residents.run("seem", SpecialistRequest("x")).image is not None


def test_one_that_is_at_work_stays() -> None:
    begun, end = threading.Event(), threading.Event()

    class Busy(Neighbour):
        def run(self, request, progress=lambda step, total: None):
            begun.set()
            assert end.wait(20)
            return super().run(request)

    residents = Residents({"gligen": Full, "seem": Busy})
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(residents.run, "seem", SpecialistRequest("x"))
        assert begun.wait(20)
        with pytest.raises(MemoryExhausted, match="gligen ran out of memory"):
            residents.run("gligen", SpecialistRequest("x"))
        end.set()
        assert running.result(20).image is not None


def test_weights_that_do_not_fit_are_an_error_of_ours_and_the_next_call_tries_again() -> None:
    room = []

    def build() -> EchoSpecialist:
        if not room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return EchoSpecialist()

    residents = Residents({"gligen": build})
    with pytest.raises(MemoryExhausted):
        residents.revision("gligen")
    with pytest.raises(MemoryExhausted):
        residents.run("gligen", SpecialistRequest("x"))
    room.append(1)
    assert residents.revision("gligen") == "0"
