"""Reads facts out of an answer in words: a number, a colour, a shape, a place, yes or no.

Facts are compared, not strings. Knows the small world's vocabulary; it does not know who answered.
"""

import re
from collections import Counter
from dataclasses import dataclass

from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WORD = re.compile(r"[a-z]+|\d+")
_NO = re.compile(r"\b(no|not|none|nope|neither|nothing|cannot|isn|aren|doesn|don|didn|wasn|can)(?:'t|\u2019t)?\b")
_COUNT = re.compile(rf"\b(\d+|{'|'.join(NUMBERS)}|an?|single|no|none)\b")
_WHERE = re.compile(r"\bin (?:picture|video) \d+\b", re.IGNORECASE)
"""Which picture is spoken of: no fact about what it shows."""
_SYNONYMS = {"grey": "gray", "center": "centre", "middle": "centre", "upper": "top", "lower": "bottom", "sandy": "sand"}
_SYNONYMS |= {"grow": "grows", "growing": "grows", "shrink": "shrinks", "shrinking": "shrinks"}
_SYNONYMS |= {f"{way}{end}": way for way in ("up", "down", "left", "right") for end in ("ward", "wards")}
_NAMES = {*COLOURS, *BACKGROUNDS, *SHAPES, "small", "large", "left", "right", "top", "bottom", "centre"}
_NAMES |= {"up", "down", "grows", "shrinks", "still"}
_PLURALS = {f"{shape}s": shape for shape in SHAPES} | {"crosses": "cross"}


@dataclass(frozen=True)
class Answer:
    """What an answer must say; None where nothing is asked.

    Attributes:
        number: A count.
        colour: One of `COLOURS`, and no other colour that the question does not name itself.
        shape: One of `SHAPES`, likewise.
        background: One of `BACKGROUNDS`, likewise.
        place: A place word of `place_of`.
        size: "small" or "large".
        yes: Whether it affirms.
        mentions: Phrases such as "red circle" that must all occur, words next to each other or with one between.
        pattern: A regular expression that must be found, any case.
        must: Words that must all occur; "yes" and "no" stand for the answer's sense, numbers for their value, "3.5%"
            for about as much.
        allowed: With `must`: the words of a right answer. A palette, place, size or motion word that is neither among
            them nor in the question is a wrong statement.
    """

    number: int | None = None
    colour: str | None = None
    shape: str | None = None
    background: str | None = None
    place: str | None = None
    size: str | None = None
    yes: bool | None = None
    mentions: tuple[str, ...] = ()
    pattern: str | None = None
    must: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


def words_of(text: str) -> list[str]:
    """Lower-case words, with plurals and spellings brought to the palette's names."""
    found = (_SYNONYMS.get(word, word) for word in _WORD.findall(text.lower()))
    return [_PLURALS.get(word, word) for word in found]


def number_in(text: str) -> int | None:
    """The first count in a text: digits, number words, "a single", "no"; None if there is none.

    An article counts as one only where no number stands anywhere: "There is a star" is 1.
    """
    found = [match[1] for match in _COUNT.finditer(text.lower())]
    numbers = [word for word in found if word.isdigit() or (word in NUMBERS and word != "one")] or found
    if not numbers:
        return None
    first = numbers[0]
    if first.isdigit():
        return int(first)
    return NUMBERS.index(first) if first in NUMBERS else int(first in ("a", "an", "single"))


def place_in(text: str) -> str | None:
    """The place a text names, in the words of `place_of`; None if there is none, or if it names two rows or columns."""
    words = set(words_of(text))
    rows, columns = words & {"top", "bottom"}, words & {"left", "right"}
    if len(rows) > 1 or len(columns) > 1:
        return None
    sides = " ".join([*rows, *columns])
    return sides or ("centre" if "centre" in words else None)


def affirms(text: str) -> bool:
    """Whether a text says yes: "yes" anywhere, or a statement without a "no" or "not"."""
    words = words_of(text)
    return "yes" in words or not ("no" in words or _NO.search(text.lower()))


def named(text: str, question: str, names: tuple[str, ...]) -> set[str]:
    """The names of a palette that an answer brings up by itself, or all it says if the question named those, too."""
    said = {word for word in words_of(text) if word in names}
    return said - set(words_of(question)) or said


def says(text: str, answer: Answer, question: str = "") -> bool:
    """Whether a text states all the facts that are wanted.

    Args:
        text: What was answered.
        answer: The facts.
        question: What was asked: names in it are not taken for the answer where others are given.
    """
    checks: list[bool] = []
    if answer.pattern is not None:
        checks.append(re.search(answer.pattern, text, re.IGNORECASE) is not None)
    text = _WHERE.sub("", text)
    if answer.number is not None:
        checks.append(number_in(text) == answer.number)
    if answer.colour is not None:
        checks.append(named(text, question, tuple(COLOURS)) == {answer.colour})
    if answer.shape is not None:
        checks.append(named(text, question, SHAPES) == {answer.shape})
    if answer.background is not None:
        checks.append(named(text, question, tuple(BACKGROUNDS)) == {answer.background})
    if answer.place is not None:
        checks.append(place_in(text) == answer.place)
    if answer.size is not None:
        checks.append(named(text, question, ("small", "large")) == {answer.size})
    if answer.yes is not None:
        checks.append(affirms(text) is answer.yes)
    flat = " ".join(words_of(text))
    checks += [re.search(r"\b" + r"(?: \w+)? ".join(p.split()) + r"\b", flat) is not None for p in answer.mentions]
    if answer.must:
        checks.append(_says_all(text, answer, question))
    return bool(text.strip()) and all(checks)


def _says_all(text: str, answer: Answer, question: str) -> bool:
    """Whether all the words that a right answer needs are there, and no other name of the small world."""
    said = Counter(_digits(word) for word in words_of(text))
    needed = Counter(_digits(word) for must in answer.must for word in words_of(must) if "%" not in must)
    if "yes" in needed or "no" in needed:
        if affirms(text) is not ("yes" in needed):
            return False
        needed = Counter({word: n for word, n in needed.items() if word not in ("yes", "no")})
    if needed.pop("not", 0) and affirms(text):
        return False
    known = {_digits(word) for word in (*words_of(" ".join(answer.allowed)), *words_of(question), *needed)}
    foreign = {word for word in said if word in _NAMES} - known
    return needed <= said and not foreign and all(_about(share, text) for share in answer.must if "%" in share)


def _digits(word: str) -> str:
    return str(NUMBERS.index(word)) if word in NUMBERS else word


def _about(share: str, text: str) -> bool:
    """Whether a text names about this share: within 0.6 points or 15% of it."""
    wanted = float(share.rstrip("% "))
    found = [float(value) for value in re.findall(r"(\d+(?:\.\d+)?) ?%", text)]
    return any(abs(value - wanted) <= max(0.6, 0.15 * wanted) for value in found)
