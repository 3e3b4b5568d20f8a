"""Takes a planner's reply apart: text for the user, calls, and a named problem for each call that is not understood.

Accepts the template of the release, of the paper and of the technical report, in any case and spacing, closed or not,
and the neighbours' JSON (`neighbours.py`). Two rules: nothing is misread in silence, and no tag or special token is
left in the text. Only the template's own tags are tags; any other `<` is prose. This file does not know who runs calls.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import ValidationError

from vitron_agent.errors import InvocationError, first_message, quoted
from vitron_agent.invocation.boxes import RegionText, read_region
from vitron_agent.invocation.neighbours import JsonCall, read_json_calls
from vitron_agent.invocation.tags import DRAWN, SPECIAL, TAG
from vitron_agent.invocation.types import Invocation, Module, PlannerReply
from vitron_agent.invocation.vocabulary import find_module, split_task
from vitron_agent.media import Box, Region

DRAWN_COMMAND = "the marked region"  # what "segmentation: <objs>" asks for, in words

_MEDIA = re.compile(r"(?:(?:picture|image|video|no\.?|#)\s*){0,2}(\d{1,6})", re.IGNORECASE | re.ASCII)


@dataclass
class _Call:
    """The raw parts of one call, from its module tag to the next."""

    module: str | None
    instructions: list[str] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        """The call as it was written, without the prose between its tags."""
        return " ".join(self.sources)

    def add(self, name: str, content: str) -> None:
        """File the content of a tag."""
        {"instruction": self.instructions, "region": self.regions, "media": self.media}[name].append(content)


@dataclass(frozen=True)
class _Element:
    """A tag with its content, or the prose between two.

    Attributes:
        name: of the tag, None for prose.
        content: the prose, or what stands in the tag; None for a closing tag that closes nothing.
        source: the tag as it was written.
        is_closed: the tag is opened and closed as a pair.
    """

    name: str | None
    content: str | None
    source: str
    is_closed: bool = True


def parse_reply(reply: str, size: tuple[int, int] | None = None) -> PlannerReply:
    """Take a reply apart. Never raises: what is wrong with a call stands in `problems`.

    Args:
        reply: what the planner wrote, special tokens and all.
        size: (width, height) of the picture, to understand boxes in pixels; without it they are a problem.
    """
    text, json_calls = read_json_calls(SPECIAL.sub("", reply))
    calls, text, repairs = _split(text)
    calls += [_from_json(call) for call in json_calls]
    invocations: list[Invocation] = []
    problems: list[InvocationError] = []
    for call in calls:
        try:
            invocations.append(_understand(call, size, repairs))
        except InvocationError as error:
            problems.append(InvocationError(str(error), source=call.source, region=_saved_box(call, size)))
    return PlannerReply(text, tuple(invocations), tuple(problems), tuple(repairs))


def _elements(text: str) -> Iterator[_Element]:
    """Cut a reply into prose and tags. A tag that is not closed ends where the next begins."""
    position = 0
    while opening := TAG.search(text, position):
        yield _Element(None, text[position : opening.start()], "")
        closes, name = opening.group(1), opening.group(2).lower()
        position = opening.end()
        if closes:  # nothing was open: the tag goes, the text stays
            yield _Element(name, None, opening.group(), is_closed=False)
            continue
        end = TAG.search(text, position)
        content = text[position : end.start() if end else len(text)]
        is_closed = end is not None and bool(end.group(1)) and end.group(2).lower() == name
        position = end.end() if end and end.group(1) else position + len(content)
        yield _Element(name, content, text[opening.start() : position], is_closed)
    yield _Element(None, text[position:], "")


def _split(text: str) -> tuple[list[_Call], str, list[str]]:
    """Sort the elements of a reply into calls, prose and repairs."""
    calls: list[_Call] = []
    prose: list[str] = []
    repairs: list[str] = []
    for element in _elements(text):
        if element.name is None:
            prose.append(element.content or "")
            continue
        if not element.is_closed:
            repairs.append(f"tag {element.source[:60]!r} was not opened and closed as a pair")
        if element.content is None:
            continue
        if element.name == "module":
            calls.append(_Call(element.content))
        else:
            if not calls:
                calls.append(_Call(None))
            calls[-1].add(element.name, element.content)
        calls[-1].sources.append(element.source.strip())
    pieces = (DRAWN.sub("", part).strip() for part in prose)
    return calls, " ".join(piece for piece in pieces if piece), repairs


def _from_json(call: JsonCall) -> _Call:
    regions = [call.region] if call.region else []
    instructions = [call.command] if call.command else []
    return _Call(call.module, instructions, regions, sources=[call.source])


def _understand(call: _Call, size: tuple[int, int] | None, repairs: list[str]) -> Invocation:
    """Make an invocation of a raw call, noting what had to be repaired."""
    if call.module is None:
        raise InvocationError(f"{quoted(call.source)} belongs to no module: write <module>B</module> before it")
    module = find_module(call.module)
    if module is None:
        raise InvocationError(f"module {quoted(call.module)} is not one of the seven: write a letter from A to G")
    command, background, is_drawn = _commands(call, module, repairs)
    where = _where(call, module, size, repairs)
    if is_drawn and (where.region or where.layout):
        repairs.append(f"region {quoted(call.regions[0])} ignored: the user's own drawing (<objs>) is exact")
        where = RegionText(is_drawn=True)
    try:
        return Invocation(
            module=module,
            command=command,
            background=background,
            region=where.region,
            uses_drawn_region=is_drawn or where.is_drawn,
            layout=where.layout,
            media=_media(call),
        )
    except ValidationError as error:
        raise InvocationError(first_message(error)) from None


def _commands(call: _Call, module: Module, repairs: list[str]) -> tuple[str, str | None, bool]:
    """Read the instructions: the command, video editing's background command, and whether `<objs>` stood in them."""
    named = f"module {module.letter} ({module.title})"
    allowed = 2 if module is Module.F else 1
    if not 1 <= len(call.instructions) <= allowed:
        count = len(call.instructions) or "no"
        raise InvocationError(f"{named} has {count} instructions, it takes {allowed}: write one <instruction> each")
    tasks: list[str | None] = []
    commands: list[str] = []
    is_drawn = False
    for instruction in call.instructions:
        task, command = split_task(instruction, module)
        rest, drawn = DRAWN.subn(" ", command)
        is_drawn = is_drawn or bool(drawn)
        command = rest.strip() or (DRAWN_COMMAND if drawn else "")
        if not command:
            raise InvocationError(f"{named} has an empty instruction: say what to do, '{module.task}: ...'")
        if task and find_module(task) not in (None, module):
            repairs.append(f"task word {task!r} read as a command of {named}")
        tasks.append(task)
        commands.append(command)
    if module is not Module.F:
        return commands[0], None, is_drawn
    if len(commands) == 1:
        return ("", commands[0], is_drawn) if tasks == ["background"] else (commands[0], None, is_drawn)
    if tasks[0] == "background" or tasks[1] == "foreground":
        tasks.reverse()
        commands.reverse()
    if tasks[0] == "background" or tasks[1] == "foreground":
        raise InvocationError(f"{named} has two {tasks[0]} commands: write one foreground: and one background: command")
    return commands[0], commands[1], is_drawn


