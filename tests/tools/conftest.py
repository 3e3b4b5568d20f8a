"""Tools over an echo specialist and a store in a temporary folder; no weights."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.tools import StructuredTool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, paint
from vitron_agent.tools import Residents, Toolbox, make_tools


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media")


@pytest.fixture
def echo() -> EchoSpecialist:
    return EchoSpecialist()


@pytest.fixture
def toolbox(store: MediaStore, echo: EchoSpecialist) -> Toolbox:
    return Toolbox(
        store, Residents({name: lambda: echo for name in ("gligen", "gligen_inpaint", "seem", "stable_video")})
    )


@pytest.fixture
def tools(toolbox: Toolbox) -> dict[str, StructuredTool]:
    return {tool.name: tool for tool in make_tools(toolbox)}


@pytest.fixture
def picture(store: MediaStore) -> str:
    """Handle of a 64x64 picture."""
    return store.put_image(paint("the user's picture")).uri


class Bench:
    """A bare `ToolNode` in a graph of one node: what any LangGraph application would build."""

    def __init__(self, tools: dict[str, StructuredTool]) -> None:
        graph = StateGraph(MessagesState)
        graph.add_node("tools", ToolNode(list(tools.values())))
        graph.add_edge(START, "tools")
        graph.add_edge("tools", END)
        self.graph = graph.compile()

    def run(
        self, messages: list[AnyMessage], name: str, arguments: dict[str, Any], seed: int = 0, **metadata: Any
    ) -> ToolMessage:
        """Let the node answer one call and return the answer."""
        call = {"name": name, "args": arguments, "id": "call_0", "type": "tool_call"}
        reply = AIMessage("", tool_calls=[call], response_metadata=metadata)
        config: Any = {"configurable": {"seed": seed}}
        return self.graph.invoke({"messages": [*messages, reply]}, config)["messages"][-1]


@pytest.fixture
def bench(tools: dict[str, StructuredTool]) -> Bench:
    return Bench(tools)
