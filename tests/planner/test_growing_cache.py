"""Keys and values with room behind them: the same numbers as transformers' own cache, and nobody's are written over."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from transformers import DynamicCache

from vitron_agent.planner import PlannerModel, growing_cache
from vitron_agent.planner.growing_cache import GrowingCache


def embeds(seed: int, count: int, width: int) -> torch.Tensor:
    return torch.randn(1, count, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for eight places, so that a few ids fill it."""
    monkeypatch.setattr(growing_cache, "ROOM", 8)


@torch.inference_mode()
def read(model: PlannerModel, cache: GrowingCache, seed: int, count: int) -> torch.Tensor:
    return model.hidden(embeds(seed, count, model.d_llm), cache)


def values(cache: GrowingCache) -> list[torch.Tensor]:
    return [part.clone() for layer in cache.layers for part in (layer.keys, layer.values)]


def test_states_keys_and_values_are_those_of_a_cache_without_room(model: PlannerModel) -> None:
    config = model.llava.config.text_config
    ours, theirs = GrowingCache(config), DynamicCache(config=config)
    for seed, count in enumerate((5, 1, 1, 1, 1, 3, 9, 1)):
        with torch.inference_mode():
            wanted = model.hidden(embeds(seed, count, model.d_llm), theirs)
        assert torch.equal(read(model, ours, seed, count), wanted)
    assert ours.get_seq_length() == theirs.get_seq_length() == 22
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        assert torch.equal(mine.keys, other.keys)
        assert torch.equal(mine.values, other.values)


def test_a_step_writes_behind_what_is_there_until_the_room_is_full(model: PlannerModel) -> None:
    cache = GrowingCache(model.llava.config.text_config)
    places = []
    for seed in range(10):
        read(model, cache, seed, 1)
        places.append(cache.layers[0].keys.data_ptr())
    assert len(set(places[:8])) == 1
    assert places[8] == places[9] != places[0]
    assert {room.keys.shape[2] for room in cache.rooms} == {16}


def test_of_two_that_begin_alike_one_has_the_room_and_the_other_its_own(model: PlannerModel) -> None:
    kept = GrowingCache(model.llava.config.text_config)
    read(model, kept, 0, 4)
    before = values(kept)
    first, second = kept.beginning(4), kept.beginning(4)
    read(model, first, 1, 2)
    of_first = values(first)
    read(model, second, 2, 3)
    assert first.rooms[0] is kept.rooms[0] is not second.rooms[0]
    for now, then in ((kept, before), (first, of_first)):
        assert all(torch.equal(a, b) for a, b in zip(values(now), then, strict=True))
    assert torch.equal(second.layers[0].keys[:, :, :4], before[0])


def test_what_goes_back_does_not_write_over_what_came_later(model: PlannerModel) -> None:
    kept = GrowingCache(model.llava.config.text_config)
    read(model, kept, 0, 6)
    before = values(kept)
    back = kept.beginning(3)
    read(model, back, 1, 1)
    assert back.get_seq_length() == 4
    assert all(torch.equal(a, b) for a, b in zip(values(kept), before, strict=True))


def test_many_threads_go_on_from_one_beginning(model: PlannerModel) -> None:
    kept = GrowingCache(model.llava.config.text_config)
    read(model, kept, 0, 3)

    def branch(seed: int) -> list[torch.Tensor]:
        cache = kept.beginning(3)
        for step in range(3):
            read(model, cache, 100 * seed + step, 1)
        return values(cache)

    alone = []
    for seed in range(4):
        cache = GrowingCache(model.llava.config.text_config)
        read(model, cache, 0, 3)
        for step in range(3):
            read(model, cache, 100 * seed + step, 1)
        alone.append(values(cache))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(branch, range(4)))
    for ours, wanted in zip(together, alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, wanted, strict=True))