def _where(call: _Call, module: Module, size: tuple[int, int] | None, repairs: list[str]) -> RegionText:
    """Read the region tags: a box or the drawing for most modules, a layout for those that start from nothing."""
    if not call.regions:
        return RegionText()
    if len(call.regions) > 1 and not module.takes_layout:
        raise InvocationError(f"module {module.letter} takes one region, not {len(call.regions)}: write one <region>")
    where = read_region(", ".join(call.regions), size)
    repairs.extend(where.repairs)
    if where.layout and not module.takes_layout:
        if len(where.layout) > 1:
            raise InvocationError(f"module {module.letter} takes one box, not {len(where.layout)}: write one")
        entry = where.layout[0]
        repairs.append(f"phrase {entry.phrase!r} before the box ignored: module {module.letter} takes a box alone")
        return RegionText(Region.from_box(*entry.box))
    return where


def _media(call: _Call) -> int | None:
    """Read the number of the picture a call is about."""
    if not call.media:
        return None
    match = _MEDIA.fullmatch(call.media[0].strip())
    if match is None or len(call.media) > 1 or int(match.group(1)) < 1:
        shown = quoted(", ".join(call.media))
        raise InvocationError(f"media {shown} is not the number of one picture: write <media>1</media>, counted from 1")
    return int(match.group(1))


def _saved_box(call: _Call, size: tuple[int, int] | None) -> Box | None:
    """The box of a call that is otherwise broken, so that a repaired one need not find it again."""
    try:
        region = read_region(call.regions[0], size).region if call.regions else None
    except InvocationError:
        return None
    return region.box if region else None
