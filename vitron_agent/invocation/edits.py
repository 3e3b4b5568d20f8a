"""What an edit command asks for: replace, remove, add, or another background.

The planner is taught the four canonical forms; other planners write as people do, so many more are understood. This
file knows words, not pictures: whether the target is there is for others to find out.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

from vitron_agent.errors import InvocationError, quoted

Operation = Literal["replace", "remove", "add", "background"]


@dataclass(frozen=True)
class EditCommand:
    """An edit command taken apart.

    Attributes:
        operation: what is done.
        target: what is replaced or removed, without its article; None for the other operations.
        new: what comes instead, is added, or is the new background, without its article; None for "remove".
        place: where it is added: "left", "top", "bottom right" and so on, or "centre"; None where that is left open.
        beside: how it stands to others where it is added, and these without their articles: one of `RELATIONS` to one
            object, or "between" two.
    """

    operation: Operation
    target: str | None = None
    new: str | None = None
    place: str | None = None
    beside: tuple[str, tuple[str, ...]] | None = None


RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
"""How one object may stand to another: the step from the other to it, x right, y down."""


_PUT = r"(?:change|make|set|turn|paint|colou?r|recolou?r|switch|replace|swap)"
_BACKGROUND = r"(?:(?:the|its|this) )?background(?: (?:of|in) (?:the|this) \w+)?"
_FORMS: tuple[tuple[Operation, str], ...] = (
    ("background", rf"{_PUT} {_BACKGROUND} (?:(?:in)?to|with|by|be|for) (?P<new>.+)"),
    ("background", rf"{_PUT} {_BACKGROUND} (?P<new>\w+)"),
    ("background", r"(?:put|place) .*?(?:in front of|on|against) (?P<new>.+?) background"),
    ("background", r"background ?: ?(?P<new>.+)"),
    ("remove", r"(?:remove|delete|erase|drop|get rid of|take (?:away|out)|cut out) (?P<target>.+)"),
    ("add", r"(?:add|insert|put|place|draw) (?P<new>.+)"),
    ("replace", r"(?:replace|swap|exchange|substitute) (?P<target>.+?) (?:with|by|for) (?P<new>.+)"),
    ("replace", r"(?:change|turn|make|transform|convert|morph) (?P<target>.+?) (?:in)?to (?P<new>.+)"),
    ("replace", r"(?P<target>.+?) ?(?:->|→|=>) ?(?P<new>.+)"),
    ("replace", r"(?:change|make|turn|paint|colou?r|recolou?r|dye) (?P<target>.+) (?P<adjective>\w+)"),
)
_PATTERNS = [(operation, re.compile(pattern, re.IGNORECASE)) for operation, pattern in _FORMS]
_PLACE = re.compile(
    r"(?P<new>.+?),? (?:on|at|in|to|into|near)(?: the)? "
    r"(?:(?P<y>top|upper|bottom|lower)[ -]?)?(?P<x>left|right|middle|cent(?:re|er))?"
    r"(?: (?:corner|side|edge|half|part))?(?: of (?:the|this|it)(?: (?:picture|image|photo))?)?",
    re.IGNORECASE,
)
_BESIDE = re.compile(
    r"(?P<new>.+?),? (?:(?:to|on|at) the )?"
    r"(?P<word>(?:left|right)(?: hand)?(?: side)? of|(?:directly |just |right )?(?:above|over|below|under|beneath))"
    r" (?P<anchor>.+)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"(?P<new>.+?),? (?:in )?between (?P<first>.+?) and (?P<second>.+)", re.IGNORECASE)
_UP, _DOWN = {"top", "upper"}, {"bottom", "lower"}
_ARTICLE = re.compile(r"(?:(?:the|a|an|another|my|this|that|these|those) )+", re.IGNORECASE)


def parse_edit(command: str) -> EditCommand:
    """Take an edit command apart.

    The canonical forms are `replace the OLD with a NEW`, `remove the OLD`, `add a NEW` (also `at the top left`, or
    `above the OLD`) and `change the background to COLOUR`. "Paint the red circle blue" is read as replacing the red
    circle with a blue circle.

    Raises:
        InvocationError: it is none of the four.
    """
    words = " ".join(command.split()).strip(" .!")
    words = re.sub(r"^(?:please|now|then) |,? please$", "", words, flags=re.IGNORECASE)
    for operation, pattern in _PATTERNS:
        if match := pattern.fullmatch(words):
            found = {name: _ARTICLE.sub("", value, count=1) for name, value in match.groupdict().items() if value}
            if adjective := found.pop("adjective", None):
                found["new"] = f"{adjective} {found['target'].split()[-1]}"
            edit = EditCommand(operation, found.get("target"), found.get("new"))
            return _placed(edit) if operation == "add" else edit
    raise InvocationError(
        f"edit {quoted(words)} is not understood: write 'replace the OLD with a NEW', 'remove the OLD', 'add a NEW' or "
        "'change the background to COLOUR'"
    )


def _placed(edit: EditCommand) -> EditCommand:
    """Take from an addition's words what they say of its place."""
    words = edit.new or ""
    if match := _BETWEEN.fullmatch(words):
        anchors = tuple(_ARTICLE.sub("", match[name], count=1) for name in ("first", "second"))
        return replace(edit, new=match["new"], beside=("between", anchors))
    if match := _BESIDE.fullmatch(words):
        side = match["word"].lower().split()
        word = "above" if side[-1] in ("above", "over") else "below"
        relation = f"{side[0]} of" if side[-1] == "of" else word
        return replace(edit, new=match["new"], beside=(relation, (_ARTICLE.sub("", match["anchor"], count=1),)))
    match = _PLACE.fullmatch(words)
    if match is None or not (match["x"] or match["y"]):
        return edit
    across, down = (match["x"] or "").lower(), (match["y"] or "").lower()
    across = across if across in ("left", "right") else ""
    down = "top" if down in _UP else "bottom" if down in _DOWN else ""
    return replace(edit, new=match["new"], place=f"{down} {across}".strip() or "centre")
