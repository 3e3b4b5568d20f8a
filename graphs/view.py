"""What a planner is shown: ours reads handles itself; any other chat model gets pictures as base64, for one call.

Of a video it gets three frames, since few chat models take videos.

What is made here is never stored in the conversation.
"""

import base64
import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage, ToolMessage

from vitron_agent.errors import InputError, StorageError, quoted
from vitron_agent.media import MediaKind, MediaStore, carried, encode_png, is_plain_png
from vitron_agent.tools.conversation import NAMES, handles_of

_KINDS = {kind.value: kind for kind in NAMES}
View = Callable[[Sequence[AnyMessage]], list[AnyMessage]]
READS_HANDLES = ("vitron-chat", "scripted-planner")  # `_llm_type` of the planners that resolve handles themselves

GUIDE = (
    "You help with pictures and videos. Pictures are numbered from 1 in the order in which they appear, and so are "
    "videos; every new one gets the next number. Use the tools to draw, segment, track and edit; boxes are left, top, "
    "right, bottom in [0, 1]. Edit commands are: replace the OLD with a NEW; remove the OLD; add a NEW (in pictures); "
    "change the background to COLOUR. Be brief."
)


def reads_handles(planner: BaseChatModel) -> bool:
    """Whether a planner is one of ours: it resolves handles, and looks at `cancelled` between two words."""
    return planner._llm_type in READS_HANDLES


def check_planner(planner: object) -> None:
    """Make sure that something is a chat model that tools can be bound to.

    Raises:
        InputError: It is none; the message says what to give instead.
    """
    if isinstance(planner, str) or not (hasattr(planner, "bind_tools") and hasattr(planner, "_llm_type")):
        shown = quoted(planner if isinstance(planner, str) else type(planner).__name__)
        raise InputError(
            f"planner {shown} is no chat model: give one, such as langchain's init_chat_model(...) returns"
        )
    if getattr(type(planner), "bind_tools", None) is BaseChatModel.bind_tools:
        raise InputError(f"planner {type(planner).__name__} cannot call tools: give a chat model that has `bind_tools`")


def view_for(planner: BaseChatModel, store: MediaStore) -> View:
    """Return how this planner sees a conversation."""
    return list if reads_handles(planner) else partial(with_pixels, store=store)


def with_pixels(messages: Sequence[AnyMessage], *, store: MediaStore) -> list[AnyMessage]:
    """Return the messages with a guide before them and pictures in them; new pictures of tools follow as user messages.

    Most providers refuse pictures in tool messages, and want all results of one reply together: a tool's picture
    therefore comes behind the last of them.
    """
    shown: list[AnyMessage] = [SystemMessage(GUIDE)]
    waiting: list[dict[str, Any]] = []
    count = Counter[MediaKind]()
    for message in messages:
        if waiting and not isinstance(message, ToolMessage):
            shown.append(HumanMessage(list(waiting)))
            waiting = []
        found = {kind: handles_of(message, kind) for kind in NAMES}
        if isinstance(message, HumanMessage) and any(found.values()):
            shown.append(message.model_copy(update={"content": _with_pixels(message, count, store)}))
            continue
        shown.append(_words_alone(message) if isinstance(message, ToolMessage) else message)
        for kind, handles in found.items():
            for handle in handles:
                count[kind] += 1
                waiting += _numbered(kind, count[kind], handle, store)
    return [*shown, HumanMessage(list(waiting))] if waiting else shown


def _with_pixels(message: HumanMessage, count: Counter[MediaKind], store: MediaStore) -> list[Any]:
    """Return a user's content with pixels for its handles; `count` goes on."""
    content: list[Any] = []
    for block in message.content:
        kind = _KINDS.get(str(block.get("type"))) if isinstance(block, dict) else None
        if kind is None or not isinstance(block, dict):
            content.append(block)
            continue
        count[kind] += 1
        content += _numbered(kind, count[kind], block["file_id"], store)
    return content


def _words_alone(message: ToolMessage) -> ToolMessage:
    """Return a tool's result without the pictures and videos in its content."""
    if isinstance(message.content, str):
        return message
    words = [block for block in message.content if not carried(block)]
    return message.model_copy(update={"content": words or "It follows."})


def _numbered(kind: MediaKind, number: int, handle: str, store: MediaStore) -> list[dict[str, Any]]:
    """Return a picture, or three frames of a video, as content blocks with what they are before them."""
    if kind is MediaKind.IMAGE:
        return [{"type": "text", "text": f"Picture {number}:"}, _image(_png(handle, store))]
    frames, _ = store.get_video(handle)
    places = dict.fromkeys((0, (len(frames) - 1) // 2, len(frames) - 1))
    text = f"Video {number} of {len(frames)} frames, here frames {', '.join(map(str, places))}:"
    return [{"type": "text", "text": text}, *(_image(encode_png(frames[place])) for place in places)]


def _png(handle: str, store: MediaStore) -> bytes:
    """Return a picture's pixels as PNG: the file of a photograph also says where and when it was taken.

    Where that is another file it is made once and kept, for every call is shown the whole conversation anew.
    """
    if is_plain_png(data := store.get_bytes(handle)):
        return data
    key = hashlib.sha256(f"PNG of {handle}".encode()).hexdigest()
    if known := store.linked(key):
        with contextlib.suppress(StorageError):  # damaged: it is made again
            return store.get_png(known)
    quick = store.without_sync()
    made = quick.put_image(store.get_image(handle))
    quick.link(key, made.uri)
    return store.get_png(made)


def _image(data: bytes) -> dict[str, Any]:
    """Return a PNG as a content block."""
    return {"type": "image", "base64": base64.b64encode(data).decode(), "mime_type": "image/png"}
