"""The module that the special tokens name when nothing is said."""

import pytest
import torch

from vitron_agent.evaluation.cases import Turn
from vitron_agent.evaluation.silent import NAMES, SilentCaller, requests, shared_states
from vitron_agent.planner import VitronPlanner
from vitron_agent.profiles import TINY


@pytest.fixture(scope="module")
def planner() -> VitronPlanner:
    return VitronPlanner.from_pretrained(TINY.folder / "planner")


def test_requests_call_every_module_and_none() -> None:
    asked = requests(0, 120)
    letters = {letter for _, letter in asked}
    assert letters <= set(NAMES)
    assert letters >= {"", "A", "B", "C", "E", "F", "G"}
    for turn, letter in asked:
        first = {way[0].letter if way else "" for way in turn.ways}
        assert letter in first
    assert requests(0, 5) == asked[:5]


def test_tokens_are_read_behind_the_request_with_all_that_comes_with_it(planner: VitronPlanner) -> None:
    drawn = next(turn for turn, _ in requests(1, 80) if turn.region is not None and turn.scenes)
    states = shared_states(planner, drawn)
    assert states.shape == (planner.vocabulary.shared * planner.model.d_llm,)
    for other in (Turn(drawn.say, drawn.scenes, None), Turn("hello", drawn.scenes, drawn.region)):
        assert (shared_states(planner, other) - states).abs().max() > 1e-2


def test_a_fitted_caller_names_most_modules_of_requests_it_has_not_seen(planner: VitronPlanner) -> None:
    silent = SilentCaller.fitted(planner, seed=3, count=200)
    asked = requests(4, 60)
    right = [silent.letter(turn) == letter for turn, letter in asked]
    assert torch.tensor(right).float().mean() > 0.6  # of eight answers; 200 requests are few
