"""One process that runs a session under a budget and prints what it took: `python -m tests.benchmarks.session_peak`.

Arguments: which session, and its budget in MiB ("none" for no limit). Prints JSON:

- resident: MiB, the peak of the whole process, with Python, torch and the libraries.
- held: MiB, the most that was held at once by the residency manager's own accounting: weights, the planner's share,
  and what is at work.
- parts: MiB, all that were loaded in the session, together.
- loads: how many times a specialist was loaded.
- results: names of what was made, which stand for its content.
"""

import hashlib
import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from vitron_agent import build
from vitron_agent.shapes.clip import FPS, Clip, Motion, frames_of
from vitron_agent.shapes.scene import COLOURS, Obj, Scene
from vitron_agent.specialists.base import Specialist, SpecialistRequest, SpecialistResult
from vitron_agent.testing import EchoSpecialist
from vitron_agent.tools.budget import MIB, Budget
from vitron_agent.tools.residency import Residents

LARGE = 256  # MiB of each specialist of the session "large"
SAID = (
    "draw a small red circle on a gray background",
    "segment the red circle",
    "make the red circle blue",
    "draw a large yellow star on a navy background",
    "track the green square",
)


def tiny(memory: str | None) -> list[str]:
    """The packaged profile: draw, segment, edit, follow; the planner reads and writes all of it."""
    from vitron_agent.graphs import user_turn
    from vitron_agent.media import MediaStore

    square = Obj("square", "green", "large", 0.3, 0.5, 0.18, COLOURS["green"])
    clip = Clip(Scene("sand", (square,)), (Motion("right", 0.3),))
    with tempfile.TemporaryDirectory() as folder:
        store = MediaStore(Path(folder))
        agent = build.build_agent("tiny", store=store, memory=memory)
        video = [store.put_video(frames_of(clip), FPS).uri]
        state: dict[str, Any] = {"messages": []}
        for words in SAID:
            turn = user_turn(words, videos=video if words is SAID[-1] else ())
            state = agent.invoke({"messages": [*state["messages"], turn]}, {"configurable": {"seed": 1}})
        called = [call["name"] for message in state["messages"] for call in getattr(message, "tool_calls", ())]
        return [*called, *(entry["uri"] for entry in state["media"])]


class Large(EchoSpecialist):
    """Holds weights of its own, and says by its picture that it works."""

    def __init__(self) -> None:
        super().__init__()
        self.network = torch.nn.Linear(1, 1, bias=False)
        self.network.weight = torch.nn.Parameter(torch.ones(LARGE * MIB // 4))

    def run(self, request: SpecialistRequest, *more: Any) -> SpecialistResult:
        """Draw, and read every weight."""
        assert self.network.weight.max() == 1
        return super().run(request, *more)


def large(memory: str | None) -> list[str]:
    """Six specialists that weigh much more than Python and torch, each called twice, in turn."""
    names = ("gligen", "gligen_inpaint", "seem", "stable_video", "zeroscope", "i2vgen_xl")
    budget = Budget(*([float(memory.removesuffix("MiB"))] if memory else []), weights=dict.fromkeys(names, LARGE))
    residents = Residents(dict.fromkeys(names, Large), budget)
    pictures = [residents.run(name, SpecialistRequest(f"{name} {i}")).image for i in range(2) for name in names]
    return [hashlib.sha256(picture.numpy().tobytes()).hexdigest() for picture in pictures if picture is not None]


def main(session: str, budget: str) -> None:
    """Run a session and print what it took."""
    taken: list[float] = [0.0]
    loads: dict[str, list[float]] = {}
    load, found = Residents._load, Budget.found

    def watched(self: Residents, name: str) -> Specialist:
        loaded = load(self, name)
        taken.append(self._budget.takes(self.loaded, (name,)))  # one call at a time here: nobody else works
        return loaded

    def counted(self: Budget, name: str, specialist: object) -> None:
        found(self, name, specialist)
        loads.setdefault(name, []).append(self.weights[name])
        loads["planner"] = [self.reserved]

    Residents._load, Budget.found = watched, counted  # type: ignore[method-assign]
    results = {"tiny": tiny, "large": large}[session](None if budget == "none" else f"{budget}MiB")
    figures = {
        "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB,
        "held": max(taken),
        "parts": sum(sizes[0] for sizes in loads.values()),
        "loads": sum(len(sizes) for name, sizes in loads.items() if name != "planner"),
        "results": results,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
