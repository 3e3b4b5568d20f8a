"""Reading a reply id by id with keys and values in a fixed place, as torch's compiler and CUDA's graphs want it.

A growing cache has another shape at each step; written into a fixed place, each step is the same program, which a GPU
runs without waiting for Python. Kept conversations are never written to (see prefix_cache.py), so what a reply begins
with is copied into the place, and out of it in the end. One reply at a time has it; others are read the plain way.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel, StaticCache

from vitron_agent.planner.growing_cache import GrowingCache

if TYPE_CHECKING:
    from vitron_agent.planner.reply import Reply

ROOM = 1024
"""Places come in multiples of it: another size is another program, and a step looks at all places, also empty ones."""


class FixedCache:
    """A place for one reply's keys and values, and the compiled step that writes into it."""

    def __init__(self, model: PreTrainedModel, step: Callable[..., Any] | None = None) -> None:
        """Compile nothing yet: the first step does, and the first in a larger place; it takes a minute or more.

        Args:
            model: The language model without its head.
            step: Runs it on one embedding, called as `model`; by default `model` compiled, with CUDA's graphs.
        """
        self._config = model.config
        self._step = torch.compile(model, mode="reduce-overhead") if step is None else step
        self._cache: StaticCache | None = None
        self._lock = threading.Lock()

    def begin(self, cache: GrowingCache, more: int) -> Cache:
        """Move what a reply begins with into the place, until `end`.

        Args:
            cache: What was read; it stays as it is.
            more: Ids that may follow.

        Returns:
            The fixed cache, or `cache` where another reply has the place, or the model has no position for so many.
        """
        length = cache.get_seq_length()
        places = -(-(length + more) // ROOM) * ROOM
        if length + more > self._config.max_position_embeddings or not self._lock.acquire(blocking=False):
            return cache
        try:
            return self._filled(cache, length, places)
        except BaseException:  # such as a lack of memory
            self._cache = None
            self._lock.release()
            raise

    def _filled(self, cache: GrowingCache, length: int, places: int) -> StaticCache:
        """Copy a cache into the place, which is made anew where it is too small."""
        if self._cache is None or self._cache.get_max_length() < places:
            self._cache = None  # its memory may be needed
            self._cache = StaticCache(config=self._config, max_cache_len=places)
        for mine, read in zip(self._cache.layers, cache.layers, strict=True):
            if not mine.is_initialized:
                mine.lazy_initialization(read.keys, read.values)
            mine.keys[:, :, :length], mine.values[:, :, :length] = read.keys, read.values
            mine.cumulative_length.fill_(length)
        return self._cache

    def holds(self, cache: Cache) -> bool:
        """Whether a cache is the one in the place."""
        return cache is self._cache

    def read(self, embeds: Tensor) -> Tensor:
        """Last-layer states (1, 1, d) of one embedding (1, 1, d); keys and values go into the place."""
        if embeds.is_cuda:
            torch.compiler.cudagraph_mark_step_begin()
        out = self._step(inputs_embeds=embeds, past_key_values=self._cache, use_cache=True)
        states: Tensor = out.last_hidden_state.clone()  # the graph's own memory is written to again by the next step
        return states

    def end(self, cache: Cache) -> GrowingCache:
        """Copy out what a reply made, and leave the place to others; a cache that is not in it comes back as it is."""
        if not self.holds(cache):
            return cache
        try:
            length, out = int(cache.get_seq_length()), GrowingCache(self._config)
            for mine, kept in zip(out.layers, cache.layers, strict=True):
                mine.update(kept.keys[:, :, :length], kept.values[:, :, :length])
        finally:
            self._lock.release()
        return out


@contextmanager
def in_place(fixed: FixedCache | None, out: "Reply", more: int) -> Iterator[None]:
    """Keep a reply's keys and values in a fixed place, where there is one, as long as the block lasts.

    Args:
        fixed: The place, or None.
        out: The reply, whose cache is exchanged.
        more: Ids that may follow.
    """
    if fixed is None:
        yield
        return
    out.cache = fixed.begin(out.cache, more)
    try:
        yield
    finally:
        out.cache = fixed.end(out.cache)
