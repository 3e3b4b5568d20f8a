"""What was read before is not read again, and nothing but time tells the difference."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from vitron_agent.invocation import Module
from vitron_agent.planner import AssistantTurn, DrawnRegion, PlannerModel, UserTurn, VitronPlanner, Vocabulary
from vitron_agent.planner.chat import ChatVitron
from vitron_agent.planner.growing_cache import ROOM, GrowingCache
from vitron_agent.planner.prefix_cache import PrefixCache, conversation_tokens
from vitron_agent.planner.processor import Turn
from vitron_agent.planner.reply import PlannerOutput, Settings

SETTINGS = Settings(max_new_tokens=40)


@pytest.fixture
def cached(model: PlannerModel, vocabulary: Vocabulary) -> VitronPlanner:
    """A planner with nothing in its cache."""
    return VitronPlanner(model, vocabulary)


@pytest.fixture
def plain(model: PlannerModel, vocabulary: Vocabulary) -> VitronPlanner:
    """The same planner, reading everything anew."""
    return VitronPlanner(model, vocabulary, prefix_bytes=0)


def picture(seed: int) -> torch.Tensor:
    """A picture of noise."""
    return torch.randint(0, 256, (3, 64, 64), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def region(column: int) -> DrawnRegion:
    """A drawn stripe."""
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[:, column : column + 8] = True
    return DrawnRegion(mask)


def growing(planner: VitronPlanner, turns: Sequence[UserTurn]) -> Iterator[tuple[list[Turn], PlannerOutput]]:
    """Say one turn after the other, each answered by the planner."""
    said: list[Turn] = []
    for turn in turns:
        said.append(turn)
        output = planner.reply(said, Module, SETTINGS)
        yield list(said), output
        said.append(AssistantTurn(output.text, output.invocations))


TURNS = [
    UserTurn("draw a red circle"),
    UserTurn("what is in the picture?", (picture(1),)),
    UserTurn("and here <objs>?", (), (region(4),)),
    UserTurn("replace it", (picture(2), picture(3)), (region(30),)),
]


def test_replies_are_the_same_with_and_without(cached: VitronPlanner, plain: VitronPlanner) -> None:
    pairs = zip(growing(cached, TURNS), growing(plain, TURNS), strict=True)
    for (said, with_cache), (same, without) in pairs:
        assert len(said) == len(same)
        assert with_cache.text == without.text
        assert with_cache.invocations == without.invocations
        assert with_cache.new_tokens == without.new_tokens
        for ours, theirs in zip(with_cache.signals, without.signals, strict=True):
            assert torch.allclose(ours.joined, theirs.joined, atol=1e-4)
    assert cached.prefixes.bytes > 0
    assert plain.prefixes.bytes == 0


def test_a_second_turn_computes_only_what_is_new(cached: VitronPlanner, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    hidden = cached.model.hidden

    def counted(embeds: torch.Tensor, cache: GrowingCache | None = None) -> torch.Tensor:
        lengths.append(embeds.shape[1])
        return hidden(embeds, cache)

    monkeypatch.setattr(cached.model, "hidden", counted)
    said: list[Turn] = [UserTurn("draw a red circle", (picture(1),))]
    first = cached.reply(said, (), SETTINGS)
    assert lengths[0] == first.prompt_tokens
    lengths.clear()
    said += [AssistantTurn("It is a red circle."), UserTurn("why?")]
    again = cached.reply(said, (), SETTINGS)
    assert lengths[0] < again.prompt_tokens - 16  # at least the picture was known


def test_branches_share_what_they_have_in_common(cached: VitronPlanner, plain: VitronPlanner) -> None:
    *_, (said, _) = growing(cached, TURNS[:3])
    branch = [*said[:3], AssistantTurn("It is a star."), UserTurn("draw a large blue square")]
    assert cached.reply(branch, Module, SETTINGS) == replace(
        plain.reply(branch, Module, SETTINGS), signals=cached.reply(branch, Module, SETTINGS).signals
    )
    tokens = conversation_tokens(cached.processor.serialise(branch), cached.processor)
    known, cache = cached.prefixes.begin(tokens)
    assert 0 < known < len(tokens)
    assert cache.get_seq_length() == known


def test_another_picture_or_region_is_another_conversation(cached: VitronPlanner) -> None:
    said = [UserTurn("what is <objs>?", (picture(1),), (region(4),))]
    cached.reply(said, (), SETTINGS)

    def known(turn: UserTurn) -> int:
        tokens = conversation_tokens(cached.processor.serialise([turn]), cached.processor)
        return cached.prefixes.begin(tokens)[0]

    same = known(said[0])
    first_image = cached.processor.serialise(said).ids.index(cached.vocabulary.tags["<image>"])
    assert known(replace(said[0], pictures=(picture(2),))) == first_image < same
    assert first_image < known(replace(said[0], regions=(region(9),))) < same


def test_memory_is_bounded_and_the_oldest_leaves(model: PlannerModel) -> None:
    config = model.llava.config.text_config
    prefixes = PrefixCache(config, max_bytes=3 * ROOM * 6 * 2 * 256 * 4)  # three short conversations
    for start in range(4):
        prefixes.keep(tuple(range(start, start + 10)), _cache(model, 10))
        assert prefixes.begin((0, 1, 2))[0] == (2 if start < 3 else 0)  # asking keeps it fresh
        if start == 2:
            prefixes.begin((1, 2, 3)), prefixes.begin((2, 3, 4))
    assert prefixes.bytes <= prefixes.max_bytes
    assert prefixes.begin((3, 4, 5, 6))[0] == 3


def test_what_is_handed_out_grows_apart_from_what_is_kept(model: PlannerModel) -> None:
    prefixes = PrefixCache(model.llava.config.text_config)
    prefixes.keep((1, 2, 3), _cache(model, 3))
    _, first = prefixes.begin((1, 2, 3, 4))
    _, second = prefixes.begin((1, 2, 7))
    before = second.layers[-1].keys.clone()
    with torch.inference_mode():
        model.hidden(model.merge(torch.tensor([[4, 5]])), first)
        model.hidden(model.merge(torch.tensor([[7]])), second)
    assert first.get_seq_length() == 5
    assert torch.equal(second.layers[-1].keys[:, :, :2], before)
    known, third = prefixes.begin((1, 2, 3, 4))
    assert known == third.get_seq_length() == 3
    assert torch.equal(third.layers[-1].keys, first.layers[-1].keys[:, :, :3])
    with pytest.raises(ValueError, match="2 tokens, but the cache holds 3"):
        prefixes.keep((1, 2), second)


def test_many_conversations_at_once_do_not_disturb_each_other(cached: VitronPlanner, plain: VitronPlanner) -> None:
    conversations = [[UserTurn(f"draw {n} red circles", (picture(n),))] for n in range(6)]
    wanted = [plain.reply(said, Module, SETTINGS) for said in conversations]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda said: cached.reply(said, Module, SETTINGS), conversations * 2))
    for ours, theirs in zip(found, wanted * 2, strict=True):
        assert (ours.text, ours.invocations) == (theirs.text, theirs.invocations)


def _cache(model: PlannerModel, length: int) -> GrowingCache:
    """A cache of `length` places with something in it."""
    cache = GrowingCache(model.llava.config.text_config)
    with torch.inference_mode():
        model.hidden(model.merge(torch.arange(300, 300 + length)[None]), cache)
    return cache


def test_all_that_is_kept_can_be_let_go_of_and_nothing_but_time_tells(cached: VitronPlanner) -> None:
    said = [UserTurn("what is this?", (picture(1),))]
    first = cached.reply(said, Module, SETTINGS)
    assert cached.prefixes.bytes > 0
    assert len(cached.features) == 1
    ChatVitron(planner=cached).forget()
    assert (cached.prefixes.bytes, len(cached.features)) == (0, 0)
    again = cached.reply(said, Module, SETTINGS)
    assert (again.text, again.invocations) == (first.text, first.invocations)
