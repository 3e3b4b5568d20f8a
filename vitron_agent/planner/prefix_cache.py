"""Keys and values of conversations that were read before, so that a turn computes only what is new.

A conversation is known by what stands in it, token by token: ids, and for pictures and drawn regions the digest of
their content. So no conversation needs a name, a fork or a "go back" reuses what it has in common with any other, and a
picture that was replaced by another of the same size is never mistaken for it. This file runs no network.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence

from transformers import PretrainedConfig

from vitron_agent.planner.growing_cache import GrowingCache
from vitron_agent.planner.processor import Processor, Serialised
from vitron_agent.planner.stored import content_digest

Tokens = tuple[Hashable, ...]
"""What a conversation consists of: an id, or an id with the digest of what stands in its place."""

MAX_BYTES = 128 * 2**20
"""Of keys and values, room to grow included; the tiny planner needs 12 KiB a token."""


def conversation_tokens(prompt: Serialised, processor: Processor) -> Tokens:
    """What a written-down conversation consists of; the planner's own `<objs>` in calls are plain ids."""
    tags, digests = processor.vocabulary.tags, [content_digest(shown.content) for shown in prompt.media]
    pairs = zip(digests, prompt.media, strict=True)
    seen = iter([digest for digest, shown in pairs for _ in range(processor.tokens_of(shown))])
    drawn = iter(f"{digests[medium]} {content_digest(mask)}" for medium, mask in prompt.regions)

    def token(number: int, learn: bool) -> Hashable:
        if number == tags["<image>"]:
            return number, next(seen)
        return (number, next(drawn)) if number == tags["<objs>"] and not learn else number

    return tuple(token(number, learn) for number, learn in zip(prompt.ids, prompt.learn, strict=True))


class PrefixCache:
    """Caches of the latest conversations, the least recently used leaving first. Threads may share it.

    What is kept is never written to again: a `GrowingCache` grows behind it, so `begin` need not copy.
    """

    def __init__(self, config: PretrainedConfig, max_bytes: int = MAX_BYTES) -> None:
        """Start empty.

        Args:
            config: Of the language model.
            max_bytes: Memory that kept keys and values may take; 0 keeps nothing.
        """
        self.config, self.max_bytes = config, max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Tokens, GrowingCache] = OrderedDict()

    def begin(self, tokens: Tokens) -> tuple[int, GrowingCache]:
        """A cache that holds the longest known beginning of a conversation.

        Args:
            tokens: The conversation; its last token is always left to be computed.

        Returns:
            How many tokens are in the cache, and the cache: the caller's own to let grow, not to write into.
        """
        with self._lock:
            best = max(self._kept, key=lambda known: _common(known, tokens), default=())
            length = min(_common(best, tokens), len(tokens) - 1)
            found = self._kept.get(best) if length > 0 else None
            if found is None:
                return 0, GrowingCache(config=self.config)
            self._kept.move_to_end(best)
        return length, found.beginning(length)

    def keep(self, tokens: Tokens, cache: GrowingCache) -> None:
        """Keep a conversation; the caller must not write to the cache any more.

        Args:
            tokens: What the cache holds, as many as it has places.
            cache: Keys and values.

        Raises:
            ValueError: Their lengths differ.
        """
        if len(tokens) != cache.get_seq_length():
            raise ValueError(f"{len(tokens)} tokens, but the cache holds {cache.get_seq_length()}")
        with self._lock:
            for known in [known for known in self._kept if known == tokens[: len(known)]]:
                del self._kept[known]  # the longer one serves its beginnings too
            self._kept[tokens] = cache
            while _bytes(self._kept.values()) > self.max_bytes:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Keep none of them any longer."""
        with self._lock:
            self._kept.clear()

    @property
    def bytes(self) -> int:
        """Memory that is taken now."""
        with self._lock:
            return _bytes(self._kept.values())


def _common(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Length of the common beginning."""
    for index, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return index
    return min(len(first), len(second))


def _bytes(caches: Iterable[GrowingCache]) -> int:
    """Memory of caches, each room once: a fork and what it left share theirs."""
    return sum({id(room): room.bytes for cache in caches for room in cache.rooms}.values())
