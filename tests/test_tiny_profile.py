"""The packaged weights, end to end: draw, edit, segment, ask, and a chain, by the agent and by the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from typer.testing import CliRunner

from vitron_agent.build import build_agent
from vitron_agent.cli import app
from vitron_agent.evaluation.metrics import psnr
from vitron_agent.graphs import user_turn
from vitron_agent.graphs.agent import Agent
from vitron_agent.media import MediaStore, Region, encode_png
from vitron_agent.profiles import TINY
from vitron_agent.shapes.check import read_scene
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import COLOURS, Obj, Scene
from vitron_agent.testing import ScriptedPlanner, call

pytestmark = pytest.mark.skipif(
    any(TINY.missing(part) for part in TINY.parts if part.name != "mappers"), reason="the tiny weights are not there"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MediaStore:
    return MediaStore(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def agent(store: MediaStore) -> Agent:
    return build_agent("tiny", InMemorySaver(), store=store)


def thing(shape: str, colour: str, x: float, y: float, r: float = 0.17) -> Obj:
    return Obj(shape, colour, "large" if r > 0.14 else "small", x, y, r, COLOURS[colour])


TWO = Scene("gray", (thing("circle", "red", 0.27, 0.5), thing("square", "blue", 0.73, 0.5)))


def drawn(scene: Scene) -> torch.Tensor:
    """The scene's picture, uint8 (3, 64, 64)."""
    return (render([scene]).images[0] * 255).round().to(torch.uint8)


class Talk:
    """One conversation with the agent."""

    def __init__(self, agent: Agent, thread: str) -> None:
        self.agent = agent
        self.config: Any = {"configurable": {"thread_id": thread, "seed": 0}}

    def say(self, text: str, *pictures: str, region: Region | None = None) -> list[AnyMessage]:
        known = len(self.agent.get_state(self.config).values.get("messages", []))
        inputs: Any = {"messages": [user_turn(text, pictures, region)]}
        return self.agent.invoke(inputs, self.config)["messages"][known + 1 :]


def calls(messages: list[AnyMessage]) -> list[str]:
    return [call["name"] for m in messages if isinstance(m, AIMessage) for call in m.tool_calls]


def results(messages: list[AnyMessage]) -> list[dict[str, Any]]:
    return [message.artifact for message in messages if isinstance(message, ToolMessage)]


def things(store: MediaStore, uri: str) -> set[tuple[str, str]]:
    return {(found.colour, found.shape) for found in read_scene(store.get_image(uri)).scene.objects}


def test_specialists_carry_out_a_scripted_chain(store: MediaStore) -> None:
    """What the packaged specialists can do when they are told exactly; how well the planner tells them is evaluated."""
    layout = [
        {"phrase": "large red circle", "box": [0.08, 0.33, 0.42, 0.67]},
        {"phrase": "large blue square", "box": [0.58, 0.33, 0.92, 0.67]},
    ]
    words = "a large red circle on the left and a large blue square on the right on a gray background"
    planner = ScriptedPlanner(
        replies=[
            [call("generate_image", command=words, layout=layout)],
            [call("edit_image", command="replace the red circle with a yellow circle", region=layout[0]["box"])],
            [call("edit_image", command="change the background to navy")],
            [call("segment_image", command="everything")],
            "Done.",
        ]
    )
    scripted = build_agent("tiny", InMemorySaver(), store=store, planner=planner)
    drawn_, edited, ground, found = results(Talk(scripted, "scripted").say("do it all"))
    assert things(store, drawn_["uri"]) == {("red", "circle"), ("blue", "square")}
    assert things(store, edited["uri"]) == {("yellow", "circle"), ("blue", "square")}
    assert read_scene(store.get_image(ground["uri"])).scene.background == "navy"
    assert found["inputs"] == [ground["uri"]]
    assert 0.05 < float(store.get_mask(found["mask_uri"]).float().mean()) < 0.5


def test_a_request_becomes_a_picture_of_the_asked_background(agent: Agent, store: MediaStore) -> None:
    done = Talk(agent, "draw").say("Draw a red circle on a navy background.")
    assert calls(done) == ["generate_image"]
    assert read_scene(store.get_image(results(done)[0]["uri"])).scene.background == "navy"


