import base64
import io
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from PIL import Image

from vitron_agent.errors import StorageError
from vitron_agent.graphs import user_turn
from vitron_agent.graphs.view import view_for, with_pixels
from vitron_agent.media import MediaStore, decode_image, encode_png
from vitron_agent.testing import ScriptedPlanner, paint


def blocks(message: AnyMessage) -> str:
    parts: Any = message.content
    return " ".join(part.get("text") or f"<{part['type']}>" for part in parts)


def talk(store: MediaStore) -> tuple[list[AnyMessage], list[str]]:
    mine, made, more = (store.put_image(paint(name)).uri for name in ("mine", "made", "more"))
    calls = [{"name": "edit_image", "args": {}, "id": str(i)} for i in range(2)]
    answers = [
        ToolMessage("Result: done.", tool_call_id=str(i), artifact={"kind": "image", "uri": uri})
        for i, uri in enumerate((made, more))
    ]
    return [user_turn("edit it twice", [mine]), AIMessage("", tool_calls=calls), *answers], [mine, made, more]


def test_our_planner_reads_handles_itself(store: MediaStore) -> None:
    messages, _ = talk(store)
    assert view_for(ScriptedPlanner(), store)(messages) == messages


def test_another_planner_sees_numbered_pictures_behind_all_results(store: MediaStore) -> None:
    messages, handles = talk(store)
    shown = view_for(FakeListChatModel(responses=["x"]), store)(messages)
    assert [type(m) for m in shown] == [SystemMessage, HumanMessage, AIMessage, ToolMessage, ToolMessage, HumanMessage]
    assert blocks(shown[1]) == "Picture 1: <image> edit it twice"
    assert blocks(shown[5]) == "Picture 2: <image> Picture 3: <image>"
    assert base64.b64decode(shown[5].content[3]["base64"]) == store.get_bytes(handles[2])


def test_pictures_come_before_the_next_turn(store: MediaStore) -> None:
    messages, _ = talk(store)
    shown = with_pixels([*messages, AIMessage("done"), user_turn("thanks")], store=store)
    assert [m.type for m in shown] == ["system", "human", "ai", "tool", "tool", "human", "ai", "human"]


def test_the_conversation_itself_is_not_changed(store: MediaStore) -> None:
    messages, handles = talk(store)
    with_pixels(messages, store=store)
    assert messages[0].content[0]["file_id"] == handles[0]


def test_a_picture_in_a_result_s_content_is_shown_behind_it_and_its_words_stay(store: MediaStore) -> None:
    picture = {"type": "image", "file_id": store.put_image(paint("made")).uri}
    words: list[Any] = [{"type": "text", "text": "a map"}]
    calls = [{"name": "map", "args": {}, "id": str(i)} for i in range(2)]
    results = [ToolMessage([*words, picture], tool_call_id="0"), ToolMessage([picture], tool_call_id="1")]
    shown = with_pixels([user_turn("map?"), AIMessage("", tool_calls=calls), *results], store=store)
    assert [m.type for m in shown] == ["system", "human", "ai", "tool", "tool", "human"]
    assert (shown[3].content, shown[4].content) == (words, "It follows.")
    assert blocks(shown[5]) == "Picture 1: <image> Picture 2: <image>"


PLACE = b"Stephansplatz, 48 degrees north"


def photograph() -> bytes:
    """Return a JPEG as phones make them: it lies on its side, and says where it was taken."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[27] = PLACE  # GPSProcessingMethod
    Image.fromarray(paint("a photo", 0, 24, 40).permute(1, 2, 0).numpy()).save(buffer, "JPEG", exif=exif)
    assert PLACE in buffer.getvalue()
    return buffer.getvalue()


def sent(store: MediaStore, handle: str) -> bytes:
    """Return the bytes of the one picture that another planner is sent."""
    _, message = with_pixels([user_turn("look", [handle])], store=store)
    block: Any = message.content[1]
    assert block["mime_type"] == "image/png"
    return base64.b64decode(block["base64"])


def test_a_photograph_is_sent_as_pixels_alone(store: MediaStore) -> None:
    handle = store.put_picture(photograph()).uri
    assert sent(store, handle) == encode_png(decode_image(photograph()))
    assert PLACE not in sent(store, handle)
    assert store.get_bytes(handle) == photograph()


def test_its_pixels_are_written_once(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = store.put_picture(photograph()).uri
    first = sent(store, handle)
    with monkeypatch.context() as broken:
        broken.setattr(MediaStore, "put_image", None)
        assert sent(store, handle) == first
    assert store.folder
    (written,) = store.folder.rglob("*.png")
    written.write_bytes(b"damaged")
    assert sent(store, handle) == first


def test_a_photograph_that_was_removed_is_not_sent(store: MediaStore) -> None:
    handle = store.put_picture(photograph()).uri
    sent(store, handle)
    assert store.folder
    next(store.folder.rglob("*.jpg")).unlink()
    with pytest.raises(StorageError, match=f"{handle} is damaged"):
        sent(store, handle)
