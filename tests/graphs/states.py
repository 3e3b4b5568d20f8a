"""What a test says of a graph's state in a line."""

from typing import Any


def kinds(state: Any) -> str:
    """The types of a state's messages in order, of a tool's its status: "human ai success ai"."""
    return " ".join(getattr(message, "status", message.type) for message in state["messages"])
