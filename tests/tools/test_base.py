"""What a call finds around it, in our graph, a bare ToolNode, `create_agent`, or plain Python."""

from pathlib import Path
from typing import Any

import pytest
import torch
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from PIL import Image

from vitron_agent.errors import InputError, MissingInputError, StorageError
from vitron_agent.graphs import user_turn
from vitron_agent.media import MediaStore, Region
from vitron_agent.signals import SignalEmbeddings, SignalStore, arguments_digest
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call, paint
from vitron_agent.tools import Residents, Toolbox, make_tools
from vitron_agent.tools.arguments import GenerateArguments


def as_call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "args": arguments, "id": "call_9", "type": "tool_call"}


def test_a_bare_tool_node_answers_with_text_and_a_plain_artifact(bench, picture: str) -> None:
    answer = bench.run([user_turn("look", [picture])], "segment_image", {"command": "the red circle"})
    assert answer.status == "success"
    assert answer.content == "Result: the red circle at (0.25, 0.25, 0.50, 0.50), 6.2% of picture 1."
    kept = {key: answer.artifact[key] for key in ("kind", "inputs", "picture", "boxes", "labels", "signals")}
    assert kept == {
        "kind": "mask",
        "inputs": [picture],
        "picture": 1,
        "boxes": [[0.25, 0.25, 0.5, 0.5]],
        "labels": ["the red circle"],
        "signals": None,
    }
    assert all(value is None or isinstance(value, (str, int, float, list)) for value in answer.artifact.values())


@pytest.mark.parametrize("number", [0, -1, 2, 10**30])
def test_a_number_of_no_picture_is_named_with_those_there_are(bench, picture: str, number: int) -> None:
    answer = bench.run([user_turn("look", [picture])], "segment_image", {"command": "it", "picture": number})
    assert answer.content == f"Result: not done: there is no picture '{number}': the conversation has only picture 1"


def test_a_path_in_a_models_call_opens_nothing(bench, picture: str, tmp_path: Path, echo: EchoSpecialist) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"")
    answer = bench.run([user_turn("x", [picture])], "segment_image", {"command": "it", "picture": str(secret)})
    assert answer.status == "error"
    assert "there is no picture" in answer.content
    assert echo.requests == []


def test_create_agent_runs_the_tools_with_their_conversation(tools, picture: str) -> None:
    planner = ScriptedPlanner(replies=[[call("edit_image", command="remove the red circle")], "done"])
    agent = create_agent(planner, list(tools.values()))
    messages = agent.invoke({"messages": [user_turn("remove it", [picture])]})["messages"]
    answers = [message for message in messages if isinstance(message, ToolMessage)]
    assert [answer.status for answer in answers] == ["success"]
    assert answers[0].artifact["inputs"] == [picture]


def test_from_python_a_picture_is_a_handle_or_a_file(tools, store: MediaStore, picture: str, tmp_path: Path) -> None:
    path = store.export(picture, tmp_path / "mine.png")
    by_file = tools["segment_image"].invoke(as_call("segment_image", command="it", picture=str(path)))
    by_handle = tools["segment_image"].invoke(as_call("segment_image", command="it", picture=picture))
    assert by_file.artifact["mask_uri"] == by_handle.artifact["mask_uri"]
    assert by_file.artifact["picture"] is None
    assert by_file.content == "Result: it at (0.25, 0.25, 0.50, 0.50), 6.2% of the picture."


def test_from_python_a_photograph_is_kept_as_it_came(tools, store: MediaStore, tmp_path: Path) -> None:
    path = tmp_path / "mine.jpg"
    Image.fromarray(paint("mine").permute(1, 2, 0).numpy()).save(path)
    made = tools["segment_image"].invoke(as_call("segment_image", command="it", picture=str(path)))
    (handle,) = made.artifact["inputs"]
    assert store.get_bytes(handle) == path.read_bytes()


