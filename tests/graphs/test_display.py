"""What a notebook shows of a turn: request, pictures, answer, and nothing that can act."""

from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver

from vitron_agent.errors import CheckpointError
from vitron_agent.graphs import show_turn, user_turn
from vitron_agent.graphs.middleware import make_langchain_agent
from vitron_agent.media import MediaStore, decode_png, show
from vitron_agent.media.display import GAP
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call

from ..pages import HOSTILE, Page, foreign

DRAW, SEGMENT = call("generate_image", command="a star"), call("segment_image", command="the star")


def says(text: str, *pictures: str) -> Any:
    return {"messages": [user_turn(text, pictures)]}


def page_of(source: Any, state: Any) -> Page:
    page = Page(show_turn(source, state)._repr_html_())
    assert foreign(page) == []
    return page


def test_a_turn_shows_request_pictures_and_answer(build, store: MediaStore, picture: str, config: Any) -> None:
    agent, _ = build("Hello.", [DRAW], [SEGMENT], "There it is.", saver=InMemorySaver())
    agent.invoke(says("hello"), config)
    state = agent.invoke(says("draw a star and cut it out", picture), config)
    made = [m.artifact["uri"] for m in state["messages"] if isinstance(m, ToolMessage)]
    page = page_of(agent, state)
    assert page.text == "draw a star and cut it outgenerate_image: a starsegment_image: the starThere it is."
    expected = [Page(show(store, uri).to_html()).sources() for uri in (picture, *made)]
    assert [[source] for source in page.sources()] == expected
    strip = decode_png(show_turn(agent, state)._repr_png_() or b"")
    assert strip.shape == (3, 64, 3 * 64 + 2 * GAP)
    assert torch.equal(strip[:, :, :64], store.get_image(picture))
    assert torch.equal(strip[:, :, -64:], store.get_image(made[-1]))


def test_a_users_video_and_what_became_of_it_are_shown(build, store: MediaStore, config: Any) -> None:
    clip = store.put_video(torch.zeros(3, 3, 16, 16, dtype=torch.uint8), 8.0).uri
    agent, _ = build([call("edit_video", background="change the background to navy")], "Done.", saver=InMemorySaver())
    state = agent.invoke({"messages": [user_turn("make it navy", videos=[clip])]}, config)
    (edited,) = [m.artifact["uri"] for m in state["messages"] if isinstance(m, ToolMessage)]
    page = page_of(agent, state)
    assert "edit_video: change the background to navy" in page.text
    expected = [Page(show(store, uri).to_html()).sources() for uri in (clip, edited)]
    assert [[source] for source in page.sources()] == expected


def test_the_store_and_the_stored_state_do_as_well(build, store: MediaStore, picture: str, config: Any) -> None:
    agent, _ = build([DRAW], "Done.", saver=InMemorySaver())
    state = agent.invoke(says("draw", picture), config)
    kept = agent.get_state(config).values
    assert show_turn(store, kept).to_html() == show_turn(agent, state).to_html()


def test_a_turn_in_words_has_no_picture(build, config: Any) -> None:
    agent, _ = build("It is blue.")
    shown = show_turn(agent, agent.invoke(says("what colour is it?")))
    assert shown._repr_png_() is None
    assert repr(shown) == "> what colour is it?\nIt is blue."
    assert Page(shown._repr_html_()).sources() == []


def test_an_empty_conversation_shows_nothing(build, config: Any) -> None:
    agent, _ = build("Hello.", saver=InMemorySaver())
    assert page_of(agent, agent.get_state(config).values).text == ""


def test_a_copy_of_an_agent_knows_its_store(build, store: MediaStore) -> None:
    agent, _ = build("Hello.")
    assert agent.with_config(tags=["mine"]).media_store is store
    assert make_langchain_agent(ScriptedPlanner(), [], store).media_store is store


def test_lost_pictures_are_said(build, picture: str, tmp_path: Path) -> None:
    agent, _ = build([DRAW], "Done.")
    state = agent.invoke(says("draw", picture))
    page = page_of(MediaStore(tmp_path / "empty"), state)
    assert page.text.count("is not in the media store") == 2
    assert page.text.endswith("Done.")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_word_of_a_turn_can_act(build, echo: EchoSpecialist, picture: str, text: str) -> None:
    agent, _ = build([text, call("generate_image", command=text)], [call(text, command=text)], text)
    page = page_of(agent, agent.invoke(says(text, picture)))
    assert page.text.startswith(text)
    assert page.text.endswith(text)
    assert f"generate_image: {text}" in page.text
    echo.error = CheckpointError(text)
    agent, _ = build([SEGMENT])
    assert f"I could not do that: {text}" in page_of(agent, agent.invoke(says("cut it out", picture))).text


def test_answers_of_other_tools_are_read_as_text(store: MediaStore) -> None:
    calls = [{"name": "weather", "args": {}, "id": "1"}]
    answers = [ToolMessage("<b>sunny</b>", tool_call_id="1", name="weather", artifact=artifact) for artifact in ODD]
    state = {"messages": [HumanMessage("how is it?"), AIMessage("", tool_calls=calls), *answers]}
    page = page_of(store, state)
    assert page.text == "how is it?" + "<b>sunny</b>" * len(ODD)
    assert page.sources() == []


ODD: list[Any] = [None, 7, "sha256:", {"uri": None}, {"uri": "https://example.org/x.png"}, {"uri": ["sha256:"]}]
