"""A user's turn as a message: texts and handles in, problems named before anything is stored in a conversation.

This file knows messages and the media store; it does not know graphs.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import HumanMessage
from pydantic import ValidationError

from vitron_agent.errors import InputError
from vitron_agent.media import MediaKind, MediaRef, MediaStore, Region, decode_image, decode_mp4
from vitron_agent.tools.conversation import HANDLE, NAMES, region_note

MAX_REQUEST = 8_000  # characters of one request
_DATA = "data:"
_MIME = {MediaKind.IMAGE: "image/png", MediaKind.VIDEO: "video/mp4"}
_KINDS = {
    "image": MediaKind.IMAGE,
    "image_url": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "video_url": MediaKind.VIDEO,
}


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
        InputError: The text is empty or too long.
    """
    text = check_request(text)
    blocks: list[str | dict[str, Any]] = [
        {"type": kind.value, "file_id": ref.uri if isinstance(ref, MediaRef) else ref, "mime_type": _MIME[kind]}
        for kind, refs in ((MediaKind.IMAGE, pictures), (MediaKind.VIDEO, videos))
        for ref in refs
    ]
    notes = {"vitron": {"region": region.model_dump(mode="json")}} if region else {}
    return HumanMessage([*blocks, {"type": "text", "text": text}], additional_kwargs=notes)


def by_reference(message: HumanMessage, store: MediaStore) -> HumanMessage:
    """Return the message as the graph keeps it: pictures and videos are handles of the store, request and region sound.

    They may come as handles, as base64, or as `data:` addresses (OpenAI's `image_url` too).

    Raises:
        InputError: An empty or endless request, a picture or video that is none, any other address (nothing is fetched,
            no file is opened), or a region that is none.
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


def _block(block: dict[str, Any], store: MediaStore) -> dict[str, Any]:
    """Return one content block with its picture or video as a handle."""
    if block.get("type") == "text":
        return block
    kind = _KINDS.get(str(block.get("type")))
    if kind is None:
        said = str(block.get("type"))[:40]
        raise InputError(f"content of type {said!r} cannot be read: send text, pictures and videos")
    handle, name = block.get("file_id"), NAMES[kind]
    if isinstance(handle, str) and handle.startswith(HANDLE):
        if store.ref(handle).kind is not kind:
            raise InputError(f"{handle} is no {name}: send the handle of a {name}")
        return block
    encoded = block.get("base64") or _data_of(block, name)
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"a {name} is no valid base64: encode the whole file again") from error
    kept = store.put_image(decode_image(data)) if kind is MediaKind.IMAGE else store.put_video(*decode_mp4(data))
    entry = {"type": kind.value, "file_id": kept.uri, "mime_type": _MIME[kind]}
    return {**entry, "extras": block["extras"]} if block.get("extras") else entry


def _data_of(block: dict[str, Any], name: str) -> str:
    """Return the base64 of a `data:` address."""
    url = block.get("url") or block.get("image_url") or block.get("video_url")
    url = url.get("url") if isinstance(url, dict) else url
    if not isinstance(url, str) or not url.startswith(_DATA) or ";base64," not in url[:100]:
        shown = str(url)[:60]
        raise InputError(f"{name} address {shown!r} is not opened: send the {name}'s bytes or a handle of the store")
    return url.split(";base64,", 1)[1]
