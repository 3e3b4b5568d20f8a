"""The planner's words: a Llama tokenizer of our own, with the template's tags and the signal tokens as whole tokens.

Pieces are learned by byte-pair encoding with shares ("0.37") or single digits and byte fallback, so every text can be
written. This file does not know what a conversation looks like (processor.py).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import AddedToken, LlamaTokenizer, PreTrainedTokenizerBase

from vitron_agent.errors import is_text
from vitron_agent.invocation import Module

TAGS = (
    "<pad>", "<image>", "<objs>",
    "<module>", "</module>", "<instruction>", "</instruction>", "<region>", "</region>", "<media>", "</media>",
)  # fmt: skip
_METASPACE = "▁"
_REMEMBERED = 1024  # pieces of text whose ids are kept
_WORDS = Regex(r"▁?[01]\.\d\d|▁?\d|▁?[\p{L}']+|▁?[^\s▁\p{L}\d]|▁|\s")
"""What pieces may span: a share with two decimals as boxes hold them ("0.37"), one digit, one word, one other
character. A side of a box in one piece: boxes are half as long, and no side is begun that its first digit spoils."""


_SHARES = [f"{n / 100:.2f} {n / 100:.2f}" for n in range(101)] * 500
"""Written often enough to be learned first."""


def signal_names(per_module: int, shared: int) -> tuple[str, ...]:
    """Names of all signal tokens: `per_module` for each of the seven modules, then the shared ones."""
    own = (f"<signal_{module.letter}_{i}>" for module in Module for i in range(per_module))
    return (*own, *(f"<signal_s_{i}>" for i in range(shared)))


def train_tokenizer(texts: Iterable[str], size: int, per_module: int = 4, shared: int = 4) -> LlamaTokenizer:
    """Learn pieces from texts; every share with two decimals becomes a piece, with and without a blank before it.

    Args:
        texts: Plain text; tags in it are left out of the learning by the caller.
        size: Pieces altogether, without tags and signal tokens.
        per_module: Signal tokens per module.
        shared: Signal tokens that all modules share.
    """
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    learner = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement=_METASPACE, prepend_scheme="never", split=True),
            pre_tokenizers.Split(_WORDS, behavior="isolated"),
        ]
    )
    alphabet = [_METASPACE, "\n", *(chr(code) for code in range(33, 127))]
    learner.train_from_iterator(
        chain(_SHARES, texts),
        trainers.BpeTrainer(vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    learned = json.loads(learner.to_str())["model"]
    tokenizer = LlamaTokenizer(
        vocab=learned["vocab"], merges=[tuple(pair) for pair in learned["merges"]], add_bos_token=False
    )
    names = (*TAGS, *signal_names(per_module, shared))
    tokenizer.add_special_tokens(
        {
            "pad_token": "<pad>",
            "additional_special_tokens": [AddedToken(name, normalized=False, special=True) for name in names],
        }
    )
    return tokenizer


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer and what the planner must know about its pieces.

    Attributes:
        tokenizer: A Llama tokenizer with the tags as added tokens.
        per_module: Signal tokens per module.
        shared: Signal tokens that all modules share.
    """

    tokenizer: PreTrainedTokenizerBase
    per_module: int
    shared: int

    def id(self, name: str) -> int:
        """Id of a special token.

        Raises:
            KeyError: It is not in the vocabulary.
        """
        found = self.tokenizer.convert_tokens_to_ids(name)
        if found is None or found == self.tokenizer.unk_token_id:
            raise KeyError(f"the tokenizer has no token {name!r}: it does not belong to this planner")
        return int(found)

    @cached_property
    def tags(self) -> dict[str, int]:
        """Ids of the template's tags and placeholders by name."""
        return {name: self.id(name) for name in TAGS}

    @cached_property
    def eos(self) -> int:
        """Id of `</s>`."""
        return self.id("</s>")

    def signals(self, module: Module) -> list[int]:
        """Ids of a module's forced run: its own tokens, then the shared ones (paper: v = [vp; vs])."""
        own = [self.id(f"<signal_{module.letter}_{i}>") for i in range(self.per_module)]
        return own + [self.id(f"<signal_s_{i}>") for i in range(self.shared)]

    def encode(self, text: str) -> list[int]:
        """Ids of a piece of text as it stands inside a longer one.

        A Llama tokenizer puts a blank before text that stands at the very beginning; behind a special token it does
        not. So a special token is put before it and taken off again. What was encoded lately is remembered: every turn
        of a conversation is written down again with each new one.
        """
        return list(self._encoded(text if is_text(text) else _whole(text)))

    @cached_property
    def _encoded(self) -> Callable[[str], tuple[int, ...]]:
        def encoded(text: str) -> tuple[int, ...]:
            return tuple(self.tokenizer("</s>" + text, add_special_tokens=False).input_ids[1:])

        return lru_cache(maxsize=_REMEMBERED)(encoded)

    @cached_property
    def pieces(self) -> list[str]:
        """What each id writes: text with blanks, "" for special tokens and for single bytes of longer characters."""
        names = self.tokenizer.convert_ids_to_tokens(list(range(len(self.tokenizer))))
        special = {*self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder}
        return ["" if i in special or _is_byte(name) else name.replace(_METASPACE, " ") for i, name in enumerate(names)]

    @cached_property
    def byte_values(self) -> dict[int, int]:
        """The 256 byte pieces: id -> byte."""
        names = self.tokenizer.convert_ids_to_tokens(list(range(len(self.tokenizer))))
        return {i: int(name[3:5], 16) for i, name in enumerate(names) if _is_byte(name)}

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, special tokens left out, the blank at the start kept; bytes that are no text become U+FFFD."""
        out: list[str] = []
        pending: list[int] = []
        for i in [*ids, -1]:
            if i in self.byte_values:
                pending.append(self.byte_values[i])
                continue
            if pending:
                # one U+FFFD per byte that is no text; what is text stays, so that streamed pieces never change later
                text = bytes(pending).decode("utf-8", "surrogateescape")
                out.append("".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in text))
                pending = []
            if i >= 0:
                out.append(self.pieces[i])
        return "".join(out)


def _whole(text: str) -> str:
    """A text whose half characters (lone surrogates) are U+FFFD: the tokenizer takes no others."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_byte(name: str) -> bool:
    return len(name) == 6 and name.startswith("<0x") and name.endswith(">")
