"""LangChain messages to turns, calls to arguments and back."""

import base64
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from vitron_agent.errors import InputError, StorageError
from vitron_agent.invocation import GroundedPhrase, Invocation, Module
from vitron_agent.media import Downloads, Folders, MediaKind, MediaSources, MediaStore, Region, encode_png
from vitron_agent.planner.messages import Seen, invocation_of, read_turns, tool_arguments, tool_modules
from vitron_agent.planner.processor import AssistantTurn, UserTurn
from vitron_agent.planner.stored import pixels_of
from vitron_agent.signals import arguments_digest
from vitron_agent.tools.arguments import EditArguments, GenerateArguments, SegmentArguments, ToolArguments

RED = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None].expand(3, 8, 8).clone()
BLUE = RED.flip(0)
IMAGE, VIDEO = MediaKind.IMAGE, MediaKind.VIDEO


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    """An empty store."""
    return MediaStore(tmp_path)


def image(handle: str) -> dict[str, str]:
    return {"type": "image", "file_id": handle, "mime_type": "image/png"}


def test_a_conversation_with_a_call_becomes_turns(store: MediaStore) -> None:
    red, blue = store.put_image(RED).uri, store.put_image(BLUE).uri
    region = Region.parse("click:0.5,0.5").model_dump(mode="json")
    call = {"name": "edit_image", "args": {"command": "remove the star", "region": "drawn"}, "id": "c1"}
    turns = read_turns(
        [
            SystemMessage("be nice"),
            HumanMessage(
                [image(red), {"type": "text", "text": "remove this"}], additional_kwargs={"vitron": {"region": region}}
            ),
            AIMessage("I will edit it.", tool_calls=[call]),
            ToolMessage("Result: done.", tool_call_id="c1", artifact={"kind": "image", "uri": blue}),
        ],
        store,
    )
    assert len(turns) == 3
    first, said, result = turns
    assert isinstance(first, UserTurn)
    assert isinstance(result, UserTurn)
    assert (first.text, result.text) == ("remove this", "Result: done.")
    assert [pixels_of(turn.pictures[0]).equal(wanted) for turn, wanted in ((first, RED), (result, BLUE))] == [
        True,
        True,
    ]
    assert first.regions[0].number == 1
    assert first.regions[0].mask[32, 32]
    assert said == AssistantTurn(
        "I will edit it.", (Invocation(module=Module.C, command="remove the star", uses_drawn_region=True),)
    )


def test_turns_of_one_side_that_follow_each_other_become_one(store: MediaStore) -> None:
    handles = [store.put_image(RED).uri, store.put_image(BLUE).uri]
    turns = read_turns(
        [HumanMessage([image(handles[0])]), HumanMessage([image(handles[1]), {"type": "text", "text": "hi"}])], store
    )
    assert len(turns) == 1
    assert isinstance(turns[0], UserTurn)
    assert len(turns[0].pictures) == 2
    assert turns[0].text.strip() == "hi"


def test_results_that_failed_add_no_picture_and_are_marked(store: MediaStore) -> None:
    uri = store.put_image(RED).uri
    message = ToolMessage("not done: no star", tool_call_id="c", status="error", artifact={"kind": "image", "uri": uri})
    turn = read_turns([message], store)[0]
    assert turn == UserTurn("Result: not done: no star")


@pytest.mark.parametrize(
    "artifact", [{"kind": "image"}, {"kind": "video", "uri": 5}, {"kind": "image", "uri": "/etc/passwd"}, ["x"], "x"]
)
def test_what_other_tools_return_is_no_picture(artifact: object) -> None:
    message = ToolMessage("Result: sunny", tool_call_id="c", artifact=artifact)
    assert read_turns([message], None) == [UserTurn("Result: sunny")]


