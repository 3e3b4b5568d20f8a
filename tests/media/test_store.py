"""The store: pictures, masks and videos come back; equal pixels one handle, damage noticed, nothing half-written."""

import errno
import json
import os
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vitron_agent.errors import InputError, StorageError
from vitron_agent.media import MediaKind, MediaStore, encode_png, load_image, load_video

UNKNOWN = "sha256:" + "0" * 64


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_pictures_masks_and_bytes_come_back(store: MediaStore) -> None:
    image, mask = noise(3, 5, 7), noise(5, 7) > 128
    picture = store.put_image(image)
    assert (picture.kind, picture.width, picture.height, picture.frames) == (MediaKind.IMAGE, 7, 5, None)
    assert torch.equal(store.get_image(picture), image)
    assert torch.equal(store.get_image(picture.uri), image)
    shape = store.put_mask(mask)
    assert (shape.kind, shape.width, shape.height) == (MediaKind.MASK, 7, 5)
    assert torch.equal(store.get_mask(shape), mask)
    handle = store.put_bytes(b"signals", "safetensors")
    assert store.get_bytes(handle) == b"signals"
    assert store.ref(picture.uri) == picture
    assert store.ref(shape.uri) == shape


def test_a_video_comes_back_in_its_own_size(store: MediaStore) -> None:
    frames = torch.full((3, 3, 15, 9), 90, dtype=torch.uint8)
    video = store.put_video(frames, 8)
    assert (video.kind, video.width, video.height, video.frames, video.fps) == (MediaKind.VIDEO, 9, 15, 3, 8.0)
    back, fps = store.get_video(video.uri)
    assert (back.shape, fps) == (frames.shape, 8.0)
    assert (back.int() - 90).abs().max() < 6
    assert store.ref(video.uri) == video


def test_equal_pixels_have_one_handle(store: MediaStore) -> None:
    assert store.put_image(noise(3, 5, 7)) == store.put_image(noise(3, 5, 7).clone())
    assert store.put_image(noise(3, 5, 7)) != store.put_image(noise(3, 7, 5))


def test_another_store_on_the_same_folder_reads_them(tmp_path: Path) -> None:
    handle = MediaStore(tmp_path).put_image(noise(3, 5, 7)).uri
    assert torch.equal(MediaStore(f"file://{tmp_path}").get_image(handle), noise(3, 5, 7))


def test_the_layout(tmp_path: Path) -> None:
    digest = MediaStore(tmp_path).put_image(noise(3, 5, 7)).uri.removeprefix("sha256:")
    assert files(tmp_path) == [tmp_path / digest[:2] / f"{digest}.png", tmp_path / digest[:2] / f"{digest}.ref.json"]
    assert json.loads((tmp_path / digest[:2] / f"{digest}.ref.json").read_text()) == {
        "suffix": "png",
        "kind": "image",
        "width": 7,
        "height": 5,
    }


def test_bytes_that_are_known_as_a_picture_stay_one(store: MediaStore) -> None:
    picture = store.put_image(noise(3, 5, 7))
    assert store.put_bytes(encode_png(noise(3, 5, 7)), "bin") == picture.uri
    assert store.ref(picture.uri) == picture


def test_unknown_handles_and_wrong_kinds_are_named(store: MediaStore) -> None:
    picture, mask = store.put_image(noise(3, 4, 4)), store.put_mask(noise(4, 4) > 128)
    handle = store.put_bytes(b"x", "bin")
    with pytest.raises(StorageError, match=f"{UNKNOWN} is not in the media store"):
        store.get_image(UNKNOWN)
    with pytest.raises(StorageError, match="kind image, not mask"):
        store.get_mask(picture)
    with pytest.raises(StorageError, match="kind mask, not image"):
        store.get_image(mask)
    with pytest.raises(StorageError, match="kind image, not video"):
        store.get_video(picture)
    with pytest.raises(StorageError, match="bin data"):
        store.get_image(handle)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip, cut, empty, Path.unlink])
