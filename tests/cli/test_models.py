import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vitron_agent import hub
from vitron_agent.parts import Part, Profile
from vitron_agent.profiles import PROFILES
from vitron_agent.specialists.seem import parity

FILE = Path(__file__).parents[1] / "specialists" / "seem" / "data" / "seem_focall_tiny.safetensors"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights' folder of a profile `toy`: one part, and an extra that is not there."""
    files = ("seem/config.json", "seem/model.safetensors")
    parts = (
        Part("seem", "finds", files, "ours", 4, "Apache-2.0", work=2),
        Part("more", "x", ("more/a.json",), "y", 8, "z"),
    )
    monkeypatch.setitem(PROFILES, "toy", Profile("toy", "a toy", tmp_path, parts[:1], 64, extras=parts[1:]))
    (tmp_path / "seem").mkdir()
    (tmp_path / "seem" / "config.json").write_text(json.dumps({}))
    save_file({"a": torch.ones(3)}, tmp_path / "seem" / "model.safetensors")
    return tmp_path


@pytest.mark.parametrize("command", [["models"], ["models", "list"]])
def test_the_list_says_what_is_needed_and_whether_it_is_there(run, folder: Path, command: list[str]) -> None:
    shown = run(*command).stdout
    assert "missing more/a.json" in shown
    assert "ready" in shown
    assert "llava-hf/llava-1.5-7b-hf" in shown
    assert "13,472 MiB" in shown


def test_where_names_the_folders(run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRON_HOME", "/somewhere/else")
    shown = run("models", "where").stdout
    assert str(folder) in shown
    assert "/somewhere/else" in shown


def test_whole_weights_pass(run, folder: Path) -> None:
    result = run("models", "verify", "toy")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "seem: 2 files, whole",
        "more: not there, and the profile works without it",
    ]


def test_every_fault_is_a_line_and_the_exit_code_one(run, folder: Path) -> None:
    (folder / "seem" / "config.json").unlink()
    weights = folder / "seem" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (folder / "more").mkdir()
    (folder / "more" / "b.json").write_text("{}")
    result = run("models", "verify", "toy")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line[:35] for line in lines[:2]] == [
        "seem: seem/config.json is missing",
        "seem: seem/model.safetensors is trun"[:35],
    ]
    assert lines[2:] == ["more: more/a.json is missing"]


def test_numbers_that_are_none_are_found_where_they_are_looked_for(run, folder: Path) -> None:
    save_file({"a": torch.tensor([1.0, math.nan])}, folder / "seem" / "model.safetensors")
    assert run("models", "verify", "toy").exit_code == 0
    result = run("models", "verify", "toy", "--finite")
    assert result.exit_code == 1
    assert "no numbers, in a" in result.stdout


def test_weights_that_the_user_has_not_brought_are_missing(run, tmp_path: Path) -> None:
    result = run("models", "verify", "vitron-7b", "--weights", tmp_path)
    assert result.exit_code == 1
    assert "gligen: gligen/unet/config.json is missing" in result.stdout.splitlines()
    assert "zeroscope: not there, and the profile works without it" in result.stdout.splitlines()


def test_an_unknown_profile_is_refused(run, folder: Path) -> None:
    for command in (["verify", "huge"], ["plan", "--memory", "1GB", "--profile", "huge"]):
        result = run("models", *command)
        assert result.exit_code == 2
        assert "'huge' is unknown: choose one of tiny, vitron-7b, toy" in result.stderr


def test_a_plan_says_what_stays_and_what_does_not_fit(run, folder: Path) -> None:
    shown = run("models", "plan", "--memory", "7MiB", "--profile", "toy").stdout
    assert "toy in 7 MiB" in shown
    assert "seem                  4 MiB  and       2 MiB at work: stays loaded" in shown
    assert "more                  8 MiB  and       0 MiB at work: does not fit, not even alone" in shown
    assert "together              6 MiB  of 14 MiB" in shown
    assert "choose a device of at least 8 MiB, or --profile tiny" in shown


def test_a_plan_says_what_computes_piece_by_piece(run) -> None:
    lines = run("models", "plan", "--memory", "32GB", "--profile", "vitron-7b").stdout.splitlines()
    assert [line.split()[0] for line in lines if line.endswith(", computing piece by piece")] == ["i2vgen_xl"]
    assert any("i2vgen_xl" in line and "4,548 MiB at work" in line for line in lines)


def test_a_plan_may_have_the_planner_in_fewer_bits(run) -> None:
    asked = ("models", "plan", "--memory", "16GB", "--profile", "vitron-7b")
    assert "planner          13,472 MiB" in run(*asked).stdout
    assert "planner           4,307 MiB" in run(*asked, "--planner-bits", 4).stdout
    assert "keeps up to 4,096 MiB of conversations" in run(*asked, "--compiled").stdout
    both = run(*asked, "--planner-bits", 4, "--compiled")
    assert (both.exit_code, both.stderr.count("--compiled is not for a planner in 4 bits")) == (2, 1)
    refused = run(*asked, "--planner-bits", 0)
    assert (refused.exit_code, refused.stderr) == (2, "error: planner_bits is 0: give 4 or 8, or leave it out\n")


def test_without_a_profile_all_are_planned(run) -> None:
    shown = run("models", "plan", "--memory", "24GB").stdout
    assert "tiny in 22,888 MiB" in shown
    assert "vitron-7b in 22,888 MiB" in shown


def test_an_amount_without_a_unit_is_refused(run) -> None:
    result = run("models", "plan", "--memory", "24")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "'24' is no amount" in result.stderr


def test_parity_holds_on_the_stored_run(run) -> None:
    result = run("models", "parity", FILE)
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [name for name, _ in lines] == [*parity.OUTPUTS, "largest"]
    assert all(float(value) <= parity.TOLERANCE for _, value in lines)


@pytest.mark.parametrize("value", [2e-4, math.inf, math.nan])
def test_a_difference_is_exit_code_one(run, monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    monkeypatch.setattr(parity, "differences", lambda path: {"semantic": 1e-6, "panoptic": value})
    result = run("models", "parity", FILE)
    assert result.exit_code == 1
    assert "1 of 2 outputs differ by more than 0.0001: panoptic" in result.stderr


def test_what_is_no_parity_file_is_one_line(run, folder: Path) -> None:
    result = run("models", "parity", folder / "seem" / "model.safetensors")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: parity file ")
    assert result.stderr.count("\n") == 1


def test_pulling_says_what_it_does_on_stderr(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        hub, "pull", lambda profile, parts, say, *more: asked.append((profile.folder, parts, *more)) or say("done")
    )
    result = run("models", "pull", "vitron-7b", "--part", "seem", "--part", "gligen", "--weights", tmp_path)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "done\n")
    run("models", "pull", "vitron-7b", "--part", "planner", "--start", "vitron", "--repository", "me/mine@v1")
    assert asked[0] == (tmp_path, ["seem", "gligen"], None, None)
    assert asked[1][1:] == (["planner"], "vitron", "me/mine@v1")


def test_a_packaged_profile_cannot_be_pulled(run) -> None:
    result = run("models", "pull", "tiny")
    assert result.exit_code == 2
    assert "error: profile 'tiny' comes with the library" in result.stderr
