from pathlib import Path

import pytest
import torch

from vitron_agent import locations
from vitron_agent.errors import CheckpointError, InputError
from vitron_agent.profiles import TINY, VITRON_7B


def test_the_users_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VITRON_HOME", str(tmp_path / "mine"))
    assert locations.user_folder() == tmp_path / "mine"
    monkeypatch.delenv("VITRON_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert locations.user_folder() == tmp_path / "vitron-agent"


def test_weights_are_looked_for_where_the_caller_the_environment_or_the_user_s_folder_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VITRON_HOME", str(tmp_path))
    monkeypatch.delenv("VITRON_WEIGHTS", raising=False)
    assert locations.placed("vitron-7b").folder == tmp_path / "weights" / "vitron-7b"
    monkeypatch.setenv("VITRON_WEIGHTS", "~/models")
    assert locations.placed("vitron-7b").folder == Path.home() / "models"
    assert locations.placed("vitron-7b", tmp_path / "here").folder == tmp_path / "here"


def test_a_packaged_profile_is_not_moved_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VITRON_WEIGHTS", str(tmp_path))
    assert locations.placed("tiny") is TINY
    with pytest.raises(CheckpointError, match="install the package again"):
        locations.loadable("tiny", tmp_path)


def test_without_a_gpu_it_is_the_cpu_in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert locations.choose_device(VITRON_7B) == locations.Device("cpu", torch.float32)
    assert locations.Device("cpu", torch.float32).scale == 2
    with pytest.raises(InputError, match="'cuda' is not there: torch sees no CUDA here"):
        locations.choose_device(VITRON_7B, "cuda")


@pytest.mark.parametrize(("has_bfloat16", "half"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_computes_in_the_half_precision_it_has(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool, half: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16)
    assert locations.choose_device(VITRON_7B) == locations.Device("cuda", half)
    assert locations.choose_device(VITRON_7B, "cuda:1") == locations.Device("cuda:1", half)
    assert locations.choose_device(TINY) == locations.Device("cpu", torch.float32)
    with pytest.raises(InputError, match="'cuda:2' is not there: this machine has 2"):
        locations.choose_device(VITRON_7B, "cuda:2")


@pytest.mark.parametrize("name", ["gpu", "", "mps", "meta"])
def test_what_is_no_device_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match="choose cuda, cuda:1 or cpu"):
        locations.choose_device(VITRON_7B, name) if name else locations.choose_device(VITRON_7B, " ")


def test_a_folder_of_an_unknown_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="set weights to a full path"):
        locations.placed("vitron-7b", "~nobody-of-this-name/weights")
    monkeypatch.setenv("VITRON_WEIGHTS", "~nobody-of-this-name/weights")
    with pytest.raises(InputError, match="set VITRON_WEIGHTS to a full path"):
        locations.placed("vitron-7b")


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = locations.Device("cpu", torch.float32), locations.Device("cuda:0", torch.bfloat16)
    monkeypatch.setattr(locations, "find_spec", lambda name: None)
    monkeypatch.setattr(locations.shutil, "which", lambda name: None)
    monkeypatch.setenv("CXX", "c++-99")
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler, and 'c\+\+-99' is not there: install it, set CXX"):
        locations.compiling(cpu)
    with pytest.raises(InputError, match="needs the package triton on CUDA: install it, or leave compiled out"):
        locations.compiling(gpu)
    monkeypatch.setattr(locations, "find_spec", lambda name: object())
    monkeypatch.setattr(locations.shutil, "which", lambda name: f"bin/{name}")
    assert [locations.compiling(each).compiled for each in (cpu, gpu)] == [True, True]


def test_what_fewer_bits_need_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = locations.Device("cpu", torch.float32), locations.Device("cuda:1", torch.bfloat16)
    monkeypatch.setattr(locations, "find_spec", lambda name: None if name == "bitsandbytes" else object())
    for device, bits, profile, said in (
        (gpu, 3, VITRON_7B, "planner_bits is 3: give 4 or 8"),
        (gpu, "4", VITRON_7B, "planner_bits is '4': give 4 or 8"),
        (gpu, 4, TINY, "not for profile 'tiny', whose planner is small"),
        (cpu, 4, VITRON_7B, "planner_bits=4 needs CUDA, and cpu computes here"),
        (gpu, 8, VITRON_7B, r"planner_bits=8 needs the package bitsandbytes: install vitron-agent\[gpu\]"),
    ):
        with pytest.raises(InputError, match=said):
            locations.in_bits(device, bits, profile)  # type: ignore[arg-type]
    monkeypatch.setattr(locations, "find_spec", lambda name: object())
    assert locations.in_bits(gpu, 4, VITRON_7B) == locations.Device("cuda:1", torch.bfloat16, planner_bits=4)
