"""LangChain's own suites for tools, on each of ours: over an echo specialist and a store in memory."""

from typing import Any

from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, EchoVideoMaker, paint
from vitron_agent.tools import NEEDS, TOOLS, Residents, Toolbox

STORE = "memory://standard-tests"


class _Ours:
    """What both suites need to know; a class of its own, so that the suites are collected for our tools only."""

    name: str
    echo = EchoSpecialist

    @property
    def tool_constructor(self) -> BaseTool:
        residents = Residents({name: self.echo for name in set(NEEDS.values()) | {"gligen_inpaint"}})
        return TOOLS[self.name](Toolbox(MediaStore(STORE), residents))

    @property
    def picture(self) -> str:
        return MediaStore(STORE).put_image(paint("a picture")).uri


class _Generate(_Ours):
    name = "generate_image"

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"command": "a red circle", "layout": [{"phrase": "red circle", "box": [0.1, 0.1, 0.4, 0.4]}]}


class _Segment(_Ours):
    name = "segment_image"

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"command": "the red circle", "picture": self.picture, "region": [0.1, 0.1, 0.4, 0.4]}


class _Edit(_Ours):
    name = "edit_image"

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"command": "remove the red circle", "picture": self.picture}


class _GenerateVideo(_Ours):
    name = "generate_video"
    echo = EchoVideoMaker

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"command": "a red circle moves right"}


class _Animate(_Ours):
    name = "animate_image"
    echo = EchoVideoMaker

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"command": "the red circle moves right", "picture": self.picture}


class TestGenerateUnit(_Generate, ToolsUnitTests): ...


class TestGenerateIntegration(_Generate, ToolsIntegrationTests): ...


class TestSegmentUnit(_Segment, ToolsUnitTests): ...


class TestSegmentIntegration(_Segment, ToolsIntegrationTests): ...


class TestEditUnit(_Edit, ToolsUnitTests): ...


class TestEditIntegration(_Edit, ToolsIntegrationTests): ...


class TestGenerateVideoUnit(_GenerateVideo, ToolsUnitTests): ...


class TestGenerateVideoIntegration(_GenerateVideo, ToolsIntegrationTests): ...


class TestAnimateUnit(_Animate, ToolsUnitTests): ...


class TestAnimateIntegration(_Animate, ToolsIntegrationTests): ...
