"""What fits is known before anything is loaded; the tiny profile under a budget smaller than the sum of its parts."""

import gc
import logging
import math
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vitron_agent import build, fitting
from vitron_agent.errors import InputError, MemoryExhausted
from vitron_agent.fitting import budget_for, fitted_for
from vitron_agent.graphs import user_turn
from vitron_agent.locations import Device
from vitron_agent.media import MediaStore
from vitron_agent.parts import Profile
from vitron_agent.profiles import TINY, VITRON_7B
from vitron_agent.testing import ScriptedPlanner, call
from vitron_agent.tools import Residents
from vitron_agent.tools.budget import MIB, weight_bytes

CPU = Device("cpu", torch.float32)
GPU = Device("cuda", torch.bfloat16)


def test_on_a_gpu_all_of_its_memory_is_the_budget_and_on_a_cpu_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        total_memory = 24 * 2**30

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda name: Properties)
    assert budget_for(VITRON_7B, GPU, None, with_planner=True).total == 24 * 1024 - 512
    assert budget_for(VITRON_7B, CPU, None, with_planner=True).total == math.inf


def test_parts_count_as_the_device_holds_them() -> None:
    half, full = (budget_for(VITRON_7B, device, "500GB", with_planner=True) for device in (GPU, CPU))
    assert (half.reserved, half.weights["seem"], half.work["seem"]) == (13_472 + 2_048 + 2_436, 651, 144)
    assert (full.reserved, full.weights["seem"], full.work["seem"]) == (2 * half.reserved, 1302, 288)
    assert budget_for(VITRON_7B, GPU, "500GB", with_planner=False).reserved == 0


