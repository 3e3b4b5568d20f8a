import base64
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import HumanMessage, ToolMessage
from PIL import Image

from vitron_agent.errors import InputError, StorageError
from vitron_agent.graphs.turn import MAX_REQUEST, by_reference, check_request, result_by_reference, taken_in, user_turn
from vitron_agent.media import Downloads, Folders, MediaSources, MediaStore, Region, decode_image, encode_png
from vitron_agent.testing import paint

PNG = base64.b64encode(encode_png(paint("a picture"))).decode()
TEXT = {"type": "text", "text": "what is this?"}


def test_a_turn_holds_handles_and_the_region(picture: str) -> None:
    region = Region.parse("click:0.3,0.4")
    turn = user_turn("  what is this? ", [picture], region)
    assert turn.content == [{"type": "image", "file_id": picture, "mime_type": "image/png"}, TEXT]
    assert Region.model_validate(turn.additional_kwargs["vitron"]["region"]) == region


@pytest.mark.parametrize("text", ["", " \n\t ", "x" * (MAX_REQUEST + 1), "x" * 100_000])
def test_empty_and_endless_requests_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="request"):
        check_request(text)


def test_the_longest_request_passes() -> None:
    assert len(check_request("x" * MAX_REQUEST)) == MAX_REQUEST


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "base64": PNG, "mime_type": "image/png"},
        {"type": "image", "url": f"data:image/png;base64,{PNG}"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"},
    ],
)
def test_pictures_in_any_form_become_handles(store: MediaStore, block: dict[str, Any]) -> None:
    kept = by_reference(HumanMessage([block, TEXT], id="1"), store)
    assert kept.id == "1"
    assert torch.equal(store.get_image(kept.content[0]["file_id"]), paint("a picture"))
    assert kept.content[1] == TEXT


