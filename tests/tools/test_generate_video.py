"""The tools that make videos: what they ask of their specialists, and what they leave in the store."""

from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoVideoMaker, paint
from vitron_agent.tools import NEEDS, TOOLS, Residents, Toolbox, make_tools


@pytest.fixture
def echo() -> EchoVideoMaker:
    return EchoVideoMaker()


@pytest.fixture
def toolbox(store: MediaStore, echo: EchoVideoMaker) -> Toolbox:
    return Toolbox(store, Residents({name: lambda: echo for name in ("zeroscope", "i2vgen_xl")}))


def test_only_tools_whose_specialist_is_there_are_made(toolbox: Toolbox) -> None:
    assert [tool.name for tool in make_tools(toolbox)] == ["generate_video", "animate_image"]
    assert set(NEEDS) == set(TOOLS)


def test_a_command_becomes_a_stored_video(bench: Any, store: MediaStore, echo: EchoVideoMaker) -> None:
    answer = bench.run([HumanMessage("go")], "generate_video", {"command": "a star moves left"}, seed=5)
    assert answer.content == "Result: done."
    assert {key: answer.artifact[key] for key in ("kind", "inputs", "video")} == {
        "kind": "video",
        "inputs": [],
        "video": None,
    }
    frames, fps = store.get_video(answer.artifact["uri"])
    assert fps == 8.0
    assert frames.shape == (4, 3, 64, 64)
    assert (frames[0].int() - paint("a star moves left 0", 5).int()).abs().max() < 6  # a stored video is a little lossy
    assert [(request.command, request.image, request.seed) for request in echo.requests] == [
        ("a star moves left", None, 5)
    ]


def test_asking_again_makes_another_video(bench: Any, echo: EchoVideoMaker) -> None:
    first = bench.run([HumanMessage("go")], "generate_video", {"command": "a star"})
    again = bench.run([HumanMessage("go"), first], "generate_video", {"command": "a star"})
    assert first.artifact["uri"] != again.artifact["uri"]
    assert len(echo.requests) == 2


def test_layouts_are_not_offered(tools: dict[str, Any]) -> None:
    assert set(tools["generate_video"].tool_call_schema.model_fields) == {"command"}
