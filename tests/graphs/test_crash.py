"""A process killed at any moment loses nothing: `CRASHES=50` kills at more moments than the suite has time for."""

import hashlib
import json
import os
import random
import select
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import warm

PARENT = Path(__file__).with_name("crash_parent.py")
CRASHES = int(os.environ.get("CRASHES", "8"))
PATIENCE = 60.0  # seconds that a process may be late, on the busiest machine


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


@pytest.fixture(scope="module")
def parent() -> Any:
    return load()


@pytest.fixture(scope="module")
def wanted(parent: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Counter[str]]:
    """What an undisturbed turn says, and what it computes."""
    whole = tmp_path_factory.mktemp("whole")
    return told(parent.run_turn(whole)), computed(whole)


def computed(folder: Path) -> "Counter[str]":
    log = folder / "log"
    return Counter(log.read_text().splitlines() if log.exists() else [])


@pytest.fixture(scope="module")
def turn() -> Iterator[Callable[..., bool]]:
    """Run a turn in a folder, killed after so many seconds if it is not done, or at a point; return whether it was."""
    root = str(PARENT.parents[2])
    process = warm.start(
        PARENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": root}
    )
    assert process.stdin
    assert process.stdout
    heard = process.stdout

    def run(folder: Path, seconds: float, *point: str) -> bool:
        folder.mkdir()
        process.stdin.write(" ".join([str(folder), str(seconds), *point, "\n"]).encode())
        limit = seconds + PATIENCE
        if not select.select([heard], [], [], limit)[0]:
            pytest.fail(f"the process that kills turns said nothing for {limit:.0f} s, in {folder}")
        said = heard.readline().decode().strip()
        if said not in ("killed", "ended"):
            code = process.wait(PATIENCE)
            pytest.fail(f"the process that kills turns has gone, code {code}: see what it wrote above")
        return said == "killed"

    try:
        yield run
    finally:
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        heard.close()


def check_goes_on(parent: Any, folder: Path, wanted: "tuple[Any, Counter[str]]") -> None:
    """Go on with a killed turn: it ends as if nothing had been, and next to nothing is computed again."""
    said, calls = wanted
    before = computed(folder)
    receipts = len(list((folder / "media").glob("links/*/*.json")))
    check_whole(folder / "media")
    assert told(parent.run_turn(folder)) == said
    # computed again is at most the one that was at work, without a receipt yet
    assert (computed(folder) - calls).total() <= before.total() - receipts <= 1
    check_whole(folder / "media")


def check_whole(media: Path) -> None:
    """Every file with a final name holds what its name says."""
    for path in media.glob("[0-9a-f][0-9a-f]/[0-9a-f]*"):
        data = path.read_bytes()
        if path.name.endswith(".ref.json"):
            assert json.loads(data)["suffix"]
        else:
            assert path.name.split(".")[0] == hashlib.sha256(data).hexdigest()
    for path in media.glob("links/*/[0-9a-f]*.json"):
        assert json.loads(path.read_text())["uri"].startswith("sha256:")


@pytest.mark.timeout(200 + 30 * CRASHES)  # each crash is a turn and two halves, and machines are busy
def test_a_killed_turn_goes_on_and_computes_nothing_twice(tmp_path: Path, parent: Any, wanted: Any, turn: Any) -> None:
    chance, killed = random.Random("crash"), 0
    assert not turn(tmp_path / "first", PATIENCE), f"a turn that nobody disturbs takes more than {PATIENCE:.0f} s"
    takes = PATIENCE
    for index in range(3 * CRASHES):
        if killed == CRASHES:
            break
        folder, start = tmp_path / str(index), time.perf_counter()
        if turn(folder, (chance.uniform(0.03, 1.0) if index else 1.0) * takes):
            killed += 1
        else:  # moments are drawn from a whole turn, however fast the machine is, and becomes
            takes = time.perf_counter() - start
        check_goes_on(parent, folder, wanted)
    assert killed == CRASHES


@pytest.mark.parametrize("point", ["planner", "tool", "file", "receipt", "checkpoint", "commit"])
def test_a_turn_killed_at_the_worst_point_goes_on(
    tmp_path: Path, parent: Any, wanted: Any, turn: Any, point: str
) -> None:
    """The points that chance above seldom meets."""
    folder = tmp_path / "turn"
    assert turn(folder, PATIENCE, point)
    check_goes_on(parent, folder, wanted)