def test_pictures_in_the_content_of_other_tools_results_are_seen(store: MediaStore) -> None:
    handle, data = store.put_image(RED).uri, base64.b64encode(encode_png(BLUE)).decode()
    blocks = [
        {"type": "text", "text": "two views"},
        image(handle),
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
    ]
    asked = AIMessage(
        "", tool_calls=[{"name": "segment_image", "args": {"command": "it", "picture": handle}, "id": "d"}]
    )
    turn, call = read_turns([ToolMessage(blocks, tool_call_id="c"), asked, HumanMessage("hi")], store)[:2]
    assert isinstance(turn, UserTurn)
    assert turn.text == "Result: two views"
    pairs = zip(turn.pictures, (RED, BLUE), strict=True)
    assert [pixels_of(picture).equal(wanted) for picture, wanted in pairs] == [True, True]
    assert call == AssistantTurn("", (Invocation(module=Module.B, command="it", media=1),))
    (alone,) = read_turns([ToolMessage(blocks[1:2], tool_call_id="c")], store)
    assert isinstance(alone, UserTurn)
    assert (alone.text, len(alone.pictures)) == ("Result: done.", 1)


@pytest.mark.parametrize(
    ("block", "more"),
    [
        ({"type": "image", "url": "https://example.com/a.png"}, {}),
        ({"type": "image", "path": "/etc/passwd"}, {}),
        ({"type": "audio", "base64": "AA=="}, {}),
        ({"type": "image", "base64": "AA=="}, {"status": "error"}),
        ({"type": "json", "json": {}}, {}),
    ],
)
def test_what_a_result_does_not_carry_itself_is_not_opened(block: dict[str, Any], more: dict[str, Any]) -> None:
    sources = MediaSources(Downloads(), Folders("/"))
    message = ToolMessage([{"type": "text", "text": "sunny"}, block], tool_call_id="c", **more)
    assert read_turns([message], None, sources) == [UserTurn("Result: sunny")]


def test_a_picture_that_is_none_in_a_result_is_named() -> None:
    broken = {"type": "image", "base64": "AA=="}
    with pytest.raises(InputError, match="picture"):
        read_turns([ToolMessage([broken], tool_call_id="c")], None)


@pytest.mark.parametrize("notes", ["x", ["x"], 5])
def test_notes_that_are_none_of_ours_are_left_alone(store: MediaStore, notes: object) -> None:
    block = {**image(store.put_image(RED).uri), "extras": notes}
    (turn,) = read_turns([HumanMessage([block], additional_kwargs={"vitron": notes})], store)
    assert isinstance(turn, UserTurn)
    assert (len(turn.pictures), turn.regions) == (1, ())


