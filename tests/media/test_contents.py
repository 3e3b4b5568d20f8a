"""Bytes under their digest: nothing outside reached, nothing written twice, waited for where that is needed."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vitron_agent.errors import StorageError
from vitron_agent.media import MediaStore
from vitron_agent.media import contents as contents_module


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "../../etc/passwd",
        "/etc/passwd",
        "sha256:",
        "sha256:../../etc/passwd",
        "sha256:" + "g" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 64 + "\n",
        "sha256:" + "0" * 64 + "/../x",
        "sha256:" + "٠" * 64,
        "SHA256:" + "0" * 64,
        "file:///etc/passwd",
        "x" * 100_000,
    ],
)
def test_only_handles_are_ever_made_into_paths(store: MediaStore, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put_bytes(b"x", "bin")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("touched the file system")

    monkeypatch.setattr(store._fs, "cat_file", fail)
    with pytest.raises(StorageError, match="not a media handle") as caught:
        store.get_bytes(uri)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("suffix", ["", "PNG", "a/b", "..", "ref.json", "x" * 17])
def test_suffixes_cannot_leave_their_place(store: MediaStore, suffix: str) -> None:
    store.put_bytes(b"x", "bin")
    with pytest.raises(ValueError, match="suffix"):
        store.put_bytes(b"y", suffix)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the files that were waited for."""
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: sizes.append(os.fstat(number).st_size))
    return sizes


def test_only_what_can_be_made_again_does_not_wait_for_the_disk(tmp_path: Path, synced: list[int]) -> None:
    store = MediaStore(tmp_path)
    picture = store.without_sync().put_image(noise(3, 5, 7))
    store.without_sync().link("0" * 64, picture.uri)
    assert synced == []
    assert torch.equal(store.get_image(picture), noise(3, 5, 7))
    assert store.put_image(noise(3, 5, 7)) == picture  # is there already, but perhaps not on the disk yet
    assert sorted(synced) == sorted(path.stat().st_size for path in tmp_path.rglob("*.*") if "links" not in path.parts)
    store.put_image(noise(3, 6, 7))
    assert len(synced) == 4


def test_what_is_there_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MediaStore(tmp_path)
    picture, written = store.put_image(noise(3, 5, 7)), []
    whole = contents_module.write_file
    monkeypatch.setattr(contents_module, "write_file", lambda path, *more: written.append(path) or whole(path, *more))
    assert store.put_image(noise(3, 5, 7)) == picture
    assert written == []
    (damaged,) = tmp_path.rglob("*.png")
    damaged.write_bytes(b"something else")
    assert store.put_image(noise(3, 5, 7)) == picture
    assert written == [str(damaged)]
    assert torch.equal(store.get_image(picture), noise(3, 5, 7))


def test_a_store_where_a_file_lies_is_refused(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        MediaStore(tmp_path / "media").put_bytes(b"x", "bin")


def test_an_unknown_url_is_named() -> None:
    with pytest.raises(StorageError, match="nosuch://bucket"):
        MediaStore("nosuch://bucket/media")
