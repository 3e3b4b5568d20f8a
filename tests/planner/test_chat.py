"""The chat face: streaming, tool calls, signals and metadata."""

from pathlib import Path

import pytest
import torch
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from pydantic import ValidationError

from vitron_agent.errors import InputError
from vitron_agent.invocation import Invocation, Module
from vitron_agent.media import Folders, MediaSources, MediaStore, encode_png
from vitron_agent.planner import PlannerOutput, VitronPlanner
from vitron_agent.planner.chat import ChatVitron
from vitron_agent.signals import SignalEmbeddings, SignalStore, arguments_digest
from vitron_agent.tools.arguments import SegmentArguments
from vitron_agent.tools.conversation import signal_handle

CALL = Invocation(module=Module.B, command="the star")
TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "description": "-", "parameters": {"type": "object", "properties": {}}},
    }
    for name in ("generate_image", "segment_image", "edit_image")
]


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    """An empty store."""
    return MediaStore(tmp_path)


@pytest.fixture
def scripted(planner: VitronPlanner, monkeypatch: pytest.MonkeyPatch) -> tuple[VitronPlanner, list[object]]:
    """A planner that always says the same, and what it was asked."""
    asked: list[object] = []
    signals = SignalEmbeddings(torch.randn(4, 256), torch.randn(4, 256))

    def stream(turns, modules, settings):  # type: ignore[no-untyped-def]
        asked.extend([turns, modules, settings])
        yield "I will"
        yield " cut it out."
        return PlannerOutput("I will cut it out.", (CALL,), (signals,), 17, 23)

    monkeypatch.setattr(planner, "stream", stream)
    return planner, asked


def test_a_call_comes_with_its_signals(scripted: tuple[VitronPlanner, list[object]], store: MediaStore) -> None:
    chat = ChatVitron(planner=scripted[0], store=store)
    message = chat.bind_tools(TOOLS).invoke("cut out the star")
    assert message.text == "I will cut it out."
    (call,) = message.tool_calls
    assert (call["name"], call["args"]) == ("segment_image", {"command": "the star"})
    assert message.usage_metadata == {"input_tokens": 17, "output_tokens": 23, "total_tokens": 40}
    handle = signal_handle([message], call["id"], SegmentArguments.model_validate(call["args"]))
    assert handle is not None
    found = SignalStore(store).get(handle, arguments_digest(CALL))
    assert found is not None
    assert found.joined.shape == (8, 256)
    edited = SegmentArguments(command="the circle")
    assert signal_handle([message], call["id"], edited) is None
    assert scripted[1][1] == {Module.A, Module.B, Module.C}


def test_text_streams_and_calls_follow(scripted: tuple[VitronPlanner, list[object]], store: MediaStore) -> None:
    chunks = list(ChatVitron(planner=scripted[0], store=store).bind_tools(TOOLS).stream("cut out the star"))
    assert [chunk.content for chunk in chunks[:2]] == ["I will", " cut it out."]
    assert chunks[2].tool_call_chunks[0]["index"] == 1  # 0 belongs to the text
    whole = sum(chunks[1:], chunks[0])
    assert isinstance(whole, AIMessageChunk)
    assert whole.tool_calls[0]["args"] == {"command": "the star"}
    assert list(whole.response_metadata["vitron"]["signals"]) == [whole.tool_calls[0]["id"]]


def test_every_reply_has_its_own_call_ids(scripted: tuple[VitronPlanner, list[object]], store: MediaStore) -> None:
    chat = ChatVitron(planner=scripted[0], store=store)
    assert chat.invoke("x").tool_calls[0]["id"] != chat.invoke("x").tool_calls[0]["id"]


@pytest.mark.parametrize("how", ["off", "no store"])
def test_signals_can_be_left_out(scripted: tuple[VitronPlanner, list[object]], store: MediaStore, how: str) -> None:
    fields = {"store": store, "use_signals": False} if how == "off" else {}
    message = ChatVitron(planner=scripted[0], **fields).invoke("x")
    assert message.response_metadata["vitron"] == {"signals": {}}
    assert message.tool_calls


def test_options_reach_the_decoding(scripted: tuple[VitronPlanner, list[object]]) -> None:
    chat = ChatVitron(planner=scripted[0], temperature=0.5, max_tokens=9, stop=["x"], seed=4, model="other")
    message = chat.invoke("hi")
    settings = scripted[1][2]
    assert (settings.temperature, settings.max_new_tokens, settings.stop, settings.seed) == (0.5, 9, ("x",), 4)  # type: ignore[attr-defined]
    assert message.response_metadata["model_name"] == "other"


