"""What `langgraph.json` points to: the agent for LangGraph's own server, which brings the checkpointer.

Nothing is built at import. VITRON_PROFILE chooses the profile, VITRON_HOME where pictures lie.
"""

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from langchain_core.runnables import RunnableConfig

from vitron_agent.build import build_agent
from vitron_agent.profiles import DEFAULT_PROFILE

if TYPE_CHECKING:
    from vitron_agent.graphs.agent import Agent

PROFILE_VARIABLE = "VITRON_PROFILE"


def make_graph(config: RunnableConfig) -> "Agent":
    """Return the agent; the server asks for it at every run, so its weights are read once and kept.

    Args:
        config: The run's configuration. It changes nothing here: thread and seed are read by the graph itself.

    Raises:
        InputError: Unknown profile.
        CheckpointError: The planner's weights are missing or broken.
    """
    return _built(os.environ.get(PROFILE_VARIABLE, DEFAULT_PROFILE))


@lru_cache(maxsize=1)
def _built(profile: str) -> "Agent":
    return build_agent(profile)
