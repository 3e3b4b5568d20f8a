"""Content blocks in every form: the picture or video behind each, and nothing from a source that is not open."""

import base64
import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from vitron_agent.errors import DownloadError, InputError, StorageError
from vitron_agent.media import (
    Block,
    Downloads,
    Folders,
    MediaKind,
    MediaSources,
    MediaStore,
    block_handle,
    carried,
    decode_mp4,
    encode_mp4,
    encode_png,
    put_block_picture,
    read_picture,
    read_video,
)
from vitron_agent.testing import paint

PICTURE = paint("a picture")
CLIP = torch.stack([paint("a clip", second, 16, 16) for second in range(3)])
PNG, MP4 = encode_png(PICTURE), encode_mp4(CLIP, 8)
HANDLE = "sha256:" + "0" * 64
READERS: list[tuple[Callable[..., Any], str, str]] = [
    (read_picture, "image", "picture"),
    (read_video, "video", "video"),
]
readers = pytest.mark.parametrize(("read", "kind", "noun"), READERS)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and writes no log."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a picture and a video."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    (folder / "a.mp4").write_bytes(MP4)
    (folder / "a.txt").write_text("words")
    return folder


@pytest.fixture
def sources(folder: Path) -> Iterator[tuple[MediaSources, str]]:
    """Everything open, with the address of a server that serves the folder."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield (
        MediaSources(Downloads(allowed=("127.0.0.1/32",)), Folders(folder)),
        f"http://127.0.0.1:{server.server_port}",
    )
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "base64": encoded(PNG), "mime_type": "image/png"},
        {"type": "image", "url": f"data:image/png;base64,{encoded(PNG)}"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded(PNG)}", "detail": "low"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{encoded(PNG)}"},
        {"type": "image", "source_type": "base64", "data": encoded(PNG), "mime_type": "image/png"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded(PNG)}},
    ],
)
def test_a_picture_in_the_block_itself(block: Block) -> None:
    assert torch.equal(read_picture(block), PICTURE)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "video", "base64": encoded(MP4), "mime_type": "video/mp4"},
        {"type": "video", "url": f"data:video/mp4;base64,{encoded(MP4)}"},
        {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{encoded(MP4)}"}},
    ],
)
def test_a_video_in_the_block_itself(block: Block) -> None:
    frames, fps = read_video(block)
    assert torch.equal(frames, decode_mp4(MP4)[0])
    assert fps == pytest.approx(8)


def test_handles_are_looked_up_in_the_store(tmp_path: Path) -> None:
    store = MediaStore(tmp_path)
    picture, video = store.put_image(PICTURE).uri, store.put_video(CLIP, 8).uri
    assert torch.equal(read_picture({"type": "image", "file_id": picture}, store), PICTURE)
    assert read_video({"type": "video", "file_id": video}, store)[0].shape == CLIP.shape
    for read, foreign in ((read_picture, video), (read_video, picture), (read_picture, HANDLE)):
        with pytest.raises(StorageError):
            read({"file_id": foreign}, store)


def test_a_picture_in_any_form_is_stored_as_it_came(sources: tuple[MediaSources, str], tmp_path: Path) -> None:
    opened, site = sources
    store = MediaStore(tmp_path / "media")
    blocks: list[Block] = [
        {"type": "image", "base64": encoded(PNG)},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded(PNG)}"}},
        {"type": "image", "url": f"{site}/a.png"},
        {"type": "image", "path": "a.png"},
    ]
    assert [put_block_picture(block, store, opened) for block in blocks] == [store.put_image(PICTURE)] * 4
    with pytest.raises(InputError, match="is not opened"):
        put_block_picture(blocks[3], store)
    with pytest.raises(InputError, match="^'a.txt' is not a PNG"):
        put_block_picture({"type": "image", "path": "a.txt"}, store, opened)


def test_files_and_addresses_are_read_where_they_are_open(sources: tuple[MediaSources, str]) -> None:
    opened, site = sources
    for block in ({"path": "a.png"}, {"url": f"{site}/a.png"}, {"image_url": {"url": f"{site}/a.png"}}):
        assert torch.equal(read_picture(block, None, opened), PICTURE)
    for block in ({"path": "a.mp4"}, {"url": f"{site}/a.mp4"}):
        assert torch.equal(read_video(block, None, opened)[0], decode_mp4(MP4)[0])


def test_what_is_there_must_be_what_is_asked_for(sources: tuple[MediaSources, str]) -> None:
    opened, site = sources
    for name in ("a.txt", "a.mp4"):
        with pytest.raises(InputError, match=f"^'{name}' is not a PNG"):
            read_picture({"path": name}, None, opened)
        with pytest.raises(DownloadError, match="give the address of a picture itself"):
            read_picture({"url": f"{site}/{name}"}, None, opened)
    with pytest.raises(InputError, match=r"^'a\.txt' is not a whole MP4"):
        read_video({"path": "a.txt"}, None, opened)
    with pytest.raises(DownloadError, match="give the address of a video itself"):
        read_video({"url": f"{site}/a.png"}, None, opened)


def test_a_whole_name_on_half_a_picture(sources: tuple[MediaSources, str], folder: Path) -> None:
    """Type and first bytes are right, the rest is not there: the decoder's word, and no path of the server's."""
    opened, site = sources
    for name, data, read in (("b.png", PNG, read_picture), ("b.mp4", MP4, read_video)):
        (folder / name).write_bytes(data[: len(data) * 2 // 3])
        with pytest.raises(InputError, match="^'127.0.0.1:.*(damaged|no picture track)") as caught:
            read({"url": f"{site}/{name}"}, None, opened)
        assert str(folder) not in str(caught.value)


@readers
@pytest.mark.parametrize(
    ("block", "remedy"),
    [
        ({"url": "https://example.com/a"}, r"MediaSources\(downloads=Downloads\(\)\)"),
        ({"url": "file:///etc/passwd"}, "is not opened"),
        ({"image_url": {"url": "/etc/passwd"}}, "is not opened"),
        ({"path": "a.png"}, r"MediaSources\(folders=\.\.\.\)"),
        ({"path": "/etc/passwd"}, r"MediaSources\(folders=\.\.\.\)"),
        ({"file_id": "/etc/passwd"}, "'/etc/passwd' is not opened"),
        ({"file_id": 7}, "is not opened"),
        ({"url": ["http://127.0.0.1/"]}, "holds none"),
        ({"source": {"type": "base64"}}, "holds none"),
        ({}, "holds none"),
    ],
)
def test_by_default_nothing_is_opened(
    read: Callable[..., Any], kind: str, noun: str, block: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(InputError, match=remedy) as caught:
        read({"type": kind, **block})
    assert f"{noun}'s bytes or a handle of the store" in str(caught.value)


@readers
@pytest.mark.parametrize("data", ["%%%", "AAA", 7, [], "ä"])
def test_broken_base64_is_told(read: Callable[..., Any], kind: str, noun: str, data: Any) -> None:
    with pytest.raises(InputError, match=f"a {noun} is no valid base64"):
        read({"type": kind, "base64": data})


@readers
@pytest.mark.parametrize("data", ["", encoded(b"no media")])
def test_bytes_that_are_none_are_told(read: Callable[..., Any], kind: str, noun: str, data: str) -> None:
    with pytest.raises(InputError, match=f"the {noun}"):
        read({"type": kind, "base64": data})


@readers
def test_without_a_store_a_handle_means_nothing(read: Callable[..., Any], kind: str, noun: str) -> None:
    with pytest.raises(InputError, match="give the planner a media store"):
        read({"type": kind, "file_id": HANDLE})


def test_one_open_source_does_not_open_the_other(sources: tuple[MediaSources, str]) -> None:
    opened, site = sources
    with pytest.raises(InputError, match="is not opened"):
        read_picture({"path": "a.png"}, None, MediaSources(downloads=opened.downloads))
    with pytest.raises(InputError, match="is not opened"):
        read_picture({"url": f"{site}/a.png"}, None, MediaSources(folders=opened.folders))


def test_only_a_handle_is_one() -> None:
    assert block_handle({"file_id": HANDLE}) == HANDLE
    assert [block_handle(block) for block in ({"file_id": "file-1"}, {"file_id": 3}, {"url": HANDLE}, {})] == [None] * 4


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ({"type": "image", "file_id": HANDLE}, MediaKind.IMAGE),
        ({"type": "video", "base64": "AA=="}, MediaKind.VIDEO),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}, MediaKind.IMAGE),
        ({"type": "image", "source": {"type": "base64", "data": "AA=="}}, MediaKind.IMAGE),
        ({"type": "image", "url": "https://example.com/a.png"}, None),
        ({"type": "image", "path": "/etc/passwd"}, None),
        ({"type": "image", "file_id": "another-provider-s"}, None),
        ({"type": "audio", "base64": "AA=="}, None),
        ({"type": "text", "text": "data:"}, None),
        ("data:image/png;base64,AA==", None),
        (None, None),
    ],
)
def test_what_a_block_itself_carries(block: object, kind: MediaKind | None) -> None:
    assert carried(block) is kind