def test_a_planner_that_does_not_fit_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        MemoryExhausted, match=r"planner of vitron-7b needs 17,956 MiB on cuda, and the budget is 7,629"
    ):
        budget_for(VITRON_7B, GPU, "8GB", with_planner=True)
    monkeypatch.setattr(build, "build_planner", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(MemoryExhausted, match="needs 11 MiB .* give at least 11 MiB|needs 22 MiB .* at least 22 MiB"):
        build.build_agent("tiny", store=MediaStore(tmp_path), memory="10MiB")
    with pytest.raises(InputError, match="'10' is no amount"):
        build.build_agent("tiny", store=MediaStore(tmp_path), memory="10")


def test_a_planner_that_finds_too_little_memory_while_it_is_loaded_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setitem(build.PLANNERS, "tiny", lack)
    with pytest.raises(
        MemoryExhausted, match=r"planner of tiny did not fit into the memory that is left on cpu .*2\.00"
    ):
        build.build_agent("tiny", store=MediaStore(tmp_path))


def test_models_of_clips_that_fit_no_other_way_compute_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders: dict[str, Any] = {}
    monkeypatch.setattr(Profile, "missing", lambda self, part: [])
    monkeypatch.setattr(build, "choose_device", lambda profile, device: GPU)
    monkeypatch.setattr("vitron_agent.tools.Residents", lambda made, *more: builders.update(made) or Residents(made))
    monkeypatch.setattr(build, "build_specialist", lambda name, profile, *, frugal, **where: frugal)
    found = {}
    for memory, with_planner in (("24GB", False), ("7GB", False), ("6GB", False), ("28GB", True), ("22GB", True)):
        build.vitron_tools("vitron-7b", MediaStore(tmp_path), memory=memory, with_planner=with_planner)
        found[memory, with_planner] = {name for name, make in builders.items() if make()}
    assert found == {
        ("24GB", False): set(),
        ("7GB", False): {"i2vgen_xl"},
        ("6GB", False): {"zeroscope", "i2vgen_xl"},
        ("28GB", True): {"i2vgen_xl"},
        ("22GB", True): {"zeroscope", "i2vgen_xl"},
    }


def test_a_planner_in_fewer_bits_takes_less_of_the_budget() -> None:
    found = {}
    for bits in (None, 8, 4):
        device = replace(GPU, planner_bits=bits)
        profile = fitted_for(VITRON_7B, device, "24GB", with_planner=True)
        budget = budget_for(profile, device, "24GB", with_planner=True)
        assert budget.weights["gligen"] == 2_433
        found[bits] = round(budget.reserved), budget.lack("i2vgen_xl") is None, profile.part("i2vgen_xl").is_frugal
    assert found == {None: (17_956, False, True), 8: (11_786, True, True), 4: (8_791, True, True)}


def test_a_compiled_step_s_place_counts_where_there_is_one() -> None:
    reserved = {}
    for device in (GPU, replace(GPU, planner_bits=8), CPU):
        for compiled in (False, True):
            chosen = replace(device, compiled=compiled)
            profile = fitted_for(VITRON_7B, chosen, "500GB", with_planner=True)
            found = budget_for(profile, chosen, "500GB", with_planner=True).reserved
            reserved[chosen.name, chosen.planner_bits, compiled] = round(found)
    assert reserved["cuda", None, True] - reserved["cuda", None, False] == 2_048
    assert reserved["cuda", 8, True] == reserved["cuda", 8, False]
    assert reserved["cpu", None, True] == reserved["cpu", None, False]


def test_specialists_that_will_never_fit_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        budget_for(VITRON_7B, GPU, "24GB", with_planner=True)
    said, more = caplog.messages
    assert said.startswith("zeroscope needs 6,293 MiB beside the 17,956 MiB that the planner takes")
    assert more.startswith("i2vgen_xl needs 15,310 MiB beside the 17,956 MiB that the planner takes")


def test_a_session_stays_within_a_budget_smaller_than_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted on the weights themselves: all that were built and that somebody still holds, whenever one is built."""
    alive: list[weakref.ref[Any]] = []
    sizes: dict[str, int] = {}
    peak = 0
    real = build.build_specialist

    def counted(name: str, *args: Any, **where: Any) -> Any:
        nonlocal peak
        made = real(name, *args, **where)
        sizes[name] = weight_bytes(made)
        alive.append(weakref.ref(made))
        gc.collect()
        peak = max(peak, sum(weight_bytes(one) for ref in alive if (one := ref()) is not None))
        return made

    monkeypatch.setattr(build, "build_specialist", counted)
    draw = call("generate_image", command="a red circle")
    edit = call("edit_image", command="make the circle blue", region=[0.2, 0.2, 0.8, 0.8])
    cut = call("segment_image", command="it", region=[0.2, 0.2, 0.8, 0.8])
    script = [draw, cut, edit, draw]
    planner = ScriptedPlanner(replies=[*([each] for each in script), "Done."])
    budget = 40
    agent = build.build_agent("tiny", store=MediaStore(tmp_path), planner=planner, memory=f"{budget}MiB")
    out = agent.invoke({"messages": [user_turn("go")]})
    results = [message for message in out["messages"] if message.type == "tool"]
    assert [message.status for message in results] == ["success"] * len(script)
    assert sum(sizes.values()) > budget * MIB  # so that not all can stay
    assert len(alive) > len(sizes)  # and one had to come back
    assert peak <= budget * MIB


def test_the_tiny_profile_needs_no_more_than_it_says() -> None:
    budget = budget_for(TINY, CPU, "1GB", with_planner=True)
    for name in ("gligen", "seem"):
        said = budget.weights[name]
        budget.found(name, build.build_specialist(name))
        assert budget.weights[name] == pytest.approx(said, rel=0.4)


def test_waiting_specialists_get_what_is_free_less_a_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(fitting, "CONTAINER", tmp_path)
    assert fitting.free_memory() == 0  # on a system that does not say
    (tmp_path / "meminfo").write_text("MemTotal:  99 kB\nMemAvailable:   10485760 kB\n")
    assert fitting.free_memory() == 10 * 1024
    assert fitting.shelf_for(GPU, None).total == 10 * 1024 - fitting.RESERVE
    (tmp_path / "memory.current").write_text(f"{2 * 2**30}\n")
    for limit, free in (("max", 10), (str(8 * 2**30), 6), (str(2**30), 0)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert fitting.free_memory() == free * 1024


def test_waiting_specialists_get_what_is_said_and_on_a_cpu_nothing() -> None:
    assert fitting.shelf_for(GPU, "64GiB").total == 64 * 1024
    assert fitting.shelf_for(CPU, "64GiB").total == 0
    with pytest.raises(InputError, match="'64' is no amount"):
        fitting.shelf_for(GPU, "64")
