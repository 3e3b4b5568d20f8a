"""The noise of real typing: any case, lost articles and stops, slips of the fingers."""

import random
import re

from vitron_agent.shapes.language import REGION_MARK

_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "j": "hk",
    "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o", "q": "w", "r": "et", "s": "ad", "t": "ry",
    "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x",
}  # fmt: skip


def misspell(word: str, rng: random.Random) -> str:
    """One slip of the fingers inside a word of at least four letters: swap, drop, double or hit a neighbour key."""
    if len(word) < 4 or not word.isalpha():
        return word
    i = rng.randrange(1, len(word) - 2)
    slip = rng.random()
    if slip < 0.4:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if slip < 0.65:
        return word[:i] + word[i + 1 :]
    if slip < 0.85:
        return word[:i] + word[i] + word[i:]
    return word[:i] + rng.choice(_NEIGHBOURS.get(word[i].lower(), word[i])) + word[i + 1 :]


_ARTICLE = re.compile(r"\b(?:a|an|the) (?=\w)")
_SHORT = {"please": ("pls", "plz"), "picture": ("pic",), "you": ("u",), "background": ("bg", "back ground")}


def roughen(text: str, rng: random.Random, question: bool = False) -> str:
    """Type a request the way people do: any case, stops or none, now and then a lost article or a slip.

    Args:
        text: The tidy request; every `REGION_MARK` in it survives.
        rng: Source of randomness.
        question: Whether a question mark may end it.
    """
    body = text.rstrip(" .!?;,")
    end = text[len(body) :].strip()
    if rng.random() < 0.06:
        body = _ARTICLE.sub("", body)
    if rng.random() < 0.04:
        body = " ".join(rng.choice(_SHORT[w]) if w in _SHORT else w for w in body.split(" "))
    if rng.random() < 0.07:
        words = body.split(" ")
        i = rng.randrange(len(words))
        words[i] = misspell(words[i], rng)
        body = " ".join(words)
    if rng.random() < 0.05:
        body = body.replace(",", "").replace("'", "")
    body = _case(body, rng)
    if question or end.startswith("?"):
        end = "?" if rng.random() < 0.72 else ""
    else:
        end = rng.choice((".", ".", "", "", "", "!" if rng.random() < 0.4 else ""))
    return body if body.endswith(REGION_MARK) else body + end


def _case(text: str, rng: random.Random) -> str:
    """Choose the letter case: as it is, a capital first, all small, or (rarely) all capitals."""
    style = rng.random()
    if style < 0.5:
        return text[:1].upper() + text[1:]
    if style < 0.7:
        return text.lower()
    if style < 0.72:
        return text.upper().replace(REGION_MARK.upper(), REGION_MARK)
    return text
