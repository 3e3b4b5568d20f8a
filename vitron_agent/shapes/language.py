"""How people word their requests: templates with slots, and a held-out split.

The wordings are data: phrasings/*.txt. A line `[name]` begins a family, `#` a comment; any other line is a template:

    ~ 3x draw (me|) {scene} on {ground}

`~` marks a held-out template (never used in training), `3x` repeats it in the draw, `(a|b|)` picks one alternative, and
`{name}` is filled by a given slot, or by a template of the family of that name. Templates are identified by their text,
so growing a family changes nothing else. This file knows the mechanics only, and nothing of scenes or pictures.
"""

import random
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal
from zlib import crc32

Split = Literal["train", "heldout"]
Node = str | tuple[str, ...] | list["tuple[Node, ...]"]
"""Literal text, a slot (a tuple with its name), or alternatives (a list of node sequences)."""

REGION_MARK = "<objs>"
_HELD_SHARE, _HELD_INSIDE = 0.6, 0.2
_LINE = re.compile(r"(?P<held>~)?\s*(?:(?P<weight>\d+)x )?(?P<text>.+)")
_VOWEL = re.compile(r"\b([Aa]) (?=(?!one\b|uni|use|eu)[aeiouAEIOU])")
_NO_VOWEL = re.compile(r"\b([Aa])n (?=[^aeiouAEIOU\W])")
_ITS = re.compile(r"\bit's(?= colou?r)")
_SPACES = re.compile(r"[ \t]+")
_BEFORE_STOP = re.compile(r" +(?=[,.;:?!])")
_DOUBLE_STOP = re.compile(r"([,;:])(?=[,.;:?!])|(?<=[.?!])[,;]")


@dataclass(frozen=True)
class Template:
    """One way to say something.

    Attributes:
        id: Family and checksum of the text: stable when the family grows.
        text: The line without its marks.
        heldout: Kept out of training by construction.
        weight: How often it stands in the draw.
        nodes: The parsed line.
    """

    id: str
    text: str
    heldout: bool
    weight: int
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Family:
    """The templates of one purpose, already split.

    Attributes:
        templates: All of them.
        train: Those that training may use, repeated by weight.
        held: Those kept out, repeated by weight (empty for plain word lists).
        plain: Of those for training the ones said most: at least half as often as the first of them.
    """

    templates: tuple[Template, ...]
    train: tuple[Template, ...]
    held: tuple[Template, ...]
    plain: tuple[Template, ...]


def _parse(text: str, at: int = 0, inside: bool = False) -> tuple[list[tuple[Node, ...]], int]:
    """Parse alternatives from `at` up to the closing bracket (or the end); return them and the place behind."""
    options: list[tuple[Node, ...]] = []
    nodes: list[Node] = []
    while at < len(text):
        char = text[at]
        if char == "(":
            inner, at = _parse(text, at + 1, True)
            nodes.append(inner)
        elif char == ")" and inside:
            return [*options, tuple(nodes)], at + 1
        elif char == "|" and inside:
            options.append(tuple(nodes))
            nodes, at = [], at + 1
        elif char == "{":
            end = text.index("}", at)
            nodes.append((text[at + 1 : end],))
            at = end + 1
        else:
            end = next((i for i in range(at + 1, len(text)) if text[i] in "(){|"), len(text))
            nodes.append(text[at:end])
            at = end
    if inside:
        raise ValueError(f"the template {text!r} has an open bracket: close it")
    return [*options, tuple(nodes)], at


def read_template(family: str, line: str) -> Template:
    """Read one line of a family.

    Args:
        family: Its name, which becomes part of the id.
        line: The line with its marks.

    Raises:
        ValueError: The line is empty, or a bracket is not closed.
    """
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError(f"the family {family!r} has a line that is no template: {line!r}")
    text = match["text"]
    nodes = _parse(text)[0][0]
    name = f"{family}:{crc32(text.encode()):08x}"
    return Template(name, text, match["held"] is not None, int(match["weight"] or 1), nodes)