def test_options_of_a_call_win_and_none_counts_as_not_given(
    scripted: tuple[VitronPlanner, list[object]],
) -> None:
    chat = ChatVitron(planner=scripted[0], temperature=0.5, max_tokens=9, seed=4)
    chat.invoke("hi", temperature=0, max_tokens=3, seed=5)
    chat.invoke("hi", temperature=None, max_tokens=None, seed=None)
    first, second = scripted[1][2], scripted[1][5]
    assert (first.temperature, first.max_new_tokens, first.seed) == (0, 3, 5)  # type: ignore[attr-defined]
    assert (second.temperature, second.max_new_tokens, second.seed) == (0.5, 9, 4)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "option",
    [
        {"max_tokens": 0},
        {"max_tokens": "5"},
        {"temperature": -1},
        {"temperature": "hot"},
        {"temperature": float("inf")},
        {"seed": 2**64},
        {"seed": "x"},
    ],
)
def test_options_that_cannot_be_are_named(planner: VitronPlanner, option: dict[str, object]) -> None:
    ((name, value),) = option.items()
    with pytest.raises(InputError, match=f"{'max_new_tokens' if name == 'max_tokens' else name} is {value!r}"):
        ChatVitron(planner=planner).invoke("hi", **option)
    with pytest.raises(ValidationError, match=name):
        ChatVitron(planner=planner, **{name: "?" if isinstance(value, str) else value})


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ("any", {Module.A, Module.B, Module.C}),
        ("segment_image", {Module.B}),
        ({"type": "function", "function": {"name": "edit_image"}}, {Module.C}),
        ({"type": "tool", "name": "edit_image"}, {Module.C}),
        ({"type": "any"}, {Module.A, Module.B, Module.C}),
        ("none", set()),
        ({"type": "none"}, set()),
    ],
)
def test_a_choice_of_tools_leaves_those(
    scripted: tuple[VitronPlanner, list[object]], choice: object, left: set[Module]
) -> None:
    ChatVitron(planner=scripted[0]).bind_tools(TOOLS, tool_choice=choice).invoke("hi")
    assert scripted[1][1] == left


@pytest.mark.parametrize("choice", ["dance", {"function": "dance"}, {"type": "dance", "function": {}}])
def test_a_choice_that_is_no_tool_is_named(planner: VitronPlanner, choice: object) -> None:
    with pytest.raises(InputError, match="'dance' is none of the tools: choose of generate_image"):
        ChatVitron(planner=planner).bind_tools(TOOLS, tool_choice=choice)


def test_a_single_stop_text_is_no_list_of_characters(scripted: tuple[VitronPlanner, list[object]]) -> None:
    ChatVitron(planner=scripted[0]).bind(stop="END").invoke("hi")
    assert scripted[1][2].stop == ("END",)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"stop is \[5\]: give texts"):
        ChatVitron(planner=scripted[0]).bind(stop=[5]).invoke("hi")


def test_what_it_can_is_declared(planner: VitronPlanner) -> None:
    profile = ChatVitron(planner=planner).profile
    assert profile is not None
    assert (profile["image_inputs"], profile["video_inputs"], profile["tool_calling"]) == (True, True, True)


def test_structured_output_is_refused_and_not_answered_with_nothing(planner: VitronPlanner) -> None:
    with pytest.raises(NotImplementedError, match="no structured output"):
        ChatVitron(planner=planner).with_structured_output({"title": "A", "type": "object", "properties": {}})


def test_half_characters_are_read_as_unknown_ones(planner: VitronPlanner) -> None:
    chat = ChatVitron(planner=planner, max_tokens=3)
    assert chat.get_token_ids("a \ud800 b") == chat.get_token_ids("a \ufffd b")
    assert chat.invoke("a \ud800 b").usage_metadata is not None


def test_a_conversation_that_ends_with_a_reply_is_refused(planner: VitronPlanner) -> None:
    with pytest.raises(InputError, match="must end with"):
        ChatVitron(planner=planner).invoke([HumanMessage("hi"), AIMessage("Hello.")])


def test_without_tools_no_module_may_be_called(planner: VitronPlanner) -> None:
    message = ChatVitron(planner=planner, temperature=3.0, max_tokens=30).invoke([HumanMessage("draw")])
    assert message.tool_calls == []


def test_pictures_come_from_the_sources_it_was_given(
    scripted: tuple[VitronPlanner, list[object]], tmp_path: Path
) -> None:
    picture = torch.full((3, 8, 8), 7, dtype=torch.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(picture))
    block = {"type": "image", "path": "a.png"}
    ChatVitron(planner=scripted[0], sources=MediaSources(folders=Folders(tmp_path))).invoke([HumanMessage([block])])
    (turn,) = scripted[1][0]  # type: ignore[misc]
    assert torch.equal(turn.pictures[0], picture)
    with pytest.raises(InputError, match=r"MediaSources\(folders"):
        ChatVitron(planner=scripted[0]).invoke([HumanMessage([block])])


def test_a_chat_without_a_planner_says_so() -> None:
    with pytest.raises(TypeError, match="from_pretrained"):
        ChatVitron().invoke("hi")
