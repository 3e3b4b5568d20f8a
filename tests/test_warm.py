"""A program that is forked from a warm process is what it would be if Python had been started for it."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import warm

SEEN = """
import json, os, sys
ours = [name for name in sys.modules if name.split(".")[0] in ("vitron_agent", "tests")]
seen = dict(argv=sys.argv[1:], cwd=os.getcwd(), path=sys.path[:2], env=dict(os.environ), ours=ours)
sys.stdout.reconfigure(errors="replace")  # which a stream refuses that was opened on something else
print(json.dumps({**seen, "warm": "torch" in sys.modules, "heard": sys.stdin.read()}))
print("complaint", file=sys.stderr)
sys.exit(3)
"""
PIPES: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def test_a_script_has_what_it_was_given_and_nothing_of_ours_is_imported(tmp_path: Path) -> None:
    script, work = tmp_path / "scripts" / "seen.py", tmp_path / "work"
    for folder in (script.parent, work):
        folder.mkdir()
    script.write_text(SEEN)
    env = {"A": "b", "PYTHONPATH": "/nowhere"}
    process = warm.start(script, "one", "two words", cwd=work, env=env, **PIPES)
    said, complaint = process.communicate("hello", timeout=240)
    assert (process.returncode, complaint) == (3, "complaint\n")
    assert json.loads(said) == {
        "argv": ["one", "two words"],
        "cwd": str(work),
        "path": [str(script.parent), "/nowhere"],
        "env": env,
        "ours": [],
        "warm": True,
        "heard": "hello",
    }


def test_code_and_modules_are_run_too(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import atexit, sys; atexit.register(print, 'end'); print(sys.argv[1], __name__)")
    for command in (("-m", "own", "x"), ("-c", "import own", "x")):
        process = warm.start(*command, cwd=tmp_path, **PIPES)
        assert process.communicate(timeout=240) == (f"x {'__main__' if command[0] == '-m' else 'own'}\nend\n", "")
        assert process.returncode == 0


def test_what_it_does_not_catch_is_told_as_python_tells_it() -> None:
    process = warm.start("-c", "raise ValueError('so it is')", **PIPES)
    _, complaint = process.communicate(timeout=240)
    assert process.returncode == 1
    assert complaint.splitlines()[-1] == "ValueError: so it is"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_it(number: int) -> None:
    with warm.start("-c", "import time; print('here', flush=True); time.sleep(60)", **PIPES) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(number)
        assert process.wait(240) == -number
    process.kill()  # it has gone, and another process may have its number


def test_it_can_be_alone_in_its_group() -> None:
    for alone in (False, True):
        with warm.start("-c", "input()", start_new_session=alone, **PIPES) as process:
            assert (os.getpgid(process.pid) == process.pid) == alone
