"""With torch's `eager` backend, which traces and guards like the real one and needs no compiler."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.full_size_folders import toy_profile, write_full_size
from vitron_agent import build
from vitron_agent.profiles import PROFILES
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.tools import Residents

PICTURE = torch.randint(0, 256, (3, 32, 48), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
INSIDE = torch.zeros(32, 48, dtype=torch.bool)
INSIDE[4:28, 6:40] = True
REQUEST = SpecialistRequest("a red circle", image=PICTURE, mask=INSIDE)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_full_size(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Networks that were compiled, as far as it goes without a compiler."""
    done: list[nn.Module] = []
    compile_with = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: (done.append(self), compile_with(self, backend="eager")))
    monkeypatch.setenv("CXX", sys.executable)  # any program: it is looked for, and not called
    monkeypatch.setitem(PROFILES, "vitron-7b", toy_profile())
    return done


@pytest.mark.parametrize("name", ["gligen_inpaint", "i2vgen_xl"])  # tracing takes long; the others' UNets are alike
def test_a_compiled_model_makes_the_same(name: str, written: Path, compiled: list[nn.Module]) -> None:
    plain, quick = (build.build_specialist(name, "vitron-7b", weights=written, compiled=on) for on in (False, True))
    assert compiled == [quick.parts.unet]  # type: ignore[attr-defined]
    assert quick.revision == plain.revision
    first, second = plain.run(REQUEST), quick.run(REQUEST)
    made, again = ((each.image if each.video is None else each.video) for each in (first, second))
    assert made is not None
    assert again is not None
    assert (made.int() - again.int()).abs().max() <= 1


def test_convolutions_keep_their_weights_in_another_layout(written: Path, compiled: list[nn.Module]) -> None:
    plain, quick = (build.build_specialist("gligen", "vitron-7b", weights=written, compiled=on) for on in (0, 1))
    weights = [each.parts.unet.conv_in.weight for each in (plain, quick)]  # type: ignore[attr-defined]
    assert torch.equal(*weights)
    assert [weight.is_contiguous(memory_format=torch.channels_last) for weight in weights] == [False, True]
    assert plain.parts.unet.state_dict().keys() == quick.parts.unet.state_dict().keys()  # type: ignore[attr-defined]


def test_models_without_a_unet_stay_as_they_are(written: Path, compiled: list[nn.Module]) -> None:
    seem = build.build_specialist("seem", "vitron-7b", weights=written, compiled=True)
    assert seem.run(SpecialistRequest("a red circle", image=PICTURE)).mask is not None
    assert compiled == []


@pytest.mark.parametrize("make", [build.build_agent, build.create_vitron_agent])
def test_an_agent_hands_it_down(make, written: Path, compiled: list[nn.Module], monkeypatch, tmp_path: Path) -> None:
    kept: list[Residents] = []
    monkeypatch.setattr("vitron_agent.tools.Residents", lambda *args: kept.append(Residents(*args)) or kept[-1])
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))  # made use of above
    make("vitron-7b", weights=written, compiled=True)
    kept[0].run("gligen", REQUEST)
    assert len(compiled) == 1