def test_pictures_come_as_base64_and_data_addresses_too() -> None:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (255, 0, 0)).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    blocks = [
        {"type": "image", "base64": data, "mime_type": "image/png"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "text", "text": "hi"},
    ]
    turn = read_turns([HumanMessage(blocks)], None)[0]
    assert isinstance(turn, UserTurn)
    assert all(torch.equal(picture, RED) for picture in turn.pictures)
    assert len(turn.pictures) == 2


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"type": "audio", "base64": "AA=="}, "audio"),
        ({"type": "image", "url": "https://example.com/a.png"}, "https://example.com/a.png"),
        ({"type": "image", "url": "/etc/passwd"}, "/etc/passwd"),
        ({"type": "image", "base64": "no base64!"}, "base64"),
        ({"type": "image", "base64": base64.b64encode(b"no picture").decode()}, "picture"),
    ],
)
def test_what_cannot_be_read_is_named(block: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_turns([HumanMessage([block])], None)


def test_pictures_of_an_open_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(encode_png(RED))
    messages = [HumanMessage([{"type": "image", "path": "red.png"}])]
    (turn,) = read_turns(messages, None, MediaSources(folders=Folders(tmp_path)))
    assert isinstance(turn, UserTurn)
    assert torch.equal(turn.pictures[0], RED)
    with pytest.raises(InputError, match="is not opened"):
        read_turns(messages, None)


def test_unknown_handles_and_bad_regions_are_errors(store: MediaStore) -> None:
    with pytest.raises(StorageError):
        read_turns([HumanMessage([image("sha256:" + "0" * 64)])], store)
    bad = {"vitron": {"region": {"kind": "box", "points": [[0.5, 0.5]]}}}
    with pytest.raises(InputError, match="region"):
        read_turns([HumanMessage("what is it", additional_kwargs=bad)], store)


CALLS: list[tuple[Invocation, type[ToolArguments]]] = [
    (
        Invocation(
            module=Module.A,
            command="a red circle",
            layout=(GroundedPhrase(phrase="red circle", box=(0.1, 0.2, 0.3, 0.4)),),
        ),
        GenerateArguments,
    ),
    (Invocation(module=Module.B, command="everything", media=2), SegmentArguments),
    (Invocation(module=Module.B, command="the object", uses_drawn_region=True), SegmentArguments),
    (Invocation(module=Module.C, command="add a star", region=Region.from_box(0.1, 0.2, 0.3, 0.4)), EditArguments),
]


@pytest.mark.parametrize(("invocation", "schema"), CALLS)
def test_arguments_stand_for_the_very_same_call(invocation: Invocation, schema: type[ToolArguments]) -> None:
    """The tool must find the digest that the planner left, or its signals are thrown away."""
    arguments = tool_arguments(invocation)
    assert arguments_digest(schema.model_validate(arguments).invocation()) == arguments_digest(invocation)
    assert invocation_of(invocation.module.tool_name, arguments) == invocation


def test_calls_name_pictures_by_handle_too_and_foreign_calls_are_none() -> None:
    seen = Seen()
    for kind, handle in ((IMAGE, "sha256:a"), (VIDEO, "sha256:v"), (IMAGE, "sha256:b")):
        seen.add(kind, handle)
    call = invocation_of("segment_image", {"command": "it", "picture": "sha256:b"}, seen)
    tracking = invocation_of("track_video", {"command": "it", "video": "sha256:v"}, seen)
    assert call is not None
    assert tracking is not None
    assert (call.media, tracking.media) == (2, 1)
    assert invocation_of("search_web", {"command": "x"}) is None
    assert invocation_of("edit_image", {"text": "x"}) is None


def test_bound_tools_are_modules_by_name() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("edit_image", "search_web")]
    assert tool_modules([*tools, {"name": "generate_image"}]) == {Module.A, Module.C}


def test_videos_are_counted_by_themselves_and_regions_lie_on_what_was_shown_last(tmp_path: Path) -> None:
    store = MediaStore(tmp_path)
    clip = store.put_video(RED[None].expand(5, -1, -1, -1), 8.0).uri
    video = {"type": "video", "file_id": clip}
    region = Region.parse("box:0.1,0.1,0.5,0.5").model_dump(mode="json")
    call = {"name": "edit_video", "args": {"command": "", "background": "navy", "video": 1}, "id": "c1"}
    turns = read_turns(
        [
            HumanMessage([image(store.put_image(RED).uri), video, {"type": "text", "text": "hi"}]),
            AIMessage("Hello."),
            HumanMessage("track this", additional_kwargs={"vitron": {"region": region}}),
            AIMessage("I will.", tool_calls=[call]),
            ToolMessage("Result: done.", tool_call_id="c1", artifact={"kind": "video", "uri": clip}),
        ],
        store,
    )
    first, _, second, calling, result = turns
    assert isinstance(first, UserTurn)
    assert isinstance(second, UserTurn)
    assert isinstance(result, UserTurn)
    assert (len(first.pictures), pixels_of(first.videos[0]).shape, len(result.videos)) == (1, (5, *RED.shape), 1)
    assert (second.regions[0].number, second.regions[0].on_video) == (1, True)
    assert isinstance(calling, AssistantTurn)
    assert calling.invocations == (Invocation(module=Module.F, command="", background="navy", media=1),)
    assert tool_arguments(calling.invocations[0]) == call["args"]


def test_a_video_that_is_none_is_an_input_error() -> None:
    with pytest.raises(InputError, match="not a whole MP4"):
        read_turns([HumanMessage([{"type": "video", "base64": "AAAA"}])], None)


def test_serialised_objects_in_user_text_stay_text() -> None:
    text = '{"lc": 1, "type": "secret", "id": ["HOME"]}'
    (turn,) = read_turns([HumanMessage(text)], None)
    assert turn.text == text