def test_a_video_of_words_is_drawn_and_set_in_motion(agent: Agent) -> None:
    """That both are called; how well I2VGen-XL moves things is evaluated."""
    done = Talk(agent, "film").say("Make a video of a red circle moving to the right on a gray background.")
    assert calls(done) == ["generate_image", "animate_image"]


def test_an_addition_names_its_place_in_words(agent: Agent, store: MediaStore) -> None:
    talk = Talk(agent, "add")
    talk.say("Draw a blue square at the top right on a gray background.")
    (added,) = results(talk.say("Add a red circle at the bottom left."))
    (circle,) = [o for o in read_scene(store.get_image(added["uri"])).scene.objects if o.colour == "red"]
    assert circle.x < 0.5 < circle.y


def test_signals_reach_every_specialist(agent: Agent) -> None:
    done = Talk(agent, "signals").say("Draw a red circle on a navy background.")
    assert results(done)[0]["signals"] is not None


@pytest.mark.parametrize("kind", ["click:0.73,0.5", "box:0.54,0.31,0.92,0.69", "scribble:0.65,0.45,0.8,0.55"])
def test_a_drawn_region_is_cut_out(agent: Agent, store: MediaStore, kind: str) -> None:
    scene = render([TWO])
    done = Talk(agent, kind).say("Cut this out.", store.put_image(drawn(TWO)).uri, region=Region.parse(kind))
    mask, truth = store.get_mask(results(done)[0]["mask_uri"]), scene.masks[0][1]
    assert float((mask & truth).sum() / (mask | truth).sum()) > 0.8


def test_without_a_picture_nothing_is_segmented_or_edited(agent: Agent) -> None:
    for thread, words in enumerate(("Segment the red circle.", "Remove the star.", "What is in the picture?")):
        first = next(m for m in Talk(agent, f"nothing {thread}").say(words) if isinstance(m, AIMessage))
        assert not {call["name"] for call in first.tool_calls} & {"segment_image", "edit_image"}


def test_the_command_line_does_the_same(tmp_path: Path) -> None:
    (tmp_path / "two.png").write_bytes(encode_png(drawn(TWO)))
    arguments = [
        "run",
        "Segment the blue square.",
        "--image",
        str(tmp_path / "two.png"),
        "--json",
        "--out",
        str(tmp_path),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    call = json.loads(done.stdout)["turns"][0]["calls"][0]
    assert (call["module"], call["inputs"]) == ("B", [str(tmp_path / "two.png")])
    assert Path(call["output"]["mask_path"]).is_file()


def test_a_picture_is_set_in_motion(store: MediaStore) -> None:
    layout = [{"phrase": "large red circle", "box": [0.08, 0.33, 0.42, 0.67]}]
    replies = [
        [call("generate_image", command="a large red circle on the left on a gray background", layout=layout)],
        [call("animate_image", command="the red circle moves right")],
        "Done.",
    ]
    scripted = build_agent("tiny", InMemorySaver(), store=store, planner=ScriptedPlanner(replies=replies))
    picture, video = results(Talk(scripted, "motion").say("do it"))
    frames, _ = store.get_video(video["uri"])
    assert video["inputs"] == [picture["uri"]]
    assert frames.shape == (8, 3, 64, 64)
    assert psnr(frames[0], store.get_image(picture["uri"])) > 28
    first, last = (read_scene(frames[index]).scene.objects for index in (0, -1))
    assert {obj.colour for obj in last} == {"red"}
    assert max(obj.x for obj in last) > first[0].x + 0.1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (300, 2), (3, 3)])
def test_pictures_of_odd_sizes_are_read_and_worked_on(agent: Agent, store: MediaStore, height: int, width: int) -> None:
    """A pixel is a picture too: the planner reads it, specialists find nothing or something, and the talk goes on."""
    picture = store.put_image(torch.full((3, height, width), 200, dtype=torch.uint8)).uri
    talk = Talk(agent, f"{height}x{width}")
    assert talk.say("what is in the picture?", picture)[-1].text
    script = [
        [call("segment_image", command="everything"), call("edit_image", command="change the background to navy")],
        "That is all.",
    ]
    scripted = build_agent("tiny", InMemorySaver(), store=store, planner=ScriptedPlanner(replies=script))
    messages = Talk(scripted, "odd").say("do what you can", picture)
    assert messages[-1].text == "That is all."
    made = [result["uri"] for result in results(messages) if result and result["kind"] == "image"]
    assert all(store.get_image(uri).shape == (3, height, width) for uri in made)
