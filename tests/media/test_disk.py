"""The store on a disk without room or rights: an error of ours, and what was there before is there, whole."""

import builtins
import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.faults import no_file_beyond
from vitron_agent.errors import InputError, StorageError
from vitron_agent.media import MediaStore
from vitron_agent.media import files as files_module
from vitron_agent.signals import SignalEmbeddings, SignalStore

KEY = "0" * 64
ROOM = 4096  # bytes: a small picture fits, a large one does not


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def signals() -> SignalEmbeddings:
    return SignalEmbeddings(noise(40, 64).float(), noise(4, 64).float())


WRITES: list[Callable[[MediaStore], object]] = [
    lambda store: store.put_image(noise(3, 64, 64)),
    lambda store: store.put_mask(noise(256, 256) > 128),
    lambda store: store.put_video(noise(8, 3, 64, 64), 8),
    lambda store: store.put_bytes(bytes(noise(5000).tolist()), "bin"),
    lambda store: SignalStore(store).put(signals(), "0" * 64),
]
NAMES = ["picture", "mask", "video", "bytes", "signals"]


def check_whole(folder: Path) -> None:
    """Whatever has a final name is what its name says; there is nothing else."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        assert not path.name.endswith(".tmp")
        if not path.name.endswith(".ref.json") and "links" not in path.parts:
            assert path.name.split(".")[0] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("write", WRITES, ids=NAMES)
@pytest.mark.parametrize("syncs", [True, False])
def test_a_write_that_ends_half_way_leaves_no_file(
    tmp_path: Path, write: Callable[[MediaStore], object], syncs: bool
) -> None:
    whole = MediaStore(tmp_path / "media")
    known = whole.put_image(noise(3, 8, 8))
    before = sorted(tmp_path.rglob("*.*"))
    store = whole if syncs else whole.without_sync()
    with (
        no_file_beyond(ROOM),
        pytest.raises(StorageError, match=r"media store .* cannot be written \(File too large\)"),
    ):
        write(store)
    assert sorted(tmp_path.rglob("*.*")) == before
    check_whole(tmp_path / "media")
    assert torch.equal(store.get_image(known), noise(3, 8, 8))
    write(store)  # there is room again
    check_whole(tmp_path / "media")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("syncs", [True, False])
def test_a_file_that_cannot_be_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, syncs: bool) -> None:
    """Full, read-only, without rights, over a quota: refused when the file is opened (the tests may run as root)."""
    whole = MediaStore(tmp_path / "media")
    store = whole if syncs else whole.without_sync()
    known = store.put_image(noise(3, 8, 8))
    store.link(KEY, known.uri)

    def refuse(path: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
        if "x" in mode:
            raise OSError(code, os.strerror(code))
        return builtins.open(path, mode, *more, **options)

    monkeypatch.setattr(files_module, "open", refuse, raising=False)
    for write in (*WRITES, lambda store: store.link(KEY, "sha256:" + "1" * 64)):
        with pytest.raises(StorageError, match=os.strerror(code)):
            write(store)
    with pytest.raises(InputError, match=f"cannot be written .{os.strerror(code)}.: choose another folder"):
        store.export(known, tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()
    assert store.linked(KEY) == known.uri
    assert torch.equal(store.get_image(known), noise(3, 8, 8))
    check_whole(tmp_path / "media")


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "makedirs", refuse)
    with pytest.raises(StorageError, match="cannot be written .Read-only file system.: free or move it"):
        MediaStore(tmp_path / "media").put_image(noise(3, 8, 8))
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_ends_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    picture = store.put_image(noise(3, 64, 64))
    path = tmp_path / "picture.png"
    path.write_bytes(b"the old one")
    with no_file_beyond(ROOM), pytest.raises(InputError, match="cannot be written"):
        store.export(picture, path)
    assert path.read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["media", "picture.png"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE])
@pytest.mark.parametrize("end", [".png", ".ref.json"])
def test_what_cannot_be_read_now_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, end: str
) -> None:
    """Who is told that a file is damaged deletes it."""
    store = MediaStore(tmp_path / "media")
    picture = store.put_image(noise(3, 8, 8))
    read = store._fs.cat_file

    def refuse(path: str, *more: Any, **options: Any) -> Any:
        if path.endswith(end):
            raise OSError(code, os.strerror(code))
        return read(path, *more, **options)

    with monkeypatch.context() as broken:
        broken.setattr(store._fs, "cat_file", refuse)
        with pytest.raises(StorageError, match=f"cannot be read .{os.strerror(code)}.: check its permissions"):
            store.get_image(picture)
    assert torch.equal(store.get_image(picture), noise(3, 8, 8))
