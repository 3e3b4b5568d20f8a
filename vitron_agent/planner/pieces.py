"""Which pieces of a vocabulary can stand where: tables behind the grammar, and prefixes of boxes and layouts.

A box is `(d.dd, d.dd, d.dd, d.dd)` with edges in order; a layout is `phrase: (box), phrase: (box)`. This file judges
text and pieces one at a time; the order of tags is decoding.py's.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor

from vitron_agent.planner.tokenizer import Vocabulary

_FORBIDDEN_IN_PHRASE = frozenset(",:;()[]<>|\n")
_BOX_LENGTH = len("(0.10, 0.20, 0.30, 0.40)")
_BOX_CHARACTERS = frozenset("0123456789., ()")


def box_prefix(text: str) -> bool:
    """Whether text begins (or is) a box `(d.dd, d.dd, d.dd, d.dd)` in [0, 1] whose edges are in order."""
    numbers: list[int] = []
    at = 0
    for corner, lead in enumerate(("(", ", ", ", ", ", ")):
        part = text[at : at + len(lead)]
        if not lead.startswith(part):
            return False
        if len(part) < len(lead):
            return True
        at += len(lead)
        digits = text[at : at + 4]
        low = numbers[corner - 2] + 1 if corner >= 2 else 0
        high = 100 if corner >= 2 else 99
        if not _number_prefix(digits, low, high):
            return False
        if len(digits) < 4:
            return True
        numbers.append(int(digits[0] + digits[2:]))
        at += 4
    return text[at:] in ("", ")")


@lru_cache(maxsize=4096)
def _number_prefix(digits: str, low: int, high: int) -> bool:
    """Whether `digits` begin a number with two decimals that is `low` to `high` hundredths."""
    return any(f"{value / 100:.2f}".startswith(digits) for value in range(low, high + 1))


@lru_cache(maxsize=8192)
def layout_prefix(text: str) -> bool:
    """Whether text begins a layout: `phrase: (box), phrase: (box)`."""
    while True:
        phrase, colon, rest = text.partition(":")
        if set(phrase) & _FORBIDDEN_IN_PHRASE or phrase.startswith(" "):
            return False
        if not colon:
            return True
        if not phrase.strip():
            return False
        if not " ".startswith(rest[:1]) or not box_prefix(rest[1 : 1 + _BOX_LENGTH]):
            return False
        behind = rest[1 + _BOX_LENGTH :]
        if not ", ".startswith(behind[:2]):
            return False
        if len(behind) <= 2:
            return True
        text = behind[2:]


def untaken(command: str, taken: Iterable[str]) -> str:
    """A command in which every phrase that a layout holds already is blotted out, once for each time it is held."""
    for phrase in taken:
        command = re.sub(rf"(?<!\w){re.escape(phrase)}(?!\w)", "|" * len(phrase), command, count=1)
    return command


def phrase_ends(command: str, text: str) -> tuple[list[str], bool]:
    """How a phrase that begins with `text` may go on, if phrases are runs of a command's words (as GLIGEN's are).

    Args:
        command: The caption, what is taken blotted out.
        text: The phrase so far, without leading blanks.

    Returns:
        What follows `text` in the command, for each place where it stands; and whether the phrase may end here.
    """
    starts = [match.start() for match in re.finditer(rf"(?<![\w|]){re.escape(text)}", command)]
    rests = [re.split(r"[|,:;()\[\]<>\n]", command[start + len(text) :], maxsplit=1)[0] for start in starts]
    return rests, bool(text) and any(not rest[:1].isalnum() for rest in rests)


class TokenTable:
    """What the machine must know about a vocabulary, worked out once."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Sort the pieces by what they can be part of."""
        pieces = vocabulary.pieces
        self.vocabulary = vocabulary
        self.size = len(pieces)
        self.pieces = pieces
        self._longest = max(map(len, pieces))
        self._ids: dict[str, list[int]] = {}
        for i, piece in enumerate(pieces):
            self._ids.setdefault(piece, []).append(i)
        bytes_ = vocabulary.byte_values
        self.special = {i for i, piece in enumerate(pieces) if not piece and i not in bytes_}
        blunt = {i for i, value in bytes_.items() if value >= 128}  # parts of longer characters; ASCII has pieces
        self.text = self.mask(i for i, p in enumerate(pieces) if (p and "<" not in p) or i in blunt)
        self.command = self.mask(i for i, p in enumerate(pieces) if p and not set(p) & {"<", ">", "\n"} or i in blunt)
        self.phrase = self.mask(i for i, p in enumerate(pieces) if p and not set(p) & _FORBIDDEN_IN_PHRASE)
        self.begins_word = self.mask(i for i, p in enumerate(pieces) if p[:1] == " " and p[1:].isalnum())
        self.words = self.mask(i for i, p in enumerate(pieces) if p.isalnum() and p.isascii())
        self.structural = [i for i, p in enumerate(pieces) if p and set(p) & _FORBIDDEN_IN_PHRASE and "<" not in p]
        self.box = [i for i, p in enumerate(pieces) if p and set(p) <= _BOX_CHARACTERS]
        self.blank = vocabulary.encode(" ")[0]

    def mask(self, ids: Iterable[int]) -> Tensor:
        """Bool (V,), True at `ids`."""
        allowed = torch.zeros(self.size, dtype=torch.bool)
        allowed[list(ids)] = True
        return allowed

    def beginnings(self, text: str) -> list[int]:
        """Ids of the pieces that a text can begin with."""
        ends = range(1, min(len(text), self._longest) + 1)
        return [i for end in ends for i in self._ids.get(text[:end], ())]