@pytest.mark.parametrize(
    ("picture", "error"),
    [
        (1, MissingInputError),
        (None, MissingInputError),
        ("no/such/file.png", InputError),
        ("sha256:" + "0" * 64, StorageError),
    ],
)
def test_from_python_mistakes_are_raised(tools, picture: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        tools["segment_image"].invoke({"command": "it", "picture": picture})


@pytest.fixture
def signals() -> SignalEmbeddings:
    return SignalEmbeddings(torch.ones(4, 8), torch.zeros(4, 8))


def with_signals(store: MediaStore, signals: SignalEmbeddings, command: str) -> dict[str, Any]:
    digest = arguments_digest(GenerateArguments(command=command).invocation())
    return {"call_0": {"handle": SignalStore(store).put(signals, digest), "args_digest": digest}}


def test_signals_reach_the_specialist(bench, store, echo: EchoSpecialist, signals: SignalEmbeddings) -> None:
    notes = with_signals(store, signals, "a red circle")
    answer = bench.run([user_turn("draw")], "generate_image", {"command": "a red circle"}, vitron={"signals": notes})
    assert answer.artifact["signals"] == notes["call_0"]["handle"]
    assert torch.equal(echo.requests[0].signals.joined, signals.joined)


def test_an_edited_call_runs_on_its_words_alone(bench, store, echo: EchoSpecialist, signals: SignalEmbeddings) -> None:
    notes = with_signals(store, signals, "a red circle")
    answer = bench.run([user_turn("draw")], "generate_image", {"command": "a blue star"}, vitron={"signals": notes})
    assert (answer.artifact["signals"], echo.requests[0].signals) == (None, None)


def test_signals_can_be_switched_off(bench, store, echo: EchoSpecialist, signals: SignalEmbeddings) -> None:
    notes = with_signals(store, signals, "a red circle")
    box = Toolbox(store, Residents({"gligen": lambda: echo}), use_signals=False)
    without = type(bench)({tool.name: tool for tool in make_tools(box)})
    without.run([user_turn("draw")], "generate_image", {"command": "a red circle"}, vitron={"signals": notes})
    assert echo.requests[0].signals is None


def test_the_seed_is_the_runs_and_moves_with_every_picture(bench, picture: str, echo: EchoSpecialist) -> None:
    for pictures in ([], [picture], [picture, picture]):
        bench.run([user_turn("draw", pictures)], "generate_image", {"command": "x"}, seed=7)
    assert [request.seed for request in echo.requests] == [7, 8, 9]


def test_from_python_the_seed_comes_by_config(tools, echo: EchoSpecialist) -> None:
    tools["generate_image"].invoke({"command": "x"}, {"configurable": {"seed": 5}})
    assert echo.requests[0].seed == 5


@pytest.mark.parametrize("seed", ["x", 1.5, 2**64])
def test_a_seed_that_is_none_is_named(tools, seed: Any) -> None:
    with pytest.raises(InputError, match="seed"):
        tools["generate_image"].invoke({"command": "x"}, {"configurable": {"seed": seed}})


def test_progress_is_streamed(bench) -> None:
    reply = AIMessage("", tool_calls=[{"name": "generate_image", "args": {"command": "x"}, "id": "c"}])
    events = list(bench.graph.stream({"messages": [reply]}, stream_mode="custom"))
    wanted = {"type": "vitron.progress", "module": "A", "tool": "generate_image", "tool_call_id": "c", "total": 2}
    wanted["specialist"] = "gligen"
    assert events == [{**wanted, "step": 1}, {**wanted, "step": 2}]


def test_the_drawn_region_is_found(bench, picture: str, echo: EchoSpecialist) -> None:
    drawn = Region.parse("polygon:0.1,0.1,0.5,0.1,0.3,0.6")
    arguments = {"command": "the object", "region": "drawn"}
    bench.run([user_turn("cut this out", [picture], drawn)], "segment_image", arguments)
    assert echo.requests[0].region == drawn
    answer = bench.run([user_turn("cut this out", [picture])], "segment_image", arguments)
    assert answer.content == "Result: not done: no region was drawn: say in words what is meant, or give a box"


def test_a_drawn_mask_brings_its_pixels(bench, store, picture: str, echo: EchoSpecialist) -> None:
    pixels = torch.zeros(64, 64, dtype=torch.bool)
    pixels[5:20, 7:30] = True
    drawn = Region.from_mask(pixels, store.put_mask(pixels).uri)
    bench.run([user_turn("this", [picture], drawn)], "segment_image", {"command": "the object", "region": "drawn"})
    request: SpecialistRequest = echo.requests[0]
    assert torch.equal(request.mask, pixels)


def test_pictures_of_any_size_keep_their_size(bench, store, echo: EchoSpecialist) -> None:
    wide = store.put_image(paint("wide", 0, 48, 200)).uri
    answer = bench.run([user_turn("x", [wide])], "edit_image", {"command": "remove the circle"})
    assert store.get_image(answer.artifact["uri"]).shape == (3, 48, 200)
    assert echo.requests[-1].mask.shape == (48, 200)
