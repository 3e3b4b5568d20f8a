"""A forked child is told at once that the agent is not its own; the parent goes on as if nothing had been."""

import json
import multiprocessing
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from vitron_agent.errors import InputError
from vitron_agent.graphs.turns import Turns

PARENT = Path(__file__).with_name("fork_parent.py")
REFUSED = "InputError: process "

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork here")


def forked(scene: str, folder: Path) -> Any:
    """Play a scene in a process of its own: this one has threads, and is not forked."""
    root = str(PARENT.parents[2])
    heard = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = warm.start(PARENT, scene, folder, cwd=root, env={**os.environ, "PYTHONPATH": root}, **heard)
    said, complaint = process.communicate(timeout=240)
    assert process.returncode == 0, complaint
    return json.loads(said)


def test_a_child_cannot_use_its_parents_connection_and_does_well_with_its_own(tmp_path: Path) -> None:
    seen = forked("shared", tmp_path)
    (*refused, alone, own), code = seen["child"]
    assert code == 0
    assert [text.startswith(REFUSED) for text in refused] == [True] * 5
    assert "is a fork of" in refused[0]
    assert "build the agent (and its checkpointer) in the new process" in refused[0]
    assert alone == ["alone"]
    assert own == ["parent", "child of its own"]
    assert seen["parent"] == ["parent", "child of its own", "parent again"]
    assert seen["whole"] == "ok"


def test_a_fork_in_the_middle_of_a_turn_neither_hangs_nor_disturbs_it(tmp_path: Path) -> None:
    seen = forked("at_work", tmp_path)
    (refused,), code = seen["child"]
    assert (code, refused.startswith(REFUSED)) == (0, True)
    assert (seen["parent"], seen["whole"]) == (["parent", "parent again"], "ok")
    assert list((tmp_path / "media" / "threads").iterdir()) == []


def test_an_agent_that_keeps_nothing_is_refused_too(tmp_path: Path) -> None:
    seen = forked("alone", tmp_path)
    assert seen["child"][0][0].startswith(REFUSED)
    assert seen["parent"] == ["parent again"]


def test_turns_know_the_process_that_made_them(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, here = Turns(), os.getpid()
    turns.check_process()
    monkeypatch.setattr(os, "getpid", lambda: here + 1)
    with pytest.raises(InputError, match=rf"process {here + 1} is a fork of {here}, which built this agent: build"):
        turns.check_process()
