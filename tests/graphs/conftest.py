"""The whole graph over a scripted planner and an echo specialist; no weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver

from vitron_agent.graphs import make_agent
from vitron_agent.graphs.agent import Agent
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, paint
from vitron_agent.tools import Residents, Toolbox, make_tools

CONFIG: Any = {"configurable": {"thread_id": "talk", "seed": 0}}


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media")


@pytest.fixture
def echo() -> EchoSpecialist:
    return EchoSpecialist()


@pytest.fixture
def picture(store: MediaStore) -> str:
    return store.put_image(paint("the user's picture")).uri


@pytest.fixture
def config() -> Any:
    return CONFIG


Build = Callable[..., tuple[Agent, ScriptedPlanner]]


@pytest.fixture
def build(store: MediaStore, echo: EchoSpecialist) -> Build:
    """Build an agent from the planner's script."""

    def make(*replies: Any, saver: BaseCheckpointSaver | None = None, **more: Any) -> tuple[Agent, ScriptedPlanner]:
        planner = ScriptedPlanner(replies=list(replies))
        residents = Residents({name: lambda: echo for name in ("gligen", "gligen_inpaint", "seem", "stable_video")})
        return make_agent(planner, make_tools(Toolbox(store, residents)), store, saver, **more), planner

    return make
