"""The LangGraph state machines: `make_agent` wires planner and tools into the loop that `build_agent` returns."""

from vitron_agent.graphs.agent import Agent
from vitron_agent.graphs.conversations import open_conversations
from vitron_agent.graphs.display import ShownTurn, show_turn
from vitron_agent.graphs.state import AgentState, MediaEntry
from vitron_agent.graphs.turn import user_turn
from vitron_agent.graphs.wiring import ROUNDS, make_agent

__all__ = [
    "ROUNDS",
    "Agent",
    "AgentState",
    "MediaEntry",
    "ShownTurn",
    "make_agent",
    "open_conversations",
    "show_turn",
    "user_turn",
]