def read_families(text: str) -> dict[str, tuple[Template, ...]]:
    """Read a file of wordings (see the top of this file).

    Raises:
        ValueError: A line is no template, or stands before the first family.
    """
    families: dict[str, list[Template]] = {}
    name = None
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            name = line[1:-1]
            families.setdefault(name, [])
        elif name is None:
            raise ValueError(f"the template {line!r} stands before any [family]: put it below one")
        else:
            families[name].append(read_template(name, line))
    return {name: tuple(templates) for name, templates in families.items()}


@cache
def phrasebook() -> dict[str, Family]:
    """All families of phrasings/*.txt, parsed once."""
    book = {}
    folder = files("vitron_agent.shapes") / "phrasings"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        for name, templates in read_families(file.read_text(encoding="utf-8")).items():
            train = tuple(t for t in templates if not t.heldout for _ in range(t.weight))
            held = tuple(t for t in templates if t.heldout for _ in range(t.weight))
            most = max((t.weight for t in train), default=0)
            book[name] = Family(templates, train, held, tuple(t for t in train if 2 * t.weight >= most))
    return book


@cache
def heldout_ids() -> frozenset[str]:
    """The ids of all templates that training never uses."""
    return frozenset(t.id for family in phrasebook().values() for t in family.templates if t.heldout)


@dataclass
class Writer:
    """Writes with one source of randomness, on one side of the split, and notes which templates it used.

    In the held-out split a family that is asked for by name uses a held-out template, where it has one, in
    `_HELD_SHARE` of the cases, and a family inside a slot in `_HELD_INSIDE` of them, so that sentences differ in frame,
    in filling, or in both.

    Attributes:
        rng: Source of randomness.
        split: "train" or "heldout".
        used: Ids of the templates used so far.
        plain: Whether only the most common wordings are used (in training): "segment the star".
    """

    rng: random.Random
    split: Split
    used: list[str] = field(default_factory=list)
    plain: bool = False

    def say(self, family: str, **slots: str) -> str:
        """Word one template of a family.

        Args:
            family: Which family.
            **slots: Text for its slots; what is not given is worded by the family of that name.

        Raises:
            KeyError: Neither a slot nor a family of that name exists.
        """
        return tidy(self._family(family, slots, top=True))

    def word(self, family: str) -> str:
        """Word one template of a plain word list, such as "word.red"."""
        return self._family(family, {}, top=False)

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return self.rng.random() < share

    def _family(self, name: str, slots: dict[str, str], top: bool) -> str:
        family = phrasebook()[name]
        pool = family.plain if self.plain else family.train
        if self.split == "heldout" and family.held and self.rng.random() < (_HELD_SHARE if top else _HELD_INSIDE):
            pool = family.held
        template = pool[int(self.rng.random() * len(pool))]
        if len(family.templates) > 1:
            self.used.append(template.id)
        return self._expand(template.nodes, slots)

    def _expand(self, nodes: tuple[Node, ...], slots: dict[str, str]) -> str:
        parts = []
        for node in nodes:
            if isinstance(node, str):
                parts.append(node)
            elif isinstance(node, tuple):
                name = node[0]
                parts.append(slots[name] if name in slots else self._family(name, slots, top=False))
            else:
                parts.append(self._expand(node[int(self.rng.random() * len(node))], slots))
        return "".join(parts)


def tidy(text: str) -> str:
    """Repair what filling slots leaves behind: double blanks, blanks before stops, "a orange"."""
    text = _SPACES.sub(" ", text).strip()
    text = _DOUBLE_STOP.sub("", _BEFORE_STOP.sub("", text))
    text = _ITS.sub("its", text)
    return _NO_VOWEL.sub(r"\1 ", _VOWEL.sub(r"\1n ", text))


_IRREGULAR = {"thing": "things", "one": "ones"}


def plural(noun: str) -> str:
    """The plural of a shape's name: "boxes", "crosses", "discs"."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    return noun + ("es" if noun.endswith(("s", "x", "sh", "ch")) else "s")
