"""`langgraph.json` leads to an agent that answers; importing its target builds nothing."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vitron_agent.build import build_agent, create_vitron_agent
from vitron_agent.errors import InputError
from vitron_agent.graphs import user_turn
from vitron_agent.media import MediaStore
from vitron_agent.testing import ScriptedPlanner

ROOT = Path(__file__).resolve().parents[1]
CONFIG = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path)


@pytest.fixture
def target() -> tuple[ModuleType, str]:
    """Load the module the way LangGraph's server does: from its path."""
    path, _, name = CONFIG["graphs"]["vitron"].partition(":")
    spec = importlib.util.spec_from_file_location("served", ROOT / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, name


def test_the_served_agent_runs_a_turn(
    target: tuple[ModuleType, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VITRON_HOME", str(tmp_path))
    module, name = target
    make = getattr(module, name)
    agent = make({})
    assert agent is make({})  # the server asks at every run
    assert agent.checkpointer is None  # it brings its own
    out = agent.invoke({"messages": [user_turn("draw a red circle on a gray background")]})
    assert out["messages"][-1].type == "ai"


def test_the_server_can_describe_input_and_output(store: MediaStore) -> None:
    """LangGraph's server and `as_tool` make JSON schemas of a graph's state; on Python 3.11 that asks for more."""
    for make in (build_agent, create_vitron_agent):
        agent = make(store=store, planner=ScriptedPlanner())
        for schema in (agent.get_input_jsonschema(), agent.get_output_jsonschema()):
            assert "messages" in schema["properties"]
    assert {"media", "rounds"} <= set(
        build_agent(store=store, planner=ScriptedPlanner()).get_output_jsonschema()["properties"]
    )


def test_importing_the_target_builds_nothing(target: tuple[ModuleType, str]) -> None:
    assert target[0]._built.cache_info().currsize == 0


def test_an_unknown_profile_is_named(target: tuple[ModuleType, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRON_PROFILE", "nonsense")
    with pytest.raises(InputError, match="nonsense"):
        getattr(*target)({})


def test_the_dependencies_are_this_checkout() -> None:
    assert CONFIG["dependencies"] == ["."]
    assert "served" not in sys.modules
