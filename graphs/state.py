"""What the agent's graph keeps: messages, the table of media, and the rounds of this turn. Handles, never pixels.

Everything here is text, numbers, lists and dicts, so that any checkpointer can store it with strict serialisation.
What grows with a conversation is stored as what each step adds (LangGraph's `DeltaChannel`): whole lists in every
checkpoint would grow with the square of the turns, to hundreds of megabytes.
"""

from collections.abc import Sequence
from typing import Annotated, Any, cast

from langchain_core.messages import AnyMessage
from langgraph.channels import DeltaChannel
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict  # pydantic, which makes the graph's JSON schema, takes no other before 3.12

MAX_TEXT = 65_536  # characters in one string of the state: a longer one is a payload that belongs in the store

SNAPSHOT = 150  # updates between two whole copies of a list: fewer would cost bytes, more time and memory to read it


class MediaEntry(TypedDict):
    """One picture or video of the conversation."""

    kind: str  # "picture" or "video"
    number: int  # from 1 for each kind, in order of appearance
    uri: str  # its handle
    origin: str  # "user", or the name of the tool that made it


def merged(messages: list[AnyMessage], writes: Sequence[Any]) -> list[AnyMessage]:
    """Return the conversation after some writes, as `add_messages` merges each of them."""
    flat = [message for write in writes for message in (write if isinstance(write, list) else [write])]
    return cast(list[AnyMessage], add_messages(cast(Any, messages), flat))


def appended(table: list[MediaEntry], writes: Sequence[list[MediaEntry]]) -> list[MediaEntry]:
    """Return the table of media with further entries."""
    return [*table, *(entry for write in writes for entry in write)]


Messages = Annotated[list[AnyMessage], DeltaChannel(merged, snapshot_frequency=SNAPSHOT)]
Media = Annotated[list[MediaEntry], DeltaChannel(appended, snapshot_frequency=SNAPSHOT)]


class AgentState(TypedDict, total=False):
    """The state of one conversation."""

    messages: Messages
    media: Media  # written by `ingest` and `observe` only, from the messages
    rounds: int  # planner rounds of this turn


def payload_path(value: Any, path: str = "state") -> str | None:
    """Find what must not be in a state: anything but plain data, or a text that is really a payload.

    Args:
        value: A state, or a part of one.
        path: What the part is called.

    Returns:
        The path of the first offender, such as `state.messages[2].artifact.image`, or None.
    """
    if isinstance(value, str):
        return path if len(value) > MAX_TEXT else None
    if value is None or isinstance(value, (bool, int, float)):
        return None
    if isinstance(value, dict):
        return _first_of({f"{path}.{key}": inner for key, inner in value.items()})
    if isinstance(value, (list, tuple)):
        return _first_of({f"{path}[{index}]": inner for index, inner in enumerate(value)})
    if hasattr(value, "model_dump") and hasattr(value, "type"):  # a message
        return _first_of({f"{path}.{name}": getattr(value, name) for name in type(value).model_fields})
    return f"{path} ({type(value).__name__})"


def _first_of(parts: dict[str, Any]) -> str | None:
    """Return the first offender among named parts."""
    return next((found for name, inner in parts.items() if (found := payload_path(inner, name))), None)
