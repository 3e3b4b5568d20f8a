"""With keys and values in a fixed place replies are the same; the step is not compiled here, or without a compiler."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, StaticCache

from vitron_agent.errors import Cancelled
from vitron_agent.invocation import Module
from vitron_agent.planner import PlannerModel, VitronPlanner, Vocabulary, fixed_cache
from vitron_agent.planner.fixed_cache import FixedCache
from vitron_agent.planner.processor import AssistantTurn, UserTurn
from vitron_agent.planner.reply import PlannerOutput, Settings

ASKED = UserTurn("what is the red circle at the top left?")
SETTINGS = Settings(24)
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"
)  # torch's own


@pytest.fixture
def plain(model: PlannerModel, vocabulary: Vocabulary) -> VitronPlanner:
    return VitronPlanner(model, vocabulary)


@pytest.fixture
def steps() -> list[int]:
    """How many ids each compiled step read."""
    return []


@pytest.fixture
def placed(model: PlannerModel, vocabulary: Vocabulary, steps: list[int]) -> VitronPlanner:
    def step(**given: Any) -> Any:
        steps.append(given["inputs_embeds"].shape[1])
        return model.language_model(**given)

    planner = VitronPlanner(model, vocabulary)
    planner.fixed = FixedCache(model.language_model, step)
    return planner


def calling(planner: VitronPlanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a reply begin with a call, as random weights do not."""
    choose: Callable[..., int] = planner._choose

    def begin(grammar: Any, *more: Any) -> int:
        tag = grammar.tags["<module>"]
        return tag if not grammar.calls and grammar.allowed()[tag] else choose(grammar, *more)

    monkeypatch.setattr(planner, "_choose", begin)


def same(one: PlannerOutput, other: PlannerOutput) -> None:
    assert (one.text, one.invocations, one.new_tokens) == (other.text, other.invocations, other.new_tokens)
    for a, b in zip(one.signals, other.signals, strict=True):
        torch.testing.assert_close(a.joined, b.joined, atol=1e-4, rtol=0)


def test_a_conversation_reads_the_same_and_what_it_made_is_kept(
    plain: VitronPlanner, placed: VitronPlanner, steps: list[int]
) -> None:
    first = plain.reply([ASKED], settings=SETTINGS)
    same(placed.reply([ASKED], settings=SETTINGS), first)
    assert set(steps) == {1}
    assert len(steps) > first.new_tokens / 2  # what must follow is read at once, the end not at all
    turns = [ASKED, AssistantTurn(first.text), UserTurn("and the star?")]
    same(placed.reply(turns, settings=SETTINGS), plain.reply(turns, settings=SETTINGS))
    assert placed.prefixes.bytes == plain.prefixes.bytes > 0


def test_a_call_and_its_signals_are_the_same(
    plain: VitronPlanner, placed: VitronPlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for planner in (plain, placed):
        calling(planner, monkeypatch)
    settings = Settings(80)
    one, other = (planner.reply([ASKED], [Module.A], settings) for planner in (placed, plain))
    assert [call.module for call in one.invocations] == [Module.A]
    same(one, other)


def test_what_an_earlier_reply_left_in_the_place_is_not_looked_at(plain: VitronPlanner, placed: VitronPlanner) -> None:
    placed.reply([UserTurn("please draw a large blue square on a gray background " * 3)], settings=Settings(60))
    placed.forget()
    same(placed.reply([ASKED], settings=SETTINGS), plain.reply([ASKED], settings=SETTINGS))


def read(model: PlannerModel, count: int) -> DynamicCache:
    """A cache of some ids."""
    cache = DynamicCache(config=model.llava.config.text_config)
    with torch.no_grad():
        model.hidden(model.merge(torch.arange(3, 3 + count)[None]), cache)
    return cache


def test_one_reply_at_a_time_has_the_place(model: PlannerModel) -> None:
    fixed, cache, other = FixedCache(model.language_model, model.language_model), read(model, 5), read(model, 4)
    mine = fixed.begin(cache, 10)
    assert isinstance(mine, StaticCache)
    assert fixed.begin(other, 10) is other
    assert fixed.end(other) is other
    out = fixed.end(mine)
    assert torch.equal(out.layers[1].keys, cache.layers[1].keys)
    assert fixed.begin(other, 10) is mine
    assert int(mine.get_seq_length()) == 4


def test_the_place_grows_and_has_no_more_room_than_the_model_has_positions(
    model: PlannerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixed_cache, "ROOM", 16)
    fixed, cache = FixedCache(model.language_model, model.language_model), read(model, 5)
    sizes = []
    for more in (3, 12, 3):
        mine = fixed.begin(cache, more)
        sizes.append(mine.get_max_length())
        fixed.end(mine)
    assert sizes == [16, 32, 32]
    assert fixed.begin(cache, model.llava.config.text_config.max_position_embeddings) is cache


def test_a_reply_that_ends_by_an_error_leaves_the_place(
    plain: VitronPlanner, placed: VitronPlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Cancelled):
        placed.reply([ASKED], settings=Settings(24, cancelled=lambda: True))
    pieces = placed.stream([ASKED], settings=SETTINGS)
    next(pieces)
    pieces.close()
    same(placed.reply([ASKED], settings=SETTINGS), plain.reply([ASKED], settings=SETTINGS))
    assert placed.fixed is not None
    assert not placed.fixed._lock.locked()


def test_a_place_for_which_there_is_no_memory_is_left(model: PlannerModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(**_: Any) -> None:
        raise torch.OutOfMemoryError

    fixed, cache = FixedCache(model.language_model, model.language_model), read(model, 5)
    with monkeypatch.context() as lacking:
        lacking.setattr(fixed_cache, "StaticCache", lacks)
        with pytest.raises(torch.OutOfMemoryError):
            fixed.begin(cache, 3)
    assert isinstance(fixed.begin(cache, 3), StaticCache)


def test_the_step_can_be_traced_whole(model: PlannerModel, plain: VitronPlanner) -> None:
    """By torch's `eager` backend, which needs no compiler: one program for all steps."""
    programs: list[Any] = []

    def backend(program: Any, _: list[Tensor]) -> Any:
        programs.append(program)
        return program

    placed = VitronPlanner(model, plain.vocabulary)
    placed.fixed = FixedCache(
        model.language_model, torch.compile(model.language_model, backend=backend, fullgraph=True, dynamic=False)
    )
    same(placed.reply([ASKED], settings=SETTINGS), plain.reply([ASKED], settings=SETTINGS))
    assert len(programs) == 1
