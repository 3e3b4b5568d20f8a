"""A dictated planner makes the call it is told, and its signals are those that it would have had on its own."""

import pytest
import torch

from vitron_agent.evaluation.dictated import DictatedPlanner
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.invocation import Invocation, Module
from vitron_agent.planner import AssistantTurn, UserTurn, VitronPlanner
from vitron_agent.profiles import TINY
from vitron_agent.shapes.scene import COLOURS, Obj, Scene

RED = picture_of(Scene("gray", (Obj("circle", "red", "large", 0.4, 0.5, 0.18, COLOURS["red"]),)))


@pytest.fixture(scope="module")
def planner() -> VitronPlanner:
    assert TINY.folder is not None
    return VitronPlanner.from_pretrained(TINY.folder / "planner")


def test_the_call_is_made_once_and_no_other(planner: VitronPlanner) -> None:
    dictated = DictatedPlanner(planner)
    dictated.call = Invocation(module=Module.C, command="replace the red circle with a red star")
    request = UserTurn("remove the circle", (RED,))
    output = dictated.reply([request], [Module.B, Module.C])
    assert output.invocations == (dictated.call,)
    assert output.signals[0].joined.shape == (8, planner.model.d_llm)
    over = [request, AssistantTurn("I will edit it.", output.invocations), UserTurn("Result: done.", (RED,))]
    assert dictated.reply(over, [Module.B, Module.C]).invocations == ()
    assert dictated.reply([request], [Module.B]).invocations == ()  # there is no such tool


@torch.inference_mode()
def test_its_signals_are_those_of_the_conversation_written_down_with_that_call(planner: VitronPlanner) -> None:
    call = Invocation(module=Module.C, command="replace the red circle with a blue circle")
    request = UserTurn("Recolor the circle to blue.", (RED,))
    dictated = DictatedPlanner(planner)
    dictated.call = call
    told = dictated.reply([request], [Module.C])
    whole = planner.processor.serialise([request, AssistantTurn(told.text, (call,))])
    run = planner.vocabulary.signals(Module.C)
    at = whole.ids.index(run[0])
    assert whole.ids[at : at + len(run)] == run
    states = planner.model.hidden(planner.embed(whole))[0, at : at + len(run)]
    assert torch.allclose(told.signals[0].joined, states, atol=1e-4)