def test_damage_is_noticed_and_heals_when_made_again(tmp_path: Path, damage: object) -> None:
    store = MediaStore(tmp_path)
    picture = store.put_image(noise(3, 5, 7))
    assert callable(damage)
    damage(next(tmp_path.rglob("*.png")))
    with pytest.raises(StorageError, match=f"{picture.uri} is damaged.*make it again"):
        store.get_image(picture)
    assert store.put_image(noise(3, 5, 7)) == picture
    assert torch.equal(store.get_image(picture), noise(3, 5, 7))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"suffix": "../../x"}',
        '{"suffix": "png", "kind": "image"}',
        '{"suffix": "png", "kind": 3}',
    ]
    + ['{"suffix": "png", "kind": "image", "width": -1, "height": 5}', "\xff"]
    + ['{"suffix": "png", "kind": "image", "width": 9, "height": 5}', '{"suffix": "png", "kind": "image", "x": 1}'],
)
def test_a_lying_note_is_noticed(tmp_path: Path, content: str) -> None:
    store = MediaStore(tmp_path)
    picture = store.put_image(noise(3, 5, 7))
    next(tmp_path.rglob("*.ref.json")).write_text(content, "latin-1")
    with pytest.raises(StorageError, match="is damaged"):
        store.get_image(picture)


def test_bytes_under_a_right_digest_that_are_no_picture(tmp_path: Path) -> None:
    store = MediaStore(tmp_path)
    handle = store.put_bytes(b"not a png", "png")
    note = {"suffix": "png", "kind": "image", "width": 5, "height": 5}
    next(tmp_path.rglob("*.ref.json")).write_text(json.dumps(note))
    with pytest.raises(StorageError, match="is damaged"):
        store.get_image(handle)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    store = MediaStore(tmp_path)
    known = store.put_image(noise(3, 4, 4))
    before = files(tmp_path)

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=os.strerror(code)):
        store.put_image(noise(3, 9, 9))
    with pytest.raises(InputError, match="choose another folder"):
        store.export(known, tmp_path / "out" / "picture.png")
    assert files(tmp_path) == before
    assert torch.equal(store.get_image(known), noise(3, 4, 4))


def test_export_writes_files_that_other_programs_read(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    picture, mask = store.put_image(noise(3, 5, 7)), store.put_mask(noise(5, 7) > 128)
    video = store.put_video(torch.full((3, 3, 16, 16), 90, dtype=torch.uint8), 8)
    assert torch.equal(load_image(store.export(picture, tmp_path / "new" / "a.png")), noise(3, 5, 7))
    assert set(load_image(store.export(mask.uri, tmp_path / "m.png")).flatten().tolist()) == {0, 255}
    assert load_video(store.export(video, tmp_path / "v.mp4"))[0].shape == (3, 3, 16, 16)
    with pytest.raises(InputError, match="cannot be written"):
        store.export(picture, tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        store.export(picture, tmp_path / "m.png" / "b.png")
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("pixels", [torch.zeros(3, 4, 4), torch.zeros(4, 4).bool(), torch.zeros(1, 3, 4, 4).byte()])
def test_other_tensors_are_not_stored_as_pictures(store: MediaStore, pixels: Tensor) -> None:
    store.put_bytes(b"x", "bin")
    with pytest.raises(ValueError, match=r"3 dimensions|expected uint8"):
        store.put_image(pixels)
    with pytest.raises(ValueError, match=r"2 dimensions|expected uint8"):
        store.put_mask(noise(4, 4))


def test_many_threads_write_the_same_picture(tmp_path: Path) -> None:
    store = MediaStore(tmp_path)
    picture = store.put_image(noise(3, 16, 16))
    problems: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(4):
                assert torch.equal(store.get_image(store.put_image(noise(3, 16, 16))), noise(3, 16, 16))
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(files(tmp_path)) == 2
    assert store.ref(picture.uri) == picture
