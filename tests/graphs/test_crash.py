"""A process killed at any moment loses nothing: `CRASHES=50` kills at more moments than the suite has time for."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

PARENT = Path(__file__).with_name("crash_parent.py")
CRASHES = int(os.environ.get("CRASHES", "8"))


def load() -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location("crash_parent", PARENT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(messages: Any) -> list[Any]:
    return [(m.type, m.text, (getattr(m, "artifact", None) or {}).get("uri")) for m in messages]


def test_a_killed_turn_goes_on_and_computes_nothing_twice(tmp_path: Path) -> None:
    parent = load()
    whole = tmp_path / "whole"
    whole.mkdir()
    wanted = told(parent.run_turn(whole))
    calls = Counter((whole / "log").read_text().splitlines())
    root = str(PARENT.parents[2])
    warm = subprocess.Popen(
        [sys.executable, str(PARENT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert warm.stdin
    assert warm.stdout
    chance, killed = random.Random("crash"), 0

    def turn(name: str, seconds: float) -> Path:
        """A turn in a folder of its own, killed after so many seconds if it is not done by then."""
        nonlocal killed
        (tmp_path / name).mkdir()
        print(tmp_path / name, seconds, file=warm.stdin, flush=True)
        killed += warm.stdout.readline().strip() == "killed"  # type: ignore[union-attr]
        return tmp_path / name

    with warm:
        turn("first", 60.0)  # the process is still starting
        start = time.perf_counter()
        turn("undisturbed", 60.0)
        takes = time.perf_counter() - start  # moments are drawn from a whole turn, however fast the machine is
        for index in range(3 * CRASHES):
            if killed == CRASHES:
                break
            folder = turn(str(index), chance.uniform(0.03, 1.0) * takes)
            log = folder / "log"
            before = Counter(log.read_text().splitlines() if log.exists() else [])
            receipts = len(list((folder / "media").glob("links/*/*.json")))
            assert told(parent.run_turn(folder)) == wanted
            after = Counter(log.read_text().splitlines())
            # computed again is at most the one that was at work, without a receipt yet
            assert (after - calls).total() <= before.total() - receipts <= 1
        warm.stdin.close()
    assert killed == CRASHES
