"""The tool that sets pictures in motion, over an echo specialist."""

from typing import Any

import pytest
import torch
from langchain_core.messages import HumanMessage

from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoVideoMaker, paint
from vitron_agent.tools import Residents, Toolbox


@pytest.fixture
def echo() -> EchoVideoMaker:
    return EchoVideoMaker()


@pytest.fixture
def toolbox(store: MediaStore, echo: EchoVideoMaker) -> Toolbox:
    return Toolbox(store, Residents({"i2vgen_xl": lambda: echo}))


def shown(*handles: str) -> HumanMessage:
    return HumanMessage([{"type": "image", "file_id": handle} for handle in handles])


def test_the_video_begins_with_the_picture(bench: Any, store: MediaStore, picture: str) -> None:
    answer = bench.run([shown(picture)], "animate_image", {"command": "it moves left"})
    assert answer.content == "Result: done."
    assert {key: answer.artifact[key] for key in ("kind", "inputs", "picture")} == {
        "kind": "video",
        "inputs": [picture],
        "picture": 1,
    }
    frames, fps = store.get_video(answer.artifact["uri"])
    assert fps == 8.0
    seen = store.get_image(picture)
    assert (frames[0].int() - seen.int()).abs().max() < 6  # a stored video is a little lossy
    assert (frames[1].int() - seen.int()).abs().max() > 20


def test_the_latest_picture_or_the_numbered_one_is_taken(bench: Any, store: MediaStore, echo: EchoVideoMaker) -> None:
    handles = [store.put_image(paint(name)).uri for name in ("one", "two")]
    for wanted, index in ((None, 1), (1, 0), (handles[0], 0)):
        arguments = {"command": "it grows", **({} if wanted is None else {"picture": wanted})}
        bench.run([shown(*handles)], "animate_image", arguments, seed=index)
        assert torch.equal(echo.requests[-1].image, store.get_image(handles[index]))


def test_without_a_picture_nothing_moves(bench: Any, echo: EchoVideoMaker) -> None:
    answer = bench.run([HumanMessage("animate it")], "animate_image", {"command": "it grows"})
    assert answer.status == "error"
    assert "there is no picture in this conversation yet" in answer.content
    assert echo.requests == []


def test_the_tool_works_on_a_handle_outside_a_conversation(tools: dict[str, Any], picture: str) -> None:
    call = {
        "type": "tool_call",
        "id": "1",
        "name": "animate_image",
        "args": {"command": "it grows", "picture": picture},
    }
    assert tools["animate_image"].invoke(call).artifact["picture"] is None
    assert set(tools["animate_image"].tool_call_schema.model_fields) == {"command", "picture"}
