"""A user's turn as a message: texts and handles in, problems named before anything is stored in a conversation.

This file knows messages and the media store; it does not know graphs.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, convert_to_messages
from pydantic import ValidationError

from vitron_agent.errors import FinalError, InputError
from vitron_agent.media import MediaKind, MediaRef, MediaStore, Region, decode_image
from vitron_agent.tools.conversation import HANDLE, region_note

MAX_REQUEST = 8_000  # characters of one request
_DATA = "data:"


def check_request(text: str) -> str:
    """Return a request without blanks around it.

    Raises:
        InputError: It is empty or longer than `MAX_REQUEST` characters.
    """
    text = text.strip()
    if not text:
        raise InputError("the request is empty: say what you would like, such as 'draw a red circle'")
    if len(text) > MAX_REQUEST:
        raise InputError(f"the request has {len(text):,} characters: say it in at most {MAX_REQUEST:,}")
    return text


def user_turn(text: str, pictures: Sequence[MediaRef | str] = (), region: Region | None = None) -> HumanMessage:
    """Build the message of one user turn.

    Args:
        text: What the user says.
        pictures: Handles of the pictures that come with it, in order.
        region: What the user drew; it lies on the latest picture of the conversation.

    Raises:
        InputError: The text is empty or too long.
    """
    text = check_request(text)
    handles = [ref.uri if isinstance(ref, MediaRef) else ref for ref in pictures]
    blocks: list[str | dict[str, Any]] = [
        {"type": "image", "file_id": handle, "mime_type": "image/png"} for handle in handles
    ]
    notes = {"vitron": {"region": region.model_dump(mode="json")}} if region else {}
    return HumanMessage([*blocks, {"type": "text", "text": text}], additional_kwargs=notes)


def by_reference(message: HumanMessage, store: MediaStore) -> HumanMessage:
    """Return the message as the graph keeps it: every picture a handle of the store, request and region checked.

    Pictures may come as handles, as base64, or as `data:` addresses (OpenAI's `image_url` too).

    Raises:
        InputError: An empty or endless request, a picture that is none, any other address (nothing is fetched, no file
            is opened), a video, or a region that is none.
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
    blocks = [_block(block, store) if isinstance(block, dict) else block for block in message.content]
    return message.model_copy(update={"content": blocks})


def taken_in(given: Any, store: MediaStore) -> Any:
    """Return a graph's input with its pictures as handles: whatever enters a graph is stored and traced as it came.

    Messages that cannot be used stay as they are; the graph answers them.
    """
    if not isinstance(given, dict) or not given.get("messages"):
        return given
    messages = given["messages"] if isinstance(given["messages"], list) else [given["messages"]]
    return {**given, "messages": [_taken_in(message, store) for message in convert_to_messages(messages)]}


def _taken_in(message: BaseMessage, store: MediaStore) -> BaseMessage:
    try:
        return by_reference(message, store) if isinstance(message, HumanMessage) else message
    except FinalError:
        return message


def _block(block: dict[str, Any], store: MediaStore) -> dict[str, Any]:
    """Return one content block with its picture as a handle."""
    kind = block.get("type")
    if kind == "text":
        return block
    if kind not in ("image", "image_url"):
        raise InputError(f"content of type {str(kind)[:40]!r} cannot be read: send text and pictures")
    handle = block.get("file_id")
    if isinstance(handle, str) and handle.startswith(HANDLE):
        if store.ref(handle).kind is not MediaKind.IMAGE:
            raise InputError(f"{handle} is no picture: send the handle of a picture")
        return block
    data = block.get("base64") or _data_of(block)
    try:
        pixels = decode_image(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError) as error:
        raise InputError("a picture is no valid base64: encode the whole file again") from error
    kept = {"type": "image", "file_id": store.put_image(pixels).uri, "mime_type": "image/png"}
    return {**kept, "extras": block["extras"]} if block.get("extras") else kept


def _data_of(block: dict[str, Any]) -> str:
    """Return the base64 of a `data:` address."""
    url = block.get("url") or block.get("image_url")
    url = url.get("url") if isinstance(url, dict) else url
    if not isinstance(url, str) or not url.startswith(_DATA) or ";base64," not in url[:100]:
        shown = str(url)[:60]
        raise InputError(f"picture address {shown!r} is not opened: send the picture's bytes or a handle of the store")
    return url.split(";base64,", 1)[1]
