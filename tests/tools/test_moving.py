"""Real specialists on the shelf: all of them moves, what comes back needs no file and finds the same."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.full_size_folders import toy_profile, write_full_size
from vitron_agent import build
from vitron_agent.profiles import PROFILES, TINY
from vitron_agent.specialists.base import Movable, SpecialistRequest
from vitron_agent.specialists.seem import SeemTracker
from vitron_agent.testing import EchoSpecialist, paint
from vitron_agent.tools.budget import Budget
from vitron_agent.tools.residency import Residents
from vitron_agent.tools.shelf import Shelf


def tensors(thing: Any) -> list[Tensor]:
    """All tensors that one of our objects holds: in networks, and in attributes of it and of its parts."""
    if isinstance(thing, Tensor):
        return [thing]
    if isinstance(thing, nn.Module):
        return [*thing.parameters(), *thing.buffers()]
    if isinstance(thing, list | tuple | dict):
        inner = [*thing.values()] if isinstance(thing, dict) else [*thing]
    else:
        inner = [*vars(thing).values()] if type(thing).__module__.startswith("vitron_agent.") else []
    return [tensor for each in inner for tensor in tensors(each)]


@pytest.mark.parametrize("name", ["gligen", "gligen_inpaint", "seem"])
def test_all_that_a_packaged_specialist_holds_moves(name: str) -> None:
    holds_all_on_meta(build.build_specialist(name))


@pytest.mark.parametrize("name", ["gligen", "gligen_inpaint", "seem", "zeroscope", "i2vgen_xl", "controlnet"])
def test_all_that_a_full_size_specialist_holds_moves(
    name: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROFILES, "vitron-7b", toy_profile())
    folder = write_full_size(tmp_path_factory.mktemp("weights"))
    holds_all_on_meta(build.build_specialist(name, "vitron-7b", weights=folder))


def holds_all_on_meta(specialist: Any) -> None:
    """The device that holds nothing shows what was left behind."""
    assert isinstance(specialist, Movable)
    revision, before = specialist.revision, tensors(specialist)
    assert {tensor.device.type for tensor in before} == {"cpu"}
    specialist.move_to("meta")
    assert {tensor.device.type for tensor in tensors(specialist)} == {"meta"}
    assert specialist.revision == revision


def test_what_comes_back_from_the_shelf_reads_no_file_and_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert TINY.folder is not None
    shutil.copytree(TINY.folder / "seem", tmp_path / "seem")
    moves: list[str] = []
    real = SeemTracker.move_to

    def accelerated(self: SeemTracker, device: str) -> None:
        """An accelerator that this machine has not got, played by its own memory."""
        moves.append(device)
        real(self, "cpu")

    monkeypatch.setattr(SeemTracker, "move_to", accelerated)
    builders = {"seem": lambda: build.build_specialist("seem", weights=tmp_path), "gligen": EchoSpecialist}
    residents = Residents(builders, Budget(14.0, weights={"seem": 12.0, "gligen": 12.0}), Shelf("cuda", 20.0))
    request = SpecialistRequest("everything", image=paint("a picture"))
    first = residents.run("seem", request).mask
    shutil.rmtree(tmp_path / "seem")
    residents.run("gligen", SpecialistRequest("a picture"))
    assert residents.waiting == ("seem",)
    again = residents.run("seem", request).mask
    assert moves == ["cpu", "cuda"]
    assert first is not None
    assert again is not None
    assert torch.equal(first, again)
