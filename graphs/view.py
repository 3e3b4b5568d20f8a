"""What a planner is shown: ours reads handles itself; any other chat model gets pictures as base64, for one call.

What is made here is never stored in the conversation.
"""

import base64
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage, ToolMessage

from vitron_agent.media import MediaStore
from vitron_agent.tools.conversation import picture_handles

View = Callable[[Sequence[AnyMessage]], list[AnyMessage]]
READS_HANDLES = ("vitron-chat", "scripted-planner")  # `_llm_type` of the planners that resolve handles themselves

GUIDE = (
    "You help with pictures. Pictures are numbered from 1 in the order in which they appear; every new picture gets "
    "the next number. Use the tools to draw, segment and edit; boxes are left, top, right, bottom in [0, 1]. Edit "
    "commands are: replace the OLD with a NEW; remove the OLD; add a NEW; change the background to COLOUR. Be brief."
)


def reads_handles(planner: BaseChatModel) -> bool:
    """Whether a planner is one of ours: it resolves handles, and looks at `cancelled` between two words."""
    return planner._llm_type in READS_HANDLES


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
    number = 0
    for message in messages:
        if waiting and not isinstance(message, ToolMessage):
            shown.append(HumanMessage(list(waiting)))
            waiting = []
        handles = picture_handles(message)
        if isinstance(message, HumanMessage) and handles:
            blocks = iter(handles)
            content: list[Any] = []
            for block in message.content:
                if isinstance(block, dict) and block.get("type") == "image":
                    number += 1
                    content += _numbered(number, next(blocks), store)
                else:
                    content.append(block)
            shown.append(message.model_copy(update={"content": content}))
            continue
        shown.append(message)
        for handle in handles:
            number += 1
            waiting += _numbered(number, handle, store)
    return [*shown, HumanMessage(list(waiting))] if waiting else shown


def _numbered(number: int, handle: str, store: MediaStore) -> list[dict[str, Any]]:
    """Return a picture as content blocks with its number before it."""
    data = base64.b64encode(store.get_bytes(handle)).decode()
    image = {"type": "image", "base64": data, "mime_type": "image/png"}
    return [{"type": "text", "text": f"Picture {number}:"}, image]
