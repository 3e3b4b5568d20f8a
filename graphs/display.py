"""A turn of a conversation in a notebook: the request, what each call made, and the answer.

This file reads messages; how a picture becomes HTML stands in `vitron_agent/media/display.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from torch import Tensor

from vitron_agent.graphs.state import AgentState
from vitron_agent.media import MediaStore
from vitron_agent.media.display import HasMedia, Shown, show, side_by_side, store_of, text_element
from vitron_agent.tools.conversation import HANDLE, NAMES, handles_of, said


@dataclass(frozen=True, repr=False)
class ShownTurn(Shown):
    """One turn; `show_turn` makes it.

    Attributes:
        store: Where the pictures lie.
        messages: Of this turn, the user's first.
    """

    store: MediaStore
    messages: tuple[AnyMessage, ...]

    def pictures(self) -> list[Shown]:
        """Return the turn's pictures in order: the user's pictures and videos, then what each call made."""
        return [picture for message in self.messages for picture in self._pictures(message)]

    def pixels(self) -> Tensor:
        """Return all pictures of the turn side by side."""
        return side_by_side(*self.pictures()).pixels()

    def to_html(self) -> str:
        """Return request, pictures and words in the order in which they came."""
        parts: list[str] = []
        for message in self.messages:
            words = str(message.text).strip()
            made = self._pictures(message)
            if isinstance(message, HumanMessage):
                parts.append(text_element(words, "strong"))
            elif words and not (isinstance(message, ToolMessage) and made):  # a picture's caption says it already
                parts.append(text_element(words, "span"))
            parts += [picture.to_html() for picture in made]
        return f"<div>{''.join(f'<div>{part}</div>' for part in parts)}</div>"

    def __repr__(self) -> str:
        """Return the turn's words, for consoles that show neither HTML nor pictures."""
        said = [f"> {m.text}" if isinstance(m, HumanMessage) else str(m.text) for m in self.messages]
        return "\n".join(line for line in said if line)

    def _pictures(self, message: AnyMessage) -> list[Shown]:
        """Return the pictures that one message brought."""
        if isinstance(message, HumanMessage):
            return [show(self.store, handle) for kind in NAMES for handle in handles_of(message, kind)]
        found = message.artifact.get("uri") if isinstance(message, ToolMessage) and _made(message) else None
        return [show(self.store, found, caption=self._command(message))] if found else []

    def _command(self, answer: Any) -> str:
        """Return the call behind an answer in words: the tool and its command."""
        calls = [call for m in self.messages if isinstance(m, AIMessage) for call in m.tool_calls]
        command = next((said(call["args"]) for call in calls if call["id"] == answer.tool_call_id), "")
        return f"{answer.name}: {command}"


def show_turn(source: MediaStore | HasMedia, state: AgentState | dict[str, Any]) -> ShownTurn:
    """Show the last turn of a conversation in a notebook.

    Args:
        source: The agent, or the store of its pictures.
        state: What `invoke` returned, or the `values` of `get_state`.
    """
    return ShownTurn(store_of(source), _last_turn(state.get("messages", [])))


def _last_turn(messages: Sequence[AnyMessage]) -> tuple[AnyMessage, ...]:
    start = max((index for index, message in enumerate(messages) if isinstance(message, HumanMessage)), default=0)
    return tuple(messages[start:])


def _made(answer: ToolMessage) -> bool:
    """Whether an answer brought something that can be shown; tools that are none of ours may return anything."""
    artifact = answer.artifact
    return isinstance(artifact, dict) and str(artifact.get("uri", "")).startswith(HANDLE)
