import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vitron_agent.errors import Cancelled, CheckpointError, MemoryExhausted
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.testing import EchoSpecialist
from vitron_agent.tools.budget import Budget
from vitron_agent.tools.residency import Residents
from vitron_agent.tools.shelf import Shelf


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
    assert len(tries) == 2


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
        residents.revision("gligen", SpecialistRequest("x"))
    with pytest.raises(MemoryExhausted):
        residents.run("gligen", SpecialistRequest("x"))
    room.append(1)
    assert residents.revision("gligen", SpecialistRequest("x")) == "0"


class Weighing(EchoSpecialist):
    """Holds weights of its own: 4 MiB."""

    def __init__(self) -> None:
        super().__init__()
        self.network = torch.nn.Linear(1024, 1024, bias=False)


class Moving(Weighing):
    """Notes every move, and computes nowhere but on the accelerator."""

    def __init__(self, moves: list[str], lacking: int = 0) -> None:
        super().__init__()
        self.moves, self.lacking, self.at = moves, lacking, "cuda"

    def move_to(self, device: str) -> None:
        if device == "cuda" and self.lacking:
            self.lacking -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.moves.append(device)
        self.at = device

    def run(self, request, progress=lambda step, total: None):
        assert self.at == "cuda"
        return super().run(request)


def budgeted(
    total: float, work: float = 0.0, make: Callable[[], EchoSpecialist] = Weighing, shelf: Shelf | None = None
) -> tuple[Residents, list[str]]:
    """Three specialists of 4 MiB each under a budget, and a list of what was built."""
    built: list[str] = []
    names = ("gligen", "seem", "zeroscope")

    def build(name: str) -> EchoSpecialist:
        built.append(name)
        return make()

    budget = Budget(total, 0.0, dict.fromkeys(names, 4.0), dict.fromkeys(names, work))
    return Residents({name: (lambda name=name: build(name)) for name in names}, budget, shelf), built


def test_the_one_used_longest_ago_leaves_for_another() -> None:
    residents, built = budgeted(8)
    for name in ("gligen", "seem", "gligen", "zeroscope", "gligen", "seem"):
        residents.run(name, SpecialistRequest("x"))
    assert built == ["gligen", "seem", "zeroscope", "seem"]
    assert residents.loaded == ("gligen", "seem")


def test_who_left_an_accelerator_waits_beside_it_and_comes_back_without_being_built_again() -> None:
    moves: list[str] = []
    residents, built = budgeted(4, make=lambda: Moving(moves), shelf=Shelf("cuda", 12))
    for name in ("gligen", "seem", "zeroscope", "gligen"):
        residents.run(name, SpecialistRequest("x"))
    assert built == ["gligen", "seem", "zeroscope"]
    assert moves == ["cpu", "cpu", "cpu", "cuda"]  # the third leaves before the first comes back
    assert (residents.loaded, residents.waiting) == (("gligen",), ("seem", "zeroscope"))


def test_whom_the_shelf_has_no_room_for_is_built_again() -> None:
    residents, built = budgeted(4, make=lambda: Moving([]), shelf=Shelf("cuda", 4))
    for name in ("gligen", "seem", "zeroscope", "seem", "gligen"):
        residents.run(name, SpecialistRequest("x"))
    assert built == ["gligen", "seem", "zeroscope", "gligen"]


def test_the_one_that_is_wanted_is_not_turned_out_by_the_one_that_leaves_for_it() -> None:
    residents, built = budgeted(4, make=lambda: Moving([]), shelf=Shelf("cuda", 8))
    for name in ("gligen", "seem", "zeroscope", "gligen"):
        residents.run(name, SpecialistRequest("x"))
    assert built == ["gligen", "seem", "zeroscope"]
    assert residents.waiting == ("zeroscope",)


def test_one_that_lacks_memory_on_its_way_back_is_built_instead() -> None:
    residents, built = budgeted(4, make=lambda: Moving([], lacking=1), shelf=Shelf("cuda", 8))
    for name in ("gligen", "seem", "gligen"):
        assert residents.run(name, SpecialistRequest("x")).image is not None
    assert built == ["gligen", "seem", "gligen"]


