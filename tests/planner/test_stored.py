"""Pictures and videos under their handles: named without being read, and read when they are looked at."""

import base64
from pathlib import Path

import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage

from vitron_agent.errors import StorageError
from vitron_agent.media import MediaKind, MediaStore
from vitron_agent.planner import VitronPlanner
from vitron_agent.planner.chat import ChatVitron
from vitron_agent.planner.stored import Stored, content_digest, pixels_of


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    """An empty store."""
    return MediaStore(tmp_path)


def picture(seed: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, 48, 64), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def asked(handle: str, text: str = "what is this?") -> HumanMessage:
    return HumanMessage([{"type": "image", "file_id": handle}, {"type": "text", "text": text}])


def counted(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Handles of the pictures that are read from now on."""
    read: list[str] = []
    get_image = store.get_image

    def noted(ref: str) -> torch.Tensor:
        read.append(ref)
        return get_image(ref)

    monkeypatch.setattr(store, "get_image", noted)
    return read


def test_digests_tell_content_shape_and_type_apart(store: MediaStore) -> None:
    flat = torch.zeros(4, 4, dtype=torch.uint8)
    assert content_digest(flat) == content_digest(flat.clone())
    assert len({content_digest(x) for x in (flat, flat.view(2, 8), flat.bool(), flat + 1)}) == 4
    handle = store.put_image(picture(1)).uri
    assert content_digest(Stored(handle, MediaKind.IMAGE, store)) == handle


def test_pixels_are_those_of_the_store(store: MediaStore) -> None:
    still, clip = store.put_image(picture(1)).uri, store.put_video(picture(1)[None].expand(3, -1, -1, -1), 8.0).uri
    assert torch.equal(pixels_of(Stored(still, MediaKind.IMAGE, store)), picture(1))
    assert pixels_of(Stored(clip, MediaKind.VIDEO, store)).shape == (3, 3, 48, 64)
    assert torch.equal(pixels_of(picture(2)), picture(2))
    with pytest.raises(StorageError, match="not in the media store"):
        pixels_of(Stored("sha256:" + "0" * 64, MediaKind.IMAGE, store))


def test_of_a_conversation_only_the_new_picture_is_read(
    planner: VitronPlanner, store: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = ChatVitron(planner=planner, store=store, max_tokens=4)
    handles = [store.put_image(picture(seed)).uri for seed in (11, 12, 13)]
    read = counted(store, monkeypatch)
    said: list[HumanMessage | AIMessage] = []
    for handle in handles:
        said += [asked(handle), AIMessage("A star.")]
        chat.invoke(said[:-1])
    assert read == handles
    chat.invoke([*said[:-1], AIMessage("A star."), HumanMessage("and now?")])
    assert read == handles
    chat.forget()
    chat.invoke(said[:-1])
    assert sorted(read) == sorted(handles * 2)


def test_a_reply_is_the_same_for_a_handle_and_for_pixels(planner: VitronPlanner, store: MediaStore) -> None:
    handle = store.put_image(picture(21)).uri
    by_handle = ChatVitron(planner=planner, store=store, max_tokens=12).invoke([asked(handle)])
    planner.forget()
    data = base64.b64encode(store.get_bytes(handle)).decode()
    pixels = {"type": "image", "base64": data, "mime_type": "image/png"}
    message = HumanMessage([pixels, {"type": "text", "text": "what is this?"}])
    by_pixels = ChatVitron(planner=planner, max_tokens=12).invoke([message])
    assert by_handle.text == by_pixels.text
    assert by_handle.usage_metadata == by_pixels.usage_metadata


def test_a_picture_that_was_lost_is_an_error_only_where_it_has_to_be_looked_at(
    planner: VitronPlanner, store: MediaStore, tmp_path: Path
) -> None:
    chat = ChatVitron(planner=planner, store=store, max_tokens=4)
    handle = store.put_image(picture(31)).uri
    said = [asked(handle), AIMessage("A star."), HumanMessage("and now?")]
    chat.invoke(said[:1])
    next(tmp_path.rglob("*.png")).unlink()
    chat.invoke(said)
    chat.forget()
    with pytest.raises(StorageError, match="is damaged in the media store"):
        chat.invoke(said)