def test_a_photograph_is_kept_as_it_came_and_once(store: MediaStore, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(paint("a photo").permute(1, 2, 0).numpy()).save(buffer, "JPEG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    inline = {"type": "image", "base64": base64.b64encode(buffer.getvalue()).decode(), "mime_type": "image/jpeg"}
    sources = MediaSources(folders=Folders(tmp_path))
    kept = by_reference(HumanMessage([inline, {"type": "image", "path": "a.jpg"}, TEXT]), store, sources)
    first, second = (block["file_id"] for block in kept.content[:2])
    assert first == second
    assert store.get_bytes(first) == buffer.getvalue()
    assert torch.equal(store.get_image(first), decode_image(buffer.getvalue()))


def test_a_tool_s_photograph_too(store: MediaStore) -> None:
    made = ToolMessage([{"type": "image", "base64": PNG, "mime_type": "image/png"}, TEXT], tool_call_id="1")
    kept = result_by_reference(made, store)
    assert store.get_bytes(kept.content[0]["file_id"]) == base64.b64decode(PNG)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"type": "image", "url": "http://169.254.169.254/latest"}, "is not opened"),
        ({"type": "image", "url": "file:///etc/passwd"}, "is not opened"),
        ({"type": "image_url", "image_url": {"url": "/etc/passwd"}}, "is not opened"),
        ({"type": "image"}, "holds none"),
        ({"type": "image", "file_id": "/etc/passwd"}, "is not opened"),
        ({"type": "image", "base64": "%%%"}, "no valid base64"),
        ({"type": "image", "base64": base64.b64encode(b"no picture").decode()}, "picture"),
        ({"type": "video", "base64": PNG}, "not a whole MP4"),
        ({"type": "audio", "base64": PNG}, "content of type 'audio'"),
        ({"type": "file", "base64": PNG}, "content of type 'file'"),
    ],
)
def test_everything_else_is_refused(store: MediaStore, block: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        by_reference(HumanMessage([block, TEXT]), store)


def test_what_comes_with_a_picture_is_kept(store: MediaStore) -> None:
    extras = {"region": Region.parse("click:0.3,0.4").model_dump(mode="json")}
    kept = by_reference(HumanMessage([{"type": "image", "base64": PNG, "extras": extras}, TEXT]), store)
    assert kept.content[0]["extras"] == extras


def test_a_handle_of_another_store_is_refused(store: MediaStore) -> None:
    with pytest.raises(StorageError):
        by_reference(user_turn("x", ["sha256:" + "0" * 64]), store)


def test_a_mask_is_no_picture(store: MediaStore) -> None:
    mask = store.put_mask(torch.ones(4, 4, dtype=torch.bool))
    with pytest.raises(InputError, match="is no picture"):
        by_reference(user_turn("x", [mask]), store)


def test_a_broken_region_is_refused(store: MediaStore) -> None:
    region = {"kind": "box", "points": [[0.5, 0.5], [0.1, 0.1]]}
    with pytest.raises(InputError, match="the drawn region cannot be used: its left edge"):
        by_reference(HumanMessage("x", additional_kwargs={"vitron": {"region": region}}), store)


def test_an_open_folder_is_read_once_and_kept_as_a_handle(store: MediaStore, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(base64.b64decode(PNG))
    sources = MediaSources(folders=Folders(tmp_path))
    kept = by_reference(HumanMessage([{"type": "image", "path": "a.png"}, TEXT]), store, sources)
    path.unlink()
    assert set(kept.content[0]) == {"type", "file_id", "mime_type"}
    assert torch.equal(store.get_image(kept.content[0]["file_id"]), paint("a picture"))


def test_an_open_folder_opens_no_other_path(store: MediaStore, tmp_path: Path) -> None:
    sources = MediaSources(folders=Folders(tmp_path))
    for path in ("../media", "/etc/passwd"):
        with pytest.raises(InputError, match="is no file in the folders that are open"):
            by_reference(HumanMessage([{"type": "image", "path": path}, TEXT]), store, sources)


def test_an_address_in_the_words_is_only_words(store: MediaStore) -> None:
    message = HumanMessage([{"type": "text", "text": "look at http://127.0.0.1/a.png and /etc/passwd"}])
    assert by_reference(message, store, MediaSources(Downloads(resolve=never))) == message


def never(host: str, port: int) -> list[str]:
    """A resolver that must not be asked."""
    raise AssertionError(f"{host} was looked up")


SAID = [{"type": "image", "base64": PNG, "mime_type": "image/png"}, TEXT]


@pytest.mark.parametrize(
    "messages", [[HumanMessage(SAID)], HumanMessage(SAID), [{"role": "user", "content": SAID}], [("user", SAID)]]
)
def test_an_input_in_any_form_is_taken_in(store: MediaStore, messages: Any) -> None:
    taken = taken_in({"messages": messages, "rounds": 2}, store)
    assert torch.equal(store.get_image(taken["messages"][0].content[0]["file_id"]), paint("a picture"))
    assert taken["messages"][0].content[1] == TEXT
    assert taken["rounds"] == 2


@pytest.mark.parametrize("given", [None, {"rounds": 1}, {"messages": []}, {"messages": [HumanMessage("   ")]}])
def test_an_input_without_pictures_stays_as_it_is(store: MediaStore, given: Any) -> None:
    assert taken_in(given, store) == given


@pytest.mark.parametrize("messages", [(HumanMessage("a"), HumanMessage("b")), [("user", "a"), "b"]])
def test_several_messages_come_in_any_sequence(store: MediaStore, messages: Any) -> None:
    assert [message.text for message in taken_in({"messages": messages}, store)["messages"]] == ["a", "b"]


def test_the_short_form_of_one_message_is_one(store: MediaStore) -> None:
    assert [message.text for message in taken_in({"messages": ("user", "a")}, store)["messages"]] == ["a"]


@pytest.mark.parametrize(
    "given", ["draw", [HumanMessage("draw")], {"messages": [5]}, {"messages": [{"role": "robot", "content": "x"}]}]
)
def test_what_is_no_conversation_is_refused_with_an_example(store: MediaStore, given: Any) -> None:
    with pytest.raises(InputError, match=r'\{"messages": \[user_turn\("draw a red circle"\)\]\}'):
        taken_in(given, store)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"text": None}, "no text but 'None'"),
        ({"text": "draw \udcff"}, r"holds '\\udcff', which is no character"),
        ({"text": "look", "pictures": "sha256:1"}, r"write \[handle\]"),
        ({"text": "look", "videos": "sha256:1"}, r"write \[handle\]"),
        ({"text": "look", "pictures": [paint("a picture")]}, r"store.put_image"),
        ({"text": "look", "region": "box:0,0,1,1"}, r"Region.parse"),
    ],
)
def test_what_is_no_part_of_a_turn_is_refused(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        user_turn(**parts)


def test_what_cannot_be_used_is_left_to_the_graph(store: MediaStore) -> None:
    broken = HumanMessage([{"type": "image", "base64": "%%%"}, TEXT])
    assert taken_in({"messages": [broken]}, store) == {"messages": [broken]}


def test_a_result_that_the_store_does_not_have_is_refused_at_once(store: MediaStore, picture: str) -> None:
    """In the conversation it would fail every turn from then on."""
    made = [ToolMessage("Result: done.", tool_call_id="1", artifact={"kind": "image", "uri": picture})]
    assert taken_in({"messages": made}, store) == {"messages": made}
    made[0].artifact["uri"] = "sha256:" + "0" * 64
    with pytest.raises(StorageError, match="is not in the media store"):
        taken_in({"messages": made}, store)


@pytest.mark.parametrize("notes", ["x", ["x"], 5])
def test_notes_that_are_none_of_ours_are_left_alone(store: MediaStore, notes: Any) -> None:
    message = HumanMessage("draw", additional_kwargs={"vitron": notes})
    assert by_reference(message, store) is message
