"""A user's turn as a message: texts and handles in, problems named before anything is stored in a conversation.

This file knows messages and the media store; it does not know graphs.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage, convert_to_messages
from langgraph.types import Command
from pydantic import ValidationError

from vitron_agent.errors import FinalError, InputError, is_text, quoted
from vitron_agent.media import (
    BLOCK_KINDS,
    NO_SOURCES,
    MediaKind,
    MediaRef,
    MediaSources,
    MediaStore,
    Region,
    block_handle,
    carried,
    put_block_picture,
    read_video,
)
from vitron_agent.tools.conversation import NAMES, handles_of, region_note

MAX_REQUEST = 8_000  # characters of one request
_TURN = '{"messages": [user_turn("draw a red circle")]}'
# What the store gives out of a handle, whatever file the picture came as.
_MIME = {MediaKind.IMAGE: "image/png", MediaKind.VIDEO: "video/mp4"}


def check_request(text: str) -> str:
    """Return a request without blanks around it.

    Raises:
        InputError: It is no text, empty, or longer than `MAX_REQUEST` characters.
    """
    if not isinstance(text, str):
        raise InputError(f"the request is no text but {quoted(str(text), 40)}: say in words what you would like")
    text = text.strip()
    if not text:
        raise InputError("the request is empty: say what you would like, such as 'draw a red circle'")
    if len(text) > MAX_REQUEST:
        raise InputError(f"the request has {len(text):,} characters: say it in at most {MAX_REQUEST:,}")
    if not is_text(text):
        bad = next(char for char in text if not is_text(char))
        raise InputError(f"the request holds {bad!r}, which is no character: write it in UTF-8")
    return text


def user_turn(
    text: str,
    pictures: Sequence[MediaRef | str] = (),
    region: Region | None = None,
    videos: Sequence[MediaRef | str] = (),
) -> HumanMessage:
    """Build the message of one user turn.

    Args:
        text: What the user says.
        pictures: Handles of the pictures that come with it, in order.
        region: What the user drew; it lies on the latest picture or video (its first frame) of the conversation.
        videos: Handles of the videos that come with it, in order.

    Raises:
        InputError: The text is empty or too long, or what comes with it is no handle or region.
    """
    text = check_request(text)
    if isinstance(pictures, (str, MediaRef)) or isinstance(videos, (str, MediaRef)):
        raise InputError("pictures and videos are lists of handles: write [handle], also for one")
    for ref in (*pictures, *videos):
        if not isinstance(ref, (str, MediaRef)):
            raise InputError(f"{quoted(str(ref), 40)} is no handle: put it into the store first, store.put_image(...)")
    if region is not None and not isinstance(region, Region):
        raise InputError(f"{quoted(str(region), 40)} is no region: make one, such as Region.parse('click:0.5,0.5')")
    blocks: list[str | dict[str, Any]] = [
        {"type": kind.value, "file_id": ref.uri if isinstance(ref, MediaRef) else ref, "mime_type": _MIME[kind]}
        for kind, refs in ((MediaKind.IMAGE, pictures), (MediaKind.VIDEO, videos))
        for ref in refs
    ]
    notes = {"vitron": {"region": region.model_dump(mode="json")}} if region else {}
    return HumanMessage([*blocks, {"type": "text", "text": text}], additional_kwargs=notes)


def by_reference(message: HumanMessage, store: MediaStore, sources: MediaSources = NO_SOURCES) -> HumanMessage:
    """Return the message as the graph keeps it: pictures and videos are handles of the store, request and region sound.

    They come in every form that `vitron_agent.media.blocks` knows; what is read here is read once, and kept in the
    store as `MediaStore.put_picture` and `put_video` keep it.

    Args:
        message: The user's.
        store: Where pictures and videos are kept.
        sources: Where they may come from besides the message itself.

    Raises:
        InputError: An empty or endless request, a picture or video that is none, one from a source that is not open,
            or a region that is none.
        DownloadError: An address that cannot be downloaded.
        StorageError: A handle that the store does not have.
    """
    check_request(str(message.text))
    region = region_note(message)
    if region:
        try:
            Region.model_validate(region)
        except ValidationError as error:
            reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            raise InputError(f"the drawn region cannot be used: {reason}") from None
    if isinstance(message.content, str):
        return message
    blocks = [_block(block, store, sources) if isinstance(block, dict) else block for block in message.content]
    return message.model_copy(update={"content": blocks})


def result_by_reference(message: ToolMessage, store: MediaStore) -> ToolMessage:
    """Return a tool's result as the graph keeps it: what its content carries, other applications' does, are handles.

    Raises:
        InputError: A picture or video that is none.
        StorageError: A handle that the store does not have, or it cannot be written.
    """
    if isinstance(message.content, str):
        return message
    blocks = [_block(b, store, NO_SOURCES) if isinstance(b, dict) and carried(b) else b for b in message.content]
    return message.model_copy(update={"content": blocks})


def is_by_reference(message: HumanMessage) -> bool:
    """Whether all pictures and videos of a message are handles already."""
    blocks = [block for block in message.content if isinstance(block, dict)]
    return all(block_handle(block) for block in blocks if str(block.get("type")) in BLOCK_KINDS)


def taken_in(given: Any, store: MediaStore) -> Any:
    """Return a graph's input with its pictures as handles: whatever enters a graph is stored and traced as it came.

    Messages that cannot be used stay as they are; the graph answers them.

    Raises:
        InputError: It is no input of a graph, its messages are none, or it brings a tool's result with a picture that
            is none.
        StorageError: It brings a tool's result that the store does not have: with it, no later turn could be read.
    """
    if given is None or isinstance(given, Command):
        return given
    if not isinstance(given, dict):
        raise InputError(f"a turn is {_TURN}, not {quoted(str(given), 60)}")
    if not given.get("messages", ()):
        return {**given, "messages": []} if "messages" in given else given
    several = isinstance(given["messages"], list) or _is_tuple_of_messages(given["messages"])
    try:
        messages = convert_to_messages(given["messages"] if several else [given["messages"]])
    except (NotImplementedError, ValueError, TypeError, KeyError):
        shown = quoted(str(given["messages"]), 60)
        raise InputError(f"messages {shown} are no conversation: a turn is {_TURN}") from None
    return {**given, "messages": [_taken_in(message, store) for message in messages]}


def _is_tuple_of_messages(messages: Any) -> bool:
    """Whether it is several messages, and not LangChain's short form of one, `("user", "hello")`."""
    return isinstance(messages, tuple) and not all(isinstance(part, str) for part in messages[:1])


