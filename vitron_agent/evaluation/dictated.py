"""A planner that is told which call to make, and only lends it its signals: what they carry is then all that differs.

Knows the planner's engine; what is dictated is the evaluation's business. One conversation at a time.
"""

from collections.abc import Collection, Generator, Sequence

import torch
from transformers import DynamicCache

from vitron_agent.invocation import Invocation, Module, render_invocation
from vitron_agent.planner import AssistantTurn, PlannerOutput, Settings, VitronPlanner
from vitron_agent.planner.processor import Turn
from vitron_agent.planner.reply import DEFAULT_SETTINGS
from vitron_agent.shapes.tasks_session import LEADS


class DictatedPlanner(VitronPlanner):
    """Reads conversations as its weights do, writes the call it is given, and takes its signals behind that.

    Attributes:
        call: What the next conversation's first reply calls; once that was done it says "Done.".
    """

    def __init__(self, planner: VitronPlanner) -> None:
        """Share the weights and words of `planner`."""
        super().__init__(planner.model, planner.vocabulary)
        self.call: Invocation | None = None

    @torch.inference_mode()
    def stream(
        self,
        conversation: Sequence[Turn],
        allowed_modules: Collection[Module] = (),
        settings: Settings = DEFAULT_SETTINGS,
    ) -> Generator[str, None, PlannerOutput]:
        """Write the dictated reply; arguments as of `VitronPlanner.stream`.

        A call of a module that is not allowed (its weights are missing) is left out.
        """
        called = any(isinstance(turn, AssistantTurn) and turn.invocations for turn in conversation)
        call = self.call
        if call is None or called or call.module not in allowed_modules:
            yield "Done."
            return PlannerOutput("Done.")
        prompt = self.processor.fit(conversation)
        cache, lead = DynamicCache(), LEADS.get(call.module, "")
        self.model.hidden(self.embed(prompt), cache)
        ids = self.vocabulary.encode(f" {lead} {render_invocation(call)}".replace("  ", " "))
        signals, _ = self.signal_run(call.module, cache, ids)
        yield lead
        return PlannerOutput(lead, (call,), (signals,), len(prompt.ids), len(ids))
