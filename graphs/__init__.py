"""The LangGraph state machines: `make_agent` wires planner and tools into the loop that `build_agent` returns."""

from vitron_agent.graphs.agent import ROUNDS, make_agent
from vitron_agent.graphs.state import AgentState, MediaEntry
from vitron_agent.graphs.turn import user_turn

__all__ = ["ROUNDS", "AgentState", "MediaEntry", "make_agent", "user_turn"]
