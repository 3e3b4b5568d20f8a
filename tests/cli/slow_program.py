"""`vitron-agent` for test_ending.py: over a scripted planner, and a specialist that takes steps of 50 ms.

Its first argument is a log of what the specialist does; the others are the command line. A request with "slow" in it
takes a minute, one with "quick" three steps, and with "hello" none; "cut it out" segments the last picture.
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch

from vitron_agent import build
from vitron_agent.cli import app
from vitron_agent.parts import Profile
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call

torch.set_num_threads(1)
log = Path(sys.argv.pop(1)).open("a", buffering=1)


class Slow(EchoSpecialist):
    def run(self, request: Any, progress: Any = None) -> Any:
        steps = 1200 if "slow" in request.command else 3
        for step in range(steps):
            progress(step + 1, steps)
            log.write(f"{request.command} step\n")
            time.sleep(0.05)
        log.write(f"{request.command} end\n")
        return super().run(request)


def next_step(messages: list[Any]) -> Any:
    said = str(messages[-1].text)
    if messages[-1].type == "tool" or "hello" in said:
        return "Here."
    name = "segment_image" if "cut" in said else "generate_image"
    return [call(name, command=said)]


def load(*_: Any) -> ScriptedPlanner:
    log.write("load\n")
    if "--seed=5" in sys.argv:
        time.sleep(60)
    return ScriptedPlanner(replies=[next_step])


Profile.missing = lambda self, part: []  # type: ignore[method-assign]
build.build_specialist = lambda name, profile, **where: Slow()  # type: ignore[assignment]
build.PLANNERS["tiny"] = load
app()
