"""What an edit command asks for: replace, remove, add, or another background.

The planner is taught the four canonical forms; other planners write as people do, so many more are understood. This
file knows words, not pictures: whether the target is there is for others to find out.
"""

import re
from dataclasses import dataclass
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
    """

    operation: Operation
    target: str | None = None
    new: str | None = None


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
_ARTICLE = re.compile(r"(?:(?:the|a|an|another|my|this|that|these|those) )+", re.IGNORECASE)


def parse_edit(command: str) -> EditCommand:
    """Take an edit command apart.

    The canonical forms are `replace the OLD with a NEW`, `remove the OLD`, `add a NEW` and `change the background to
    COLOUR`. "Paint the red circle blue" is read as replacing the red circle with a blue circle.

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
            return EditCommand(operation, found.get("target"), found.get("new"))
    raise InvocationError(
        f"edit {quoted(words)} is not understood: write 'replace the OLD with a NEW', 'remove the OLD', 'add a NEW' or "
        "'change the background to COLOUR'"
    )
