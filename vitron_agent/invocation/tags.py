"""The marks of the template: its four tags, the drawn region, and the special tokens that no user may see.

Everything else in angle brackets is prose. This file does not know what the marks mean.
"""

import re

DRAWN_REGION = "<objs>"

_FLAGS = re.IGNORECASE | re.ASCII  # ASCII, or the long s of old prints would be a letter of a tag

_ATTRIBUTE = r"""\s+[\w-]+=(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>]+)"""
TAG = re.compile(rf"<\s*(/?)\s*(module|instruction|region|media)(?:{_ATTRIBUTE})*\s*>", _FLAGS)
DRAWN = re.compile(r"<objs\s*/?>", _FLAGS)
# Llama's tokens, our planner's signals (`<signal_B_0>`) and NExT-GPT's; <SP> is named in the release and never used.
SPECIAL = re.compile(
    r"</?s>|<pad>|<unk>|<image>|<video>|</?SP>|<signal_[a-z]+_\d+>|\[(?:IMG|VID|AUD)\d{1,2}\]|<image_\d{5}>", _FLAGS
)


def find_mark(text: str) -> str | None:
    """The first mark in a text, or None: a command must hold none, for it could not be read back."""
    match = TAG.search(text) or DRAWN.search(text) or SPECIAL.search(text)
    return match.group() if match else None
