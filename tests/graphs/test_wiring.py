"""The loop as a whole: what is called when, what is kept, and what happens when something fails."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from vitron_agent.errors import CheckpointError, StorageError
from vitron_agent.graphs import user_turn
from vitron_agent.graphs.nodes import error_of
from vitron_agent.graphs.state import payload_path
from vitron_agent.media import MediaStore, Region
from vitron_agent.testing import call, paint

DRAW = call("generate_image", command="a red circle", layout=[{"phrase": "red circle", "box": [0.1, 0.1, 0.4, 0.4]}])
SEGMENT = call("segment_image", command="the red circle")
EDIT = call("edit_image", command="replace the red circle with a blue circle")


def kinds(messages: list[AnyMessage]) -> str:
    return " ".join({"human": "user", "ai": "ai", "tool": f"tool:{getattr(m, 'status', '')}"}[m.type] for m in messages)


def say(agent: Any, text: str, config: Any = None, *pictures: str, region: Region | None = None) -> dict[str, Any]:
    return agent.invoke({"messages": [user_turn(text, pictures, region)]}, config)


def test_words_alone_end_the_turn(build) -> None:
    agent, planner = build("I can draw, segment and edit.")
    out = say(agent, "what can you do?")
    assert kinds(out["messages"]) == "user ai"
    assert (out["rounds"], out["media"], len(planner.seen)) == (1, [], 1)


def test_a_chain_of_calls_goes_round_until_the_planner_is_done(build) -> None:
    agent, planner = build(["I draw.", DRAW], ["Next.", EDIT], ["Next.", SEGMENT], "Done.")
    out = say(agent, "draw a red circle, make it blue, cut it out")
    assert kinds(out["messages"]) == "user ai tool:success ai tool:success ai tool:success ai"
    assert [entry["number"] for entry in out["media"]] == [1, 2]
    assert [entry["origin"] for entry in out["media"]] == ["generate_image", "edit_image"]
    assert out["messages"][-2].artifact["picture"] == 2
    assert out["rounds"] == 4
    assert kinds(planner.seen[1]) == "user ai tool:success"


def test_calls_of_one_reply_run_side_by_side(build) -> None:
    agent, planner = build([DRAW, call("generate_image", command="a star")], "Two pictures.")
    steps = [list(part) for part in agent.stream({"messages": [user_turn("draw two")]}, stream_mode="updates")]
    assert [step for step in steps if step == ["generate_image"]] == [["generate_image"], ["generate_image"]]
    assert steps.count(["observe"]) == 1
    assert len(planner.seen) == 2


def test_a_call_that_needs_anothers_picture_waits_for_it(build) -> None:
    agent, _ = build([DRAW, EDIT, SEGMENT], "All done.")
    out = say(agent, "draw, edit, segment")
    drawn, edited, segmented = (m for m in out["messages"] if isinstance(m, ToolMessage))
    assert edited.artifact["inputs"] == [drawn.artifact["uri"]]
    assert segmented.artifact["inputs"] == [edited.artifact["uri"]]
    assert out["rounds"] == 2


def test_a_call_whose_picture_was_never_made_is_answered(build) -> None:
    agent, _ = build([call("edit_image", command="remove the unicorn"), SEGMENT], "Sorry.")
    out = agent.invoke({"messages": [HumanMessage("x")]})
    answers = [m.content for m in out["messages"] if isinstance(m, ToolMessage)]
    assert answers == [
        "Result: not done: there is no picture in this conversation yet: draw one, or ask the user for one",
        "Result: not done: the call before it failed",
    ]


def test_a_retryable_error_goes_back_to_the_planner(build, picture: str) -> None:
    agent, planner = build([call("segment_image", command="the unicorn")], [SEGMENT], "Here.")
    out = say(agent, "cut out the unicorn", None, picture)
    assert kinds(out["messages"]) == "user ai tool:error ai tool:success ai"
    assert planner.seen[1][-1].content == "Result: not done: 'the unicorn' is not in the picture"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"command": ""}, "command: String should have at least 1 character"),
        ({}, "command: Field required"),
        ({"command": "it", "region": [0.5, 0.1, 0.2, 0.3]}, "left edge 0.5 lies beyond its right edge 0.2"),
        ({"command": "it", "picture": 7}, "there is no picture '7': the conversation has only picture 1"),
        ({"command": "it", "picture": "/etc/passwd"}, "there is no picture '/etc/passwd'"),
        ({"command": "x" * 3000}, "at most 2000 characters"),
        ({"command": "x" * 10**6}, "its arguments have 1,000,015 characters"),
        ({"command": "it", "region": [float("nan"), 0.1, 0.2, 0.3]}, "nan"),
        ({"command": "it", "region": [-3.0, 0.1, 7.5, 0.3]}, "region: -3 is not in [0, 1]"),
    ],
)
def test_bad_arguments_are_answered_in_one_line(build, picture: str, arguments: dict, said: str) -> None:
    agent, _ = build([call("segment_image", **arguments)], "Sorry.")
    answer = say(agent, "x", None, picture)["messages"][-2]
    assert answer.status == "error"
    assert answer.content.startswith("Result: not done: ")
    assert said in answer.content
    assert len(answer.content) < 300


@pytest.mark.parametrize(
    ("name", "said"),
    [("delete_all_files", "there is no tool 'delete_all_files'"), ("generate_video", "generate_video is not at hand")],
)
def test_a_tool_that_is_not_there_is_answered(build, name: str, said: str) -> None:
    agent, _ = build([call(name, command="x")], "Sorry.")
    answer = say(agent, "x")["messages"][-2]
    assert (answer.status, said in answer.content) == ("error", True)


def test_a_call_that_cannot_be_read_is_answered(build) -> None:
    agent, planner = build([{"name": "segment_image", "args": "{broken"}], "Sorry.")
    out = say(agent, "x")
    assert kinds(out["messages"]) == "user ai tool:error ai"
    assert len(planner.seen) == 2


def test_a_final_error_of_a_tool_ends_the_turn_with_its_text(build, echo, picture: str, config: Any) -> None:
    agent, planner = build([SEGMENT, EDIT], "again", saver=InMemorySaver())
    echo.error = CheckpointError("weights of seem are truncated: install them again")
    out = say(agent, "cut it out", config, picture)
    assert kinds(out["messages"]) == "user ai tool:error tool:error ai"
    assert out["messages"][-1].content == "I could not do that: weights of seem are truncated: install them again"
    assert error_of(out["messages"][-1])["type"] == "CheckpointError"
    assert len(planner.seen) == 1
    echo.error = None
    assert say(agent, "thanks anyway", config)["messages"][-1].content == "again"


def test_calls_that_waited_are_answered_when_the_turn_ends(build, echo, picture: str) -> None:
    agent, _ = build([EDIT, SEGMENT])
    echo.error = StorageError("disk full")
    messages = say(agent, "x", None, picture)["messages"]
    assert [m.content for m in messages if isinstance(m, ToolMessage)] == [
        "Result: not done: disk full",
        "Result: not done: the turn has ended",
    ]


def test_a_final_error_of_the_planner_ends_the_turn_and_spoils_nothing(build, config: Any) -> None:
    agent, _ = build(CheckpointError("planner weights are gone"), "Here I am.", saver=InMemorySaver())
    assert "planner weights are gone" in say(agent, "hi", config)["messages"][-1].content
    assert say(agent, "hi again", config)["messages"][-1].content == "Here I am."


def test_a_fault_of_ours_is_raised_and_the_next_turn_repairs(build, echo, picture: str, config: Any) -> None:
    agent, planner = build([SEGMENT], "fine", saver=InMemorySaver())
    echo.error = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        say(agent, "x", config, picture)
    echo.error = None
    out = say(agent, "still there?", config)
    assert kinds(out["messages"]) == "user ai tool:error user ai"
    assert kinds(planner.seen[-1]) == "user ai tool:error user"
    assert out["messages"][2].content == "Result: not done: it was interrupted"


def test_a_turn_has_a_budget_of_rounds(build, picture: str, config: Any) -> None:
    agent, planner = build([SEGMENT], saver=InMemorySaver(), rounds=3)
    out = say(agent, "for ever", config, picture)
    assert len(planner.seen) == 3
    assert kinds(out["messages"]) == "user ai tool:success ai tool:success ai tool:error ai"
    assert "more than 3 steps" in out["messages"][-1].content
    planner.replies = ["fresh"]
    assert say(agent, "and now?", config)["rounds"] == 1


def test_the_default_budget_is_eight(build, picture: str) -> None:
    agent, planner = build([SEGMENT])
    say(agent, "for ever", None, picture)
    assert len(planner.seen) == 8


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (HumanMessage("   "), "the request is empty"),
        (HumanMessage("x" * 8001), "8,001 characters"),
        (HumanMessage([{"type": "image", "url": "http://127.0.0.1/x"}, {"type": "text", "text": "x"}]), "not opened"),
    ],
)
def test_an_unusable_message_is_answered_and_kept_out(build, message: HumanMessage, said: str, config: Any) -> None:
    agent, planner = build("Hello.", saver=InMemorySaver())
    out = agent.invoke({"messages": [message]}, config)
    assert said in out["messages"][-1].content
    assert planner.seen == []
    out = say(agent, "hi", config)
    assert out["messages"][-1].content == "Hello."
    assert out["messages"][0].content == "(This message could not be read.)"


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseCheckpointSaver]:
    if request.param == "memory":
        yield InMemorySaver()
        return
    with closing(sqlite3.connect(tmp_path / "talk.sqlite", check_same_thread=False)) as connection:
        yield SqliteSaver(connection)


def test_a_conversation_goes_on_where_it_was(build, saver: BaseCheckpointSaver, picture: str, config: Any) -> None:
    first, _ = build([SEGMENT], "Here.", saver=saver)
    say(first, "cut it out", config, picture, region=Region.from_box(0.1, 0.1, 0.4, 0.4))
    second, planner = build([EDIT], "Blue.", saver=saver)
    out = say(second, "make it blue", config)
    assert kinds(out["messages"]) == "user ai tool:success ai user ai tool:success ai"
    assert out["messages"][-2].artifact["inputs"] == [picture]
    assert kinds(planner.seen[0]) == "user ai tool:success ai user"
    assert planner.seen[0][0].additional_kwargs["vitron"]["region"]["kind"] == "box"


def test_the_table_of_media_follows_when_messages_are_removed(
    build, saver: BaseCheckpointSaver, picture: str, store: MediaStore, config: Any
) -> None:
    """An application may shorten a conversation: the table must go on naming the pictures that tools mean."""
    agent, _ = build([DRAW], "Here.", [SEGMENT], "Cut out.", saver=saver)
    first = say(agent, "draw a red circle", config, picture)
    agent.update_state(config, {"messages": [RemoveMessage(id=first["messages"][0].id)]})
    newest = store.put_image(paint("another picture")).uri
    out = say(agent, "cut it out", config, newest)
    assert out["messages"][-2].artifact["picture"] == 2
    assert [(entry["number"], entry["origin"]) for entry in out["media"]] == [(1, "generate_image"), (2, "user")]
    assert out["media"][-1]["uri"] == newest
    assert agent.get_state(config).values["media"] == out["media"]  # as a reader of the stored steps sees it


def test_what_is_kept_is_small_and_plain(build, saver: BaseCheckpointSaver, picture: str, config: Any) -> None:
    agent, _ = build([DRAW, SEGMENT], [EDIT], "Done.", saver=saver)
    say(agent, "do it all", config, picture, region=Region.from_box(0.1, 0.1, 0.4, 0.4))
    for snapshot in agent.get_state_history(config):
        assert payload_path(snapshot.values) is None
    size = sum(len(str(snapshot.values)) for snapshot in [agent.get_state(config)])
    assert size < 10_000


def test_a_resumed_run_repeats_only_what_was_not_finished(build, saver, echo, picture: str, config: Any) -> None:
    agent, planner = build([SEGMENT, call("generate_image", command="a star")], "Both.", saver=saver)
    run, ran, segmented, killed = echo.run, [], threading.Event(), threading.Event()

    def break_generation(request: Any, progress: Any) -> Any:
        if request.image is None and not killed.is_set():
            segmented.wait(30)
            killed.set()
            time.sleep(0.1)  # the other task's result is being written
            raise ConnectionError("killed")
        result = run(request, progress)
        ran.append(request.command)
        segmented.set()
        return result

    echo.run = break_generation
    with pytest.raises(ConnectionError):
        say(agent, "both", config, picture)
    out = agent.invoke(None, config)
    assert kinds(out["messages"]) == "user ai tool:success tool:success ai"
    assert ran == ["the red circle", "a star"]
    assert len(planner.seen) == 2


async def test_the_agent_runs_asynchronously(build, picture: str) -> None:
    agent, _ = build([SEGMENT], "Here.")
    out = await agent.ainvoke({"messages": [user_turn("cut it out", [picture])]})
    assert kinds(out["messages"]) == "user ai tool:success ai"


async def test_errors_are_the_same_asynchronously(build, echo, picture: str) -> None:
    agent, _ = build([call("segment_image", command="the unicorn")], [SEGMENT], "Here.")
    echo.error = None
    out = await agent.ainvoke({"messages": [user_turn("x", [picture])]})
    assert kinds(out["messages"]) == "user ai tool:error ai tool:success ai"
    echo.error = StorageError("disk full")
    agent, _ = build([call("segment_image", command="the blue square")])
    out = await agent.ainvoke({"messages": [user_turn("x", [picture])]})
    assert out["messages"][-1].content == "I could not do that: disk full"


def test_text_and_progress_can_be_streamed(build) -> None:
    agent, _ = build(["I draw ", "a circle.", DRAW], "Done.")
    parts = list(agent.stream({"messages": [user_turn("x")]}, stream_mode=["messages", "custom"], version="v2"))
    text = [p["data"][0].text for p in parts if p["type"] == "messages" and p["data"][1]["langgraph_node"] == "plan"]
    assert [t for t in text if t] == ["I draw ", "a circle.", "Done."]
    assert [p["data"]["step"] for p in parts if p["type"] == "custom"] == [1, 2]


def test_the_picture_of_the_graph_shows_every_tool(build) -> None:
    drawing = build("x")[0].get_graph().draw_mermaid()
    for edge in ("ingest -.-> repair", "plan -.-> edit_image", "edit_image --> observe", "observe -.-> plan"):
        assert edge in drawing


def test_ai_messages_keep_their_signals(build, store) -> None:
    agent, planner = build([DRAW], "Done.")
    planner.signals = {0: {"handle": "sha256:" + "0" * 64, "args_digest": "other"}}
    message = next(m for m in say(agent, "x")["messages"] if isinstance(m, AIMessage))
    assert message.response_metadata["vitron"]["signals"]["call_0"]["args_digest"] == "other"
