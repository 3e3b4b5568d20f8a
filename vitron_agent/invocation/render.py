"""Writes a call down in the release's form of the template: lower-case tags, one letter, one line.

The parser reads back exactly what is written here; coordinates keep two decimals, so equality holds on that grid.
"""

from vitron_agent.invocation.tags import DRAWN_REGION
from vitron_agent.invocation.types import Invocation
from vitron_agent.media import Box


def render_invocation(invocation: Invocation) -> str:
    """Write a call, such as `<module>B</module> <instruction>segmentation: the red circle</instruction>`."""
    parts = [_tag("module", invocation.module.letter)]
    parts += [_tag("instruction", text) for text in _instructions(invocation)]
    if region := _region(invocation):
        parts.append(_tag("region", region))
    if invocation.media is not None:
        parts.append(_tag("media", str(invocation.media)))
    return " ".join(parts)


def _tag(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _instructions(invocation: Invocation) -> list[str]:
    """One instruction, or for video editing one for each layer (release, `app.py`, module F)."""
    if invocation.background is None:
        return [f"{invocation.module.task}: {invocation.command}"]
    foreground = [f"foreground: {invocation.command}"] if invocation.command else []
    return [*foreground, f"background: {invocation.background}"]


def _region(invocation: Invocation) -> str:
    if invocation.uses_drawn_region:
        return DRAWN_REGION
    if invocation.region is not None:
        frames = invocation.region.frames
        return _box(invocation.region.box, f" | {frames[0]}, {frames[1]}" if frames else "")
    return ", ".join(f"{entry.phrase}: {_box(entry.box)}" for entry in invocation.layout)


def _box(box: Box, span: str = "") -> str:
    """Two decimals; a box thinner than that is widened, for no area would be no region."""
    x1, y1, x2, y2 = (round(value * 100) for value in box)
    x1, y1 = min(x1, 99), min(y1, 99)
    x2, y2 = max(x2, x1 + 1), max(y2, y1 + 1)
    return f"({x1 / 100:.2f}, {y1 / 100:.2f}, {x2 / 100:.2f}, {y2 / 100:.2f}{span})"
