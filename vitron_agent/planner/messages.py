"""LangChain messages to the planner's turns and back: pictures and videos by handle, calls as tool calls.

Reads exactly what the tools write: a picture or video made by a tool is in its message's artifact, a region that the
user drew in `additional_kwargs["vitron"]["region"]` (or a block's extras). This file does not know the model.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import ValidationError
from torch import Tensor

from vitron_agent.errors import InputError
from vitron_agent.invocation import GroundedPhrase, Invocation, Module
from vitron_agent.media import (
    BLOCK_KINDS,
    NO_SOURCES,
    Block,
    MediaKind,
    MediaSources,
    MediaStore,
    Region,
    RegionKind,
    block_handle,
    carried,
    read_picture,
    read_video,
)
from vitron_agent.planner.processor import RESULT, AssistantTurn, DrawnRegion, Turn, UserTurn
from vitron_agent.planner.stored import Medium, Stored

DRAWN = "drawn"
"""What a call's `region` says for "the region the user drew"."""
_BY_TOOL = {module.tool_name: module for module in Module}
_MASK_SIDE = 64  # a drawn region is rasterised at this size; the region encoder sees 16x16 and the patch grid


def tool_modules(tools: Sequence[Mapping[str, Any]]) -> frozenset[Module]:
    """The modules whose tools are bound, from OpenAI-style tool schemas; other tools are none of the planner's."""
    names = (tool.get("function", tool).get("name") for tool in tools)
    return frozenset(_BY_TOOL[name] for name in names if name in _BY_TOOL)


def tool_arguments(invocation: Invocation) -> dict[str, Any]:
    """A call as the arguments of its tool; what is at its default is left out."""
    arguments: dict[str, Any] = {"command": invocation.command}
    if invocation.background is not None:
        arguments["background"] = invocation.background
    if invocation.layout:
        arguments["layout"] = [{"phrase": e.phrase, "box": list(e.box)} for e in invocation.layout]
    if invocation.uses_drawn_region:
        arguments["region"] = DRAWN
    elif invocation.region is not None:
        arguments["region"] = list(invocation.region.box)
    if invocation.media is not None:
        arguments[_medium(invocation.module)] = invocation.media
    return arguments


def _medium(module: Module) -> str:
    """What the argument is called that names the picture, or video, a call works on."""
    return "video" if MediaKind.VIDEO in module.inputs else "picture"


def invocation_of(name: str, arguments: Mapping[str, Any], seen: "Seen | None" = None) -> Invocation | None:
    """The call that a tool call stands for, or None where it is not one of ours.

    Args:
        name: The tool's name.
        arguments: As `tool_arguments` gives them.
        seen: The conversation's pictures and videos: a call may name one by its handle.
    """
    module = _BY_TOOL.get(name)
    if module is None:
        return None
    region, medium = arguments.get("region"), arguments.get(_medium(module))
    if isinstance(medium, str):
        known = (seen or Seen()).handles[MediaKind.VIDEO if _medium(module) == "video" else MediaKind.IMAGE]
        medium = known.index(medium) + 1 if medium in known else None
    try:
        return Invocation(
            module=module,
            command=str(arguments.get("command", "")),
            background=arguments.get("background"),
            region=Region.from_box(*region) if isinstance(region, (list, tuple)) else None,
            uses_drawn_region=region == DRAWN,
            layout=tuple(GroundedPhrase.model_validate(entry) for entry in arguments.get("layout") or ()),
            media=medium,
        )
    except (ValidationError, TypeError):
        return None


@dataclass
class Seen:
    """The pictures and videos of a conversation so far.

    Attributes:
        handles: Of each kind, in order; "" for one that came as bytes.
        latest: What was shown last.
    """

    handles: dict[MediaKind, list[str]] = field(default_factory=lambda: {MediaKind.IMAGE: [], MediaKind.VIDEO: []})
    latest: MediaKind = MediaKind.IMAGE

    def add(self, kind: MediaKind, handle: str = "") -> None:
        """Take in one more."""
        self.handles[kind].append(handle)
        self.latest = kind


def read_turns(
    messages: Sequence[BaseMessage], store: MediaStore | None, sources: MediaSources = NO_SOURCES
) -> list[Turn]:
    """A conversation as the planner's turns.

    Messages of the user's side that follow each other become one turn; system messages are left out, for the tiny
    planner knows one template only.

    Args:
        messages: The conversation; the last one is a user's or a tool's.
        store: Where handles are looked up; None if there are none.
        sources: Where the pictures and videos of user messages may come from besides.

    Raises:
        InputError: A content block that is no text, picture or video, one that cannot be read, or a bad region.
        DownloadError: An address that cannot be downloaded.
        StorageError: A handle that the store does not have.
    """
    turns: list[Turn] = []
    seen = Seen()
    for message in messages:
        if isinstance(message, SystemMessage):
            continue
        if isinstance(message, AIMessage):
            calls = (invocation_of(call["name"], call["args"], seen) for call in message.tool_calls)
            turns.append(AssistantTurn(str(message.text), tuple(call for call in calls if call is not None)))
            continue
        if isinstance(message, ToolMessage):
            turn = _result_turn(message, store, seen)
        else:
            turn = _user_turn(message, store, sources, seen)
        last = turns[-1] if turns else None
        if isinstance(last, UserTurn):
            turns[-1] = UserTurn(
                f"{last.text}\n{turn.text}",
                last.pictures + turn.pictures,
                last.regions + turn.regions,
                last.videos + turn.videos,
            )
        else:
            turns.append(turn)
    return turns