def test_who_leaves_because_another_ran_out_of_memory_waits_too() -> None:
    Full.loaded.clear()
    moves: list[str] = []

    class Neighbouring(Moving):
        def move_to(self, device: str) -> None:
            super().move_to(device)
            Full.loaded.clear()

    residents = Residents({"gligen": Full, "seem": lambda: Neighbouring(moves)}, shelf=Shelf("cuda", 8))
    residents.run("seem", SpecialistRequest("x"))
    Full.loaded.add("seem")
    residents.run("gligen", SpecialistRequest("x"))
    assert (residents.waiting, moves) == (("seem",), ["cpu"])


def test_room_is_made_for_work_too() -> None:
    residents, built = budgeted(10, work=3)
    residents.run("gligen", SpecialistRequest("x"))
    residents.run("seem", SpecialistRequest("x"))
    assert residents.loaded == ("seem",)


def test_what_does_not_fit_is_said_before_it_is_loaded() -> None:
    residents, built = budgeted(3)
    with pytest.raises(MemoryExhausted, match="gligen needs 4 MiB, and the budget is 3 MiB: give at least 4 MiB"):
        residents.run("gligen", SpecialistRequest("x"))
    assert built == []


def test_asking_for_a_revision_loads_once_and_never_again() -> None:
    residents, built = budgeted(4)
    residents.revision("gligen", SpecialistRequest("x"))
    residents.revision("seem", SpecialistRequest("x"))
    residents.revision("gligen", SpecialistRequest("x"))
    assert built == ["gligen", "seem"]


class Handed(Weighing):
    """Is handed something for some commands."""

    given = {"x": "1"}

    def supplied(self, request: SpecialistRequest) -> str:
        return self.given.get(request.command, "")


def test_what_was_handed_for_a_request_counts_for_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    residents = Residents({"gligen": Handed})
    assert [residents.revision("gligen", SpecialistRequest(command)) for command in "xy"] == ["0-1", "0"]
    monkeypatch.setitem(Handed.given, "y", "2")  # later
    assert [residents.revision("gligen", SpecialistRequest(command)) for command in "xy"] == ["0-1", "0-2"]


def test_one_that_was_handed_something_is_asked_also_after_it_had_to_leave() -> None:
    mine = Handed()
    residents = Residents({"gligen": lambda: mine, "seem": Weighing}, Budget(4.0, weights={"gligen": 4.0, "seem": 4.0}))
    residents.run("gligen", SpecialistRequest("x"))
    residents.run("seem", SpecialistRequest("x"))
    assert residents.loaded == ("seem",)
    assert residents.revision("gligen", SpecialistRequest("x")) == "0-1"


def test_sizes_that_nobody_said_count_once_they_are_known() -> None:
    residents = Residents({name: Weighing for name in ("a", "b", "c")}, Budget(8.0))
    for name in ("a", "b", "c"):
        residents.run(name, SpecialistRequest("x"))
    assert residents.loaded == ("b", "c")


def test_work_that_does_not_fit_beside_other_work_waits_for_it_and_can_be_stopped() -> None:
    begun, end = threading.Event(), threading.Event()

    class Busy(Weighing):
        def run(self, request, progress=lambda step, total: None):
            begun.set()
            assert end.wait(20)
            return super().run(request)

    budget = Budget(6.0, 0.0, {"gligen": 4.0, "seem": 4.0})
    residents = Residents({"gligen": Weighing, "seem": Busy}, budget)

    def stopped() -> None:
        raise Cancelled("enough")

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(residents.run, "seem", SpecialistRequest("x"))
        assert begun.wait(20)
        with pytest.raises(Cancelled):
            residents.run("gligen", SpecialistRequest("x"), check=stopped)
        waiting = pool.submit(residents.run, "gligen", SpecialistRequest("x"))
        assert residents.loaded == ("seem",)
        end.set()
        assert waiting.result(20).image is not None
        assert running.result(20).image is not None
    assert residents.loaded == ("gligen",)
