"""Starts a script in two processes that train together, on this machine alone: no name is looked up."""

import os
import random
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests import warm

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300
_BELOW_EPHEMERAL = range(20_000, 30_000)  # ports that no program is given unasked
_TAKEN = "EADDRINUSE"


def run_together(*command: str) -> list[str]:
    """Return what each of two processes of a Python command wrote to standard output.

    Raises:
        AssertionError: One of them failed; with what it wrote about it.
    """
    for _ in range(5):
        codes, said, errors = _run(command)
        if codes == [0, 0] or not any(_TAKEN in error for error in errors):
            break
    assert codes == [0, 0], "\n".join(error[-3000:] for error in errors)
    return said


def _run(command: Sequence[str]) -> tuple[list[int], list[str], list[str]]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(random.choice(_BELOW_EPHEMERAL))}
    base = {**os.environ, **meeting, "PYTHONPATH": path, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    both = [
        warm.start(
            *command,
            env={**base, "GLOO_SOCKET_IFNAME": "lo", "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:  # until both are done, or one has failed: the other would wait for it without end
        codes = [process.poll() for process in both]
        if None not in codes or any(codes):
            break
        time.sleep(0.05)
    for process in both:
        process.kill()
    texts = [process.communicate() for process in both]
    return [process.returncode for process in both], [out for out, _ in texts], [error for _, error in texts]