def _result_turn(message: ToolMessage, store: MediaStore | None, seen: Seen) -> UserTurn:
    """A tool's observation; new pictures and videos come with it.

    A tool of ours names one in its artifact; any other may have them in its content, by handle or as bytes. What cannot
    be read of another application's content stays its own.
    """
    text = str(message.text)
    text = text if text.startswith(RESULT.strip()) else f"{RESULT}{text}"
    artifact = message.artifact if message.status == "success" and isinstance(message.artifact, dict) else {}
    block = {"file_id": artifact.get("uri")}
    kind = artifact.get("kind") if block_handle(block) else None  # else another application's, which may mean anything
    if kind == MediaKind.IMAGE.value:
        return UserTurn(text, (_read(block, MediaKind.IMAGE, store, NO_SOURCES, seen),))
    if kind == MediaKind.VIDEO.value:
        return UserTurn(text, videos=(_read(block, MediaKind.VIDEO, store, NO_SOURCES, seen),))
    content = message.content if message.status == "success" and isinstance(message.content, list) else []
    blocks = [(medium, found) for found in content if isinstance(found, dict) and (medium := carried(found))]
    shown: dict[MediaKind, list[Medium]] = {MediaKind.IMAGE: [], MediaKind.VIDEO: []}
    for medium, found in blocks:
        shown[medium].append(_read(found, medium, store, NO_SOURCES, seen))
    said = f"{RESULT}done." if blocks and not message.text.strip() else text
    return UserTurn(said, tuple(shown[MediaKind.IMAGE]), videos=tuple(shown[MediaKind.VIDEO]))


def _user_turn(message: BaseMessage, store: MediaStore | None, sources: MediaSources, seen: Seen) -> UserTurn:
    """What the user said, showed and drew."""
    content = message.content if isinstance(message.content, list) else [message.content]
    texts: list[str] = []
    shown: dict[MediaKind, list[Medium]] = {MediaKind.IMAGE: [], MediaKind.VIDEO: []}
    drawn = _region_in(message.additional_kwargs.get("vitron")) if isinstance(message, HumanMessage) else None
    for block in content:
        if isinstance(block, str) or block.get("type") == "text":
            texts.append(block if isinstance(block, str) else str(block.get("text", "")))
            continue
        kind = BLOCK_KINDS.get(str(block.get("type")))
        if kind is None:
            said = str(block.get("type"))[:40]
            raise InputError(f"content of type {said!r} cannot be read: send text, pictures and videos")
        shown[kind].append(_read(block, kind, store, sources, seen))
        drawn = drawn or _region_in(block.get("extras"))
    regions: tuple[DrawnRegion, ...] = ()
    if drawn:
        number, on_video = len(seen.handles[seen.latest]), seen.latest is MediaKind.VIDEO
        regions = (DrawnRegion(_mask(drawn, store), number or None, on_video),)
    return UserTurn("\n".join(texts), tuple(shown[MediaKind.IMAGE]), regions, tuple(shown[MediaKind.VIDEO]))


def _region_in(notes: Any) -> Any:
    """The region among a message's or a block's extra data, in which its sender may have written anything."""
    return notes.get("region") if isinstance(notes, dict) else None


def _read(block: Block, kind: MediaKind, store: MediaStore | None, sources: MediaSources, seen: Seen) -> Medium:
    """The picture or video of a block; what the store has is looked up, and read only when it is looked at."""
    handle = block_handle(block)
    medium: Medium
    if handle and store is not None and store.ref(handle).kind is kind:
        medium = Stored(handle, kind, store)
    elif kind is MediaKind.VIDEO:
        medium = read_video(block, store, sources)[0]
    else:
        medium = read_picture(block, store, sources)
    seen.add(kind, handle or "")
    return medium


def _mask(drawn: object, store: MediaStore | None) -> Tensor:
    """Pixels of a drawn region, bool (H, W)."""
    try:
        region = Region.model_validate(json.loads(drawn) if isinstance(drawn, str) else drawn)
    except (ValidationError, ValueError) as error:
        raise InputError("the drawn region cannot be read: draw it again") from error
    if region.kind is RegionKind.MASK and region.mask is not None:
        if store is None:
            raise InputError(f"mask {region.mask[:20]}... cannot be looked up: give the planner a media store")
        return store.get_mask(region.mask)
    return region.to_mask(_MASK_SIDE, _MASK_SIDE)
