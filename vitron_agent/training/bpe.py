"""Learns a small tokenizer in CLIP's format from phrases: byte-level BPE with `</w>`, begin and end token last."""

import re
from collections import Counter
from collections.abc import Iterable

from transformers import CLIPTokenizer

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
_SUFFIX = "</w>"
_WORDS = re.compile(r"[^\W\d_]+|\d|[^\s\w]+|_")


def _byte_symbols() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in CLIP's order."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in kept]
    return [chr(byte) for byte in kept] + [chr(256 + index) for index in range(len(rest))]


def learn_merges(phrases: Iterable[str], count: int) -> list[tuple[str, str]]:
    """Learn at most `count` merges; pairs seen once stay apart. Text is lower-cased ASCII, as the small world's is."""
    frequency = Counter(word for phrase in phrases for word in _WORDS.findall(phrase.lower()))
    words = {word: [*word[:-1], word[-1] + _SUFFIX] for word in frequency}
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:], strict=False):
                pairs[pair] += frequency[word]
        if not pairs:
            break
        best, seen = min(pairs.items(), key=lambda item: (-item[1], item[0]))
        if seen < 2:
            break
        merges.append(best)
        for word, symbols in words.items():
            words[word] = _merge(symbols, best)
    return merges


def _merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def clip_tokenizer(phrases: Iterable[str], merges: int, context: int) -> CLIPTokenizer:
    """Build a tokenizer that knows every byte and the phrases' frequent words.

    Args:
        phrases: the text to learn from.
        merges: the most merges to learn.
        context: positions of the text encoder, begin and end token included.

    Returns:
        A tokenizer whose end token has the highest id (CLIP's pooling looks for it) and also pads.
    """
    learned = learn_merges(phrases, merges)
    alphabet = _byte_symbols()
    symbols = [*alphabet, *(symbol + _SUFFIX for symbol in alphabet), *("".join(pair) for pair in learned), BEGIN, END]
    vocabulary = {symbol: index for index, symbol in enumerate(dict.fromkeys(symbols))}
    return CLIPTokenizer(vocab=vocabulary, merges=learned, model_max_length=context)
