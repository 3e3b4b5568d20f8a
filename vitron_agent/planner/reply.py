"""A reply of the planner: how it is to be written, while it is being written, and when it is done."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from transformers import Cache

from vitron_agent.errors import InputError
from vitron_agent.invocation import Invocation
from vitron_agent.planner.decoding import Grammar, State
from vitron_agent.planner.prefix_cache import Tokens
from vitron_agent.planner.processor import Serialised
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.signals import SignalEmbeddings

MAX_SEED = 2**63 - 1  # what torch takes


@dataclass(frozen=True)
class PlannerOutput:
    """One reply.

    Attributes:
        text: What the user reads.
        invocations: Calls in order.
        signals: The embeddings of each call.
        prompt_tokens: Ids read, pictures included.
        new_tokens: Ids written, forced ones included, signal runs not.
        finish: "stop" at the end of the reply or at a stop text, "length" when the budget ran out.
    """

    text: str
    invocations: tuple[Invocation, ...] = ()
    signals: tuple[SignalEmbeddings, ...] = ()
    prompt_tokens: int = 0
    new_tokens: int = 0
    finish: str = "stop"


@dataclass(frozen=True)
class Settings:
    """How to decode.

    Attributes:
        max_new_tokens: Ids to write at most; a call that was begun is closed within it.
        stop: Texts that end the reply when free text contains them; they are cut off.
        temperature: 0 takes the most likely id, above 0 samples.
        seed: Of the sampling.
        max_calls: Calls in one reply.
        cancelled: Asked before every step; True stops with `Cancelled`.
    """

    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int = 0
    max_calls: int = 1
    cancelled: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises:
            InputError: A number that is none, or too small or large.
        """
        if not isinstance(self.max_new_tokens, int) or self.max_new_tokens < 1:
            raise InputError(f"max_new_tokens is {self.max_new_tokens!r}: give a whole number, at least 1")
        if not isinstance(self.temperature, (int, float)) or not 0 <= self.temperature < math.inf:
            raise InputError(f"temperature is {self.temperature!r}: give 0 (most likely) or more")
        if not isinstance(self.seed, int) or abs(self.seed) > MAX_SEED:
            raise InputError(f"seed is {self.seed!r}: give a whole number up to {MAX_SEED}")
        if not all(isinstance(text, str) for text in self.stop):
            raise InputError(f"stop is {list(self.stop)!r}: give texts")


DEFAULT_SETTINGS = Settings()


@dataclass
class Reply:
    """A reply being written."""

    prompt: Serialised
    cache: Cache
    grammar: Grammar
    tokens: Tokens  # what the prompt consists of
    fed: list[int] = field(default_factory=list)  # ids behind the prompt whose keys and values are in the cache
    unread: list[int] = field(default_factory=list)  # ids written behind those
    text_ids: list[int] = field(default_factory=list)
    signals: list[SignalEmbeddings] = field(default_factory=list)
    new_tokens: int = 0
    shown: int = 0  # characters of the text that were already yielded
    text: str = ""
    is_cut: bool = False

    def complete(self, max_calls: int) -> bool:
        """Whether nothing more can come: the end, a stop text, no budget, or all calls made."""
        grammar = self.grammar
        return self.is_cut or grammar.state is State.DONE or grammar.budget <= 0 or len(grammar.calls) >= max_calls

    @property
    def has_open_call(self) -> bool:
        """Whether the last call's signals are still to be read."""
        return len(self.signals) < len(self.grammar.calls)

    def ready(self, vocabulary: Vocabulary, stop: Sequence[str]) -> str:
        """The text so far, up to a stop text, without what may still turn out to be one, or half a character."""
        self.text = vocabulary.decode(self.text_ids).lstrip()
        ends = [self.text.index(s) for s in stop if s and s in self.text]
        if ends:
            self.text, self.is_cut = self.text[: min(ends)], True
            return self.text
        held = max((n for s in stop for n in range(1, len(s)) if self.text.endswith(s[:n])), default=0)
        return self.text[: len(self.text) - held].rstrip().rstrip("\ufffd")

    def output(self, vocabulary: Vocabulary) -> PlannerOutput:
        """The finished reply."""
        text = self.text.strip() if self.is_cut else vocabulary.decode(self.text_ids).strip()
        by_itself = self.grammar.state is State.DONE and self.grammar.budget > 0  # else the grammar made it end
        ended = self.is_cut or by_itself or bool(self.grammar.calls)
        calls = tuple(self.grammar.calls)
        return PlannerOutput(
            text, calls, tuple(self.signals), len(self.prompt.ids), self.new_tokens, "stop" if ended else "length"
        )
