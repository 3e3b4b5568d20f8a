"""Which module the planner's embeddings call when nothing is said: half of the ablation's arm without words.

In VITRON words decide which module runs (section 3.2). An agent of embeddings alone has none, so its module is read off
the task-invariant tokens here, fed right behind the request: by a linear classifier, fitted to requests in the wordings
of training. Knows the planner and the small world's requests, nothing of specialists.
"""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from vitron_agent.evaluation.cases import Turn
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.evaluation.heldout import case_of
from vitron_agent.invocation import Module
from vitron_agent.planner import DrawnRegion, UserTurn, VitronPlanner
from vitron_agent.planner.readout import LinearReadout
from vitron_agent.shapes.clip import frames_of
from vitron_agent.shapes.tasks import sample_conversation

REQUESTS = 1200
"""How many requests the classifier is fitted to."""
ASKED = (
    *("draw", "segment", "segment_region", "edit", "edit_region", "track", "edit_video", "film", "animate"),
    *("ask", "ask_video", "refuse", "chat"),
)
"""The tasks whose conversations begin with a request for one thing, equally often; the last four call nothing."""
SIDE = 64
"""Height and width in which a drawn region is read."""
NAMES: tuple[str, ...] = ("", *(module.letter for module in Module))
"""What is told apart: no call, and the modules by letter."""


def requests(seed: int, count: int) -> list[tuple[Turn, str]]:
    """First turns of training conversations, each with the letter of the module that it calls first ("" for none)."""
    rng = random.Random(f"silent {seed}")
    found: list[tuple[Turn, str]] = []
    for _ in range(count):
        talk = sample_conversation(rng, "train", rng.choice(ASKED))
        reply = next(turn for turn in talk.turns if turn.role == "assistant")
        letter = reply.invocation.module.letter if reply.invocation else ""
        found.append((case_of(talk, "").turns[0], letter))
    return found


@torch.inference_mode()
def shared_states(planner: VitronPlanner, turn: Turn) -> Tensor:
    """Last-layer states of the task-invariant tokens right behind a request.

    Args:
        planner: Reads the request.
        turn: The request with all that comes with it.

    Returns:
        (n_shared * d_llm,) float32.
    """
    pictures, videos = tuple(map(picture_of, turn.scenes)), tuple(map(frames_of, turn.clips))
    drawn = () if turn.region is None else (DrawnRegion(turn.region.to_mask(SIDE, SIDE), on_video=bool(videos)),)
    prompt = planner.processor.serialise([UserTurn(turn.say, pictures, drawn, videos)])
    shared = planner.vocabulary.signals(Module.A)[planner.vocabulary.per_module :]
    run = planner.model.merge(torch.tensor([shared], device=planner.model.device))
    states: Tensor = planner.model.hidden(torch.cat([planner.embed(prompt), run], 1))[0, -len(shared) :]
    return states.flatten().float().cpu()


@dataclass(frozen=True, eq=False)
class SilentCaller:
    """Names the module of a request by its task-invariant tokens.

    Attributes:
        planner: Whose tokens.
        readout: Tells `NAMES` apart by their states.
    """

    planner: VitronPlanner
    readout: LinearReadout

    @classmethod
    def fitted(cls, planner: VitronPlanner, seed: int, count: int = REQUESTS) -> "SilentCaller":
        """Fit one to `count` requests in the wordings of training."""
        asked = requests(seed, count)
        states = torch.stack([shared_states(planner, turn) for turn, _ in asked])
        return cls(planner, LinearReadout.fitted(states, [NAMES.index(letter) for _, letter in asked]))

    def letter(self, turn: Turn) -> str:
        """Letter of the module that a request calls; "" for none."""
        return NAMES[int(self.readout(shared_states(self.planner, turn)[None])[0])]
