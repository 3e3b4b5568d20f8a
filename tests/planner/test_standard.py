"""LangChain's own standard tests of a chat model, on the tiny profile."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from vitron_agent.media import MediaStore, encode_png
from vitron_agent.planner import VitronPlanner
from vitron_agent.planner.chat import ChatVitron
from vitron_agent.profiles import TINY


@pytest.fixture(scope="module")
def trained() -> VitronPlanner:
    """The tiny profile's planner."""
    assert TINY.folder is not None
    return VitronPlanner.from_pretrained(TINY.folder / "planner")


class Declared:
    """What is true of the tiny profile; the suites ask for it."""

    @pytest.fixture(autouse=True)
    def _parts(self, trained: VitronPlanner, tmp_path: Path) -> None:
        self.parts = {"planner": trained, "store": MediaStore(tmp_path)}

    @property
    def chat_model_class(self) -> type[ChatVitron]:
        return ChatVitron

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self.parts

    @property
    def has_tool_calling(self) -> bool:
        return False  # it calls VITRON's own tools only; the suite's are a weather report and a magic function

    @property
    def has_structured_output(self) -> bool:
        return False  # its grammar is the invocation template, no JSON schema of the caller's

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "vitron-other"

    @property
    def returns_usage_metadata(self) -> bool:
        return True


class TestUnit(Declared, ChatModelUnitTests):
    """Construction, parameters, serialisation."""


class TestIntegration(Declared, ChatModelIntegrationTests):
    """Calls, streams, batches, messages of all kinds."""

    @pytest.fixture(autouse=True)
    def _no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The suite downloads a picture; here it gets one of ours."""
        picture = encode_png(torch.full((3, 64, 64), 128, dtype=torch.uint8))
        monkeypatch.setattr(httpx, "get", lambda *args, **kwargs: httpx.Response(200, content=picture))
