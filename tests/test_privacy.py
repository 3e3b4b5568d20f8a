"""What leaves the machine: nothing unless asked; with tracing on, handles and words, no pixels of ours."""

import base64
import json
import socket
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from langchain_core.messages import AIMessage, HumanMessage, trim_messages
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run
from langgraph.checkpoint.memory import InMemorySaver

from vitron_agent.build import build_agent, build_planner
from vitron_agent.graphs import user_turn
from vitron_agent.media import MediaStore, encode_png
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call, paint

SPECIALISTS = {name: EchoSpecialist for name in ("gligen", "gligen_inpaint", "seem", "stable_video")}
CONFIG: Any = {"configurable": {"thread_id": "talk"}}
TRACING = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note, and refuse, every look-up of a name and every connection."""
    tried: list[str] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        tried.append(repr(arguments))
        raise OSError("no network in this test")

    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    return tried


class Recorder(BaseTracer):
    """Keeps what a tracing backend would be sent: every run's inputs and outputs, as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str]] = []

    def _persist_run(self, run: Run) -> None:
        """Take in a finished tree of runs."""
        self._keep(run)

    def _keep(self, run: Run) -> None:
        self.sent.append((run.name, json.dumps([run.inputs, run.outputs, run.extra, run.events], default=repr)))
        for child in run.child_runs:
            self._keep(child)

    def naming(self, text: str) -> list[str]:
        """Names of the runs that hold a text."""
        return [name for name, sent in self.sent if text in sent]


def test_a_whole_run_of_the_default_agent_opens_no_connection(
    store: MediaStore, network: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in TRACING:
        monkeypatch.delenv(name, raising=False)
    agent = build_agent(store=store, checkpointer=InMemorySaver())
    agent.invoke({"messages": [user_turn("draw a red circle on a gray background")]}, CONFIG)
    agent.invoke({"messages": [user_turn("what is in the picture?")]}, CONFIG)
    assert network == []


def test_an_agent_shown_in_a_notebook_opens_no_connection(store: MediaStore, network: list[str]) -> None:
    shown = build_agent(store=store, planner=ScriptedPlanner(), specialists=SPECIALISTS)._repr_mimebundle_()
    assert network == []
    assert shown["text/markdown"].startswith("```mermaid\n")
    assert "ingest --" in shown["text/markdown"] or "ingest -." in shown["text/markdown"]


def test_counting_tokens_opens_no_connection(store: MediaStore, network: list[str]) -> None:
    planner = build_planner(store=store)
    words = [HumanMessage("a red circle"), AIMessage("I will draw it."), HumanMessage("thanks")]
    seen = user_turn("a red circle", [store.put_image(paint("a photo"))])
    assert planner.get_num_tokens("a red circle") > 2
    assert planner.get_num_tokens_from_messages([seen]) > planner.get_num_tokens_from_messages(words[:1])
    kept = trim_messages(words, max_tokens=12, token_counter=planner, start_on="human")
    assert [message.text for message in kept] == ["thanks"]
    assert network == []


@pytest.mark.parametrize("url", ["https://example.com/a.png", "http://93.184.215.14/a.png"])
def test_an_address_in_a_message_is_not_opened_by_default(store: MediaStore, network: list[str], url: str) -> None:
    agent = build_agent(store=store, planner=ScriptedPlanner(replies=["Hm."]), specialists=SPECIALISTS)
    out = agent.invoke({"messages": [HumanMessage([{"type": "image", "url": url}, {"type": "text", "text": "look"}])]})
    assert "MediaSources(downloads=Downloads())" in out["messages"][-1].text
    assert network == []


def test_the_guard_sees_a_look_up(network: list[str]) -> None:
    with pytest.raises(OSError, match="no network"):
        socket.create_connection(("example.com", 80))
    assert len(network) == 1


def traced(store: MediaStore, message: HumanMessage) -> Recorder:
    """Run two turns, the first one's message given, under a tracer."""
    recorder = Recorder()
    planner = ScriptedPlanner(replies=[[call("segment_image", command="it")], "Here.", "You are welcome."])
    agent = build_agent(store=store, planner=planner, specialists=SPECIALISTS, checkpointer=InMemorySaver())
    config = {**CONFIG, "callbacks": [recorder], "run_id": UUID(int=1)}
    agent.invoke({"messages": [message]}, config)
    agent.invoke({"messages": [user_turn("thanks")]}, {**config, "run_id": UUID(int=2)})
    return recorder


def test_traces_of_a_conversation_by_handles_hold_no_pixels(store: MediaStore) -> None:
    image = paint("a photo")
    data = base64.b64encode(encode_png(image)).decode()
    ref = store.put_image(image)
    recorder = traced(store, user_turn("cut it out", [ref]))
    assert {"vitron", "ingest", "plan", "segment_image", "observe"} <= {name for name, _ in recorder.sent}
    assert recorder.naming(data[:60]) == []
    assert recorder.naming("tensor(") == []
    assert recorder.naming(ref.uri)
    assert max(len(sent) for _, sent in recorder.sent) < 20_000


def test_a_raw_base64_picture_becomes_a_handle_before_it_is_traced(store: MediaStore) -> None:
    image = paint("a photo")
    data = base64.b64encode(encode_png(image)).decode()
    block = {"type": "image", "base64": data, "mime_type": "image/png"}
    recorder = traced(store, HumanMessage([block, {"type": "text", "text": "cut it out"}]))
    assert recorder.naming(data[:60]) == []
    assert "vitron" in recorder.naming(store.put_image(image).uri)


def test_a_picture_that_is_none_is_traced_as_it_came(store: MediaStore) -> None:
    """The limit of the promise: only what can be read becomes a handle. docs/privacy.md says so."""
    data = base64.b64encode(b"no picture, but somebody's file " * 4).decode()
    block = {"type": "image", "base64": data, "mime_type": "image/png"}
    recorder = traced(store, HumanMessage([block, {"type": "text", "text": "cut it out"}]))
    leaking = set(recorder.naming(data[:60]))
    assert "vitron" in leaking
    assert leaking.isdisjoint({"repair", "plan", "segment_image", "observe"})
