"""LangChain messages to the planner's turns and back: pictures by handle, calls as tool calls.

Reads exactly what the tools write: a picture made by a tool is in its message's artifact, a region that the user drew
in `additional_kwargs["vitron"]["region"]` (or an image block's extras). This file does not know the model.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import ValidationError
from torch import Tensor

from vitron_agent.errors import InputError
from vitron_agent.invocation import GroundedPhrase, Invocation, Module
from vitron_agent.media import (
    NO_SOURCES,
    MediaSources,
    MediaStore,
    Region,
    RegionKind,
    block_handle,
    read_picture,
)
from vitron_agent.planner.processor import RESULT, AssistantTurn, DrawnRegion, Turn, UserTurn

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
    if invocation.layout:
        arguments["layout"] = [{"phrase": e.phrase, "box": list(e.box)} for e in invocation.layout]
    if invocation.uses_drawn_region:
        arguments["region"] = DRAWN
    elif invocation.region is not None:
        arguments["region"] = list(invocation.region.box)
    if invocation.media is not None:
        arguments["picture"] = invocation.media
    return arguments


def invocation_of(name: str, arguments: Mapping[str, Any], pictures: Sequence[str] = ()) -> Invocation | None:
    """The call that a tool call stands for, or None where it is not one of ours.

    Args:
        name: The tool's name.
        arguments: As `tool_arguments` gives them.
        pictures: Handles of the conversation's pictures: a call may name one by its handle.
    """
    module = _BY_TOOL.get(name)
    region, picture = arguments.get("region"), arguments.get("picture")
    if isinstance(picture, str):
        picture = pictures.index(picture) + 1 if picture in pictures else None
    try:
        return module and Invocation(
            module=module,
            command=str(arguments["command"]),
            region=Region.from_box(*region) if isinstance(region, (list, tuple)) else None,
            uses_drawn_region=region == DRAWN,
            layout=tuple(GroundedPhrase.model_validate(entry) for entry in arguments.get("layout") or ()),
            media=picture,
        )
    except (ValidationError, KeyError, TypeError):
        return None


def read_turns(
    messages: Sequence[BaseMessage], store: MediaStore | None, sources: MediaSources = NO_SOURCES
) -> list[Turn]:
    """A conversation as the planner's turns.

    Messages of the user's side that follow each other become one turn; system messages are left out, for the tiny
    planner knows one template only.

    Args:
        messages: The conversation; the last one is a user's or a tool's.
        store: Where handles are looked up; None if there are only base64 pictures.
        sources: Where the pictures of user messages may come from besides.

    Raises:
        InputError: A content block that is no text or picture, a picture that cannot be read, or a bad region.
        DownloadError: An address that cannot be downloaded.
        StorageError: A handle that the store does not have.
    """
    turns: list[Turn] = []
    handles: list[str] = []
    for message in messages:
        if isinstance(message, SystemMessage):
            continue
        if isinstance(message, AIMessage):
            calls = (invocation_of(call["name"], call["args"], handles) for call in message.tool_calls)
            turns.append(AssistantTurn(str(message.text), tuple(call for call in calls if call is not None)))
            continue
        turn = (
            _result_turn(message, store, handles)
            if isinstance(message, ToolMessage)
            else _user_turn(message, store, sources, handles)
        )
        last = turns[-1] if turns else None
        if isinstance(last, UserTurn):
            turns[-1] = UserTurn(
                f"{last.text}\n{turn.text}", last.pictures + turn.pictures, last.regions + turn.regions
            )
        else:
            turns.append(turn)
    return turns


def _result_turn(message: ToolMessage, store: MediaStore | None, handles: list[str]) -> UserTurn:
    """A tool's observation; a new picture comes with it."""
    text = str(message.text)
    text = text if text.startswith(RESULT.strip()) else f"{RESULT}{text}"
    artifact = message.artifact if message.status == "success" else None
    if isinstance(artifact, dict) and artifact.get("kind") == "image":
        handles.append(artifact["uri"])
        return UserTurn(text, (read_picture({"file_id": artifact["uri"]}, store),))
    return UserTurn(text)


def _user_turn(message: BaseMessage, store: MediaStore | None, sources: MediaSources, handles: list[str]) -> UserTurn:
    """What the user said, showed and drew."""
    content = message.content if isinstance(message.content, list) else [message.content]
    texts, pictures = [], []
    notes = message.additional_kwargs.get("vitron") or {}
    drawn = notes.get("region") if isinstance(message, HumanMessage) else None
    for block in content:
        if isinstance(block, str) or block.get("type") == "text":
            texts.append(block if isinstance(block, str) else str(block.get("text", "")))
            continue
        if block.get("type") in ("video", "video_url"):
            raise InputError("the planner cannot see videos yet: send a picture, or describe the video in words")
        if block.get("type") not in ("image", "image_url"):
            raise InputError(f"content of type {str(block.get('type'))[:40]!r} cannot be read: send text and pictures")
        pictures.append(read_picture(block, store, sources))
        handles.append(block_handle(block) or "")
        drawn = drawn or (block.get("extras") or {}).get("region")
    regions = (DrawnRegion(_mask(drawn, store), len(handles)),) if drawn else ()
    return UserTurn("\n".join(texts), tuple(pictures), regions)


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