def _taken_in(message: BaseMessage, store: MediaStore) -> BaseMessage:
    if isinstance(message, ToolMessage):
        for handle in (handle for kind in NAMES for handle in handles_of(message, kind)):
            store.ref(handle)
        return result_by_reference(message, store)
    try:
        return by_reference(message, store) if isinstance(message, HumanMessage) else message
    except FinalError:
        return message


def _block(block: dict[str, Any], store: MediaStore, sources: MediaSources) -> dict[str, Any]:
    """Return one content block with its picture or video as a handle."""
    if block.get("type") == "text":
        return block
    kind = BLOCK_KINDS.get(str(block.get("type")))
    if kind is None:
        said = str(block.get("type"))[:40]
        raise InputError(f"content of type {said!r} cannot be read: send text, pictures and videos")
    if handle := block_handle(block):
        if store.ref(handle).kind is not kind:
            raise InputError(f"{handle} is no {NAMES[kind]}: send the handle of a {NAMES[kind]}")
        return block
    if kind is MediaKind.IMAGE:
        kept = put_block_picture(block, store, sources)
    else:
        kept = store.put_video(*read_video(block, store, sources))
    entry = {"type": kind.value, "file_id": kept.uri, "mime_type": _MIME[kind]}
    return {**entry, "extras": block["extras"]} if block.get("extras") else entry
