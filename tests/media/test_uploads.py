"""Pictures that come as files: kept as they came where that may be, read as ever, and never given away with more."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from vitron_agent.errors import InputError, StorageError
from vitron_agent.media import (
    MediaKind,
    MediaStore,
    decode_image,
    decode_upload,
    encode_png,
    is_plain_png,
    load_image,
    load_upload,
)
from vitron_agent.media import store as store_module
from vitron_agent.media import uploads as uploads_module
from vitron_agent.media.uploads import SLACK

PLACE = b"Stephansplatz, 48 degrees north"


def pixels(height: int = 48, width: int = 80, channels: int = 3) -> np.ndarray:
    """Return a smooth picture, uint8 (H, W, C), whose sides and channels differ."""
    rows, columns, layers = np.mgrid[:height, :width, :channels]
    return ((rows * 3 + columns * 2 + layers * 40) % 256).astype(np.uint8)


PHOTO = Image.fromarray(pixels())
GREY = Image.fromarray(pixels()[..., 0])
CLEAR = Image.fromarray(pixels(channels=4), "RGBA")


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    """Return what a camera writes: how it was held, and where."""
    notes = Image.Exif()
    notes[0x0112] = orientation
    notes.get_ifd(0x8825)[27] = PLACE  # GPSProcessingMethod
    assert PLACE in notes.tobytes()
    return notes


def words() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Location", PLACE.decode())
    return info


KEPT = {
    "jpeg": ("jpg", saved(PHOTO, "JPEG", quality=90)),
    "progressive jpeg": ("jpg", saved(PHOTO, "JPEG", progressive=True)),
    "grey jpeg": ("jpg", saved(GREY, "JPEG")),
    "cmyk jpeg": ("jpg", saved(PHOTO.convert("CMYK"), "JPEG")),
    "turned jpeg with its place": ("jpg", saved(PHOTO, "JPEG", exif=exif(6))),
    "jpeg of two pictures": ("jpg", saved(PHOTO, "MPO", save_all=True, append_images=[GREY.convert("RGB")])),
    "png": ("png", encode_png(torch.from_numpy(pixels()).permute(2, 0, 1))),
    "grey png": ("png", saved(GREY, "PNG")),
    "16-bit grey png": ("png", saved(Image.fromarray(pixels()[..., 0].astype(np.uint16) * 250), "PNG")),
    "palette png": ("png", saved(PHOTO.quantize(16), "PNG")),
    "palette png with a hole": ("png", saved(PHOTO.quantize(16), "PNG", transparency=0)),
    "transparent png": ("png", saved(CLEAR, "PNG")),
    "turned png with its place": ("png", saved(PHOTO, "PNG", exif=exif(8), pnginfo=words())),
    "black and white png in colour": ("png", saved(Image.new("RGB", (8, 4), "white"), "PNG")),
    "webp": ("webp", saved(PHOTO, "WEBP", exif=exif(3))),
    "transparent webp": ("webp", saved(CLEAR, "WEBP", lossless=True)),
}
OURS = {
    "bmp": saved(PHOTO, "BMP"),
    "gif": saved(PHOTO, "GIF"),
    "jpeg with a film behind it": saved(PHOTO, "JPEG") + bytes(3 * 48 * 80 + SLACK),
    "png with a film behind it": saved(PHOTO, "PNG") + bytes(3 * 48 * 80 + SLACK),
    "black and white png": saved(GREY.point(lambda value: 255 * (value > 99)), "PNG"),
    "1-bit png": saved(GREY.convert("1"), "PNG"),
}
kept = pytest.mark.parametrize(("suffix", "data"), KEPT.values(), ids=KEPT)
ours = pytest.mark.parametrize("data", OURS.values(), ids=OURS)


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media")


def files(store: MediaStore) -> list[Path]:
    assert store.folder
    return [path for path in store.folder.rglob("*") if path.is_file()]


@kept
def test_a_file_is_kept_as_it_came_and_read_as_ever(store: MediaStore, suffix: str, data: bytes) -> None:
    seen = decode_image(data)
    picture = store.put_picture(data)
    assert picture.uri == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (picture.kind, picture.height, picture.width) == (MediaKind.IMAGE, *seen.shape[1:])
    assert store.get_bytes(picture.uri) == data
    assert {path.name.split(".", 1)[1] for path in files(store)} == {suffix, "ref.json"}
    assert torch.equal(store.get_image(picture.uri), seen)
    assert store.ref(picture.uri) == picture == store.put_picture(data)
    assert len(files(store)) == 2
    with pytest.raises(StorageError, match="kind image, not mask"):
        store.get_mask(picture)


@kept
def test_it_leaves_as_a_png_of_pixels_alone(store: MediaStore, tmp_path: Path, suffix: str, data: bytes) -> None:
    picture = store.put_picture(data)
    for sent in (store.get_png(picture), store.export(picture, tmp_path / "out" / "a.png").read_bytes()):
        assert is_plain_png(sent)
        assert PLACE not in sent
        assert torch.equal(decode_image(sent), decode_image(data))


def test_the_files_of_these_tests_do_name_a_place() -> None:
    assert [name for name, (_, data) in KEPT.items() if PLACE in data] == [
        "turned jpeg with its place",
        "turned png with its place",
        "webp",
    ]


@ours
def test_of_other_files_only_the_pixels_are_kept(store: MediaStore, data: bytes) -> None:
    assert store.put_picture(data) == store.put_image(decode_image(data))
    (path,) = (path for path in files(store) if path.suffix == ".png")
    assert path.read_bytes() == encode_png(decode_image(data))
    assert len(files(store)) == 2


@pytest.mark.parametrize("mask_first", [True, False])
def test_the_file_of_a_mask_is_another_picture_than_the_mask(store: MediaStore, mask_first: bool) -> None:
    """Whoever exports a mask and sends the file as a picture gives the very bytes of the mask."""
    mask = torch.rand(4, 6, generator=torch.Generator().manual_seed(0)) > 0.5
    data = encode_png(mask)
    known = store.put_mask(mask) if mask_first else None
    picture = store.put_picture(data)
    known = known or store.put_mask(mask)
    assert torch.equal(store.get_mask(known), mask)
    assert torch.equal(store.get_image(picture), decode_image(data))


def test_a_file_of_raw_size_and_a_little_more_is_kept() -> None:
    data = saved(PHOTO, "JPEG")
    room = 3 * 48 * 80 + SLACK - len(data)
    assert decode_upload(data + bytes(room)).kept is not None
    assert decode_upload(data + bytes(room + 1)).kept is None


def test_a_file_is_decoded_once(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    count = []
    whole = uploads_module.decode_stream
    monkeypatch.setattr(uploads_module, "decode_stream", lambda *given: count.append(1) or whole(*given))
    for name in ("decode_image", "encode_png"):
        monkeypatch.setattr(store_module, name, None)
    store.put_picture(KEPT["jpeg"][1])
    assert count == [1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "'a.jpg' is an empty file"),
        (KEPT["jpeg"][1][:-400], "'a.jpg' is damaged or cut short"),
        (KEPT["webp"][1][:-40], "'a.jpg' is damaged or cut short"),
        (b"no picture", "'a.jpg' is not a PNG"),
        (saved(PHOTO, "WEBP", save_all=True, append_images=[GREY]), "'a.jpg' is animated"),
        (saved(PHOTO, "TIFF"), "'a.jpg' is not a PNG.* but a TIFF file"),
        (saved(Image.new("1", (7000, 7000)), "PNG"), "'a.jpg' is 7000x7000 pixels, more than"),
    ],
    ids=["empty", "half a JPEG", "half a WebP", "words", "animated", "TIFF", "bomb"],
)
def test_what_cannot_be_read_is_refused_and_nothing_written(
    store: MediaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        store.put_picture(data, "'a.jpg'")
    assert files(store) == []
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").write_bytes(data)
    with pytest.raises(InputError, match=said):
        load_upload("a.jpg")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def replace(path: Path) -> None:
    path.write_bytes(KEPT["grey jpeg"][1])


@pytest.mark.parametrize("damage", [cut, replace, Path.unlink])
def test_damage_is_noticed_and_heals_when_it_comes_again(store: MediaStore, damage: Callable[[Path], None]) -> None:
    picture = store.put_picture(KEPT["jpeg"][1])
    damage(next(path for path in files(store) if path.suffix == ".jpg"))
    for read in (store.get_image, store.get_png):
        with pytest.raises(StorageError, match=f"{picture.uri} is damaged"):
            read(picture)
    assert store.put_picture(KEPT["jpeg"][1]) == picture
    assert torch.equal(store.get_image(picture), decode_image(KEPT["jpeg"][1]))


def test_masks_and_videos_are_no_pictures_to_give_away(store: MediaStore) -> None:
    with pytest.raises(StorageError, match="kind mask, not image"):
        store.get_png(store.put_mask(torch.ones(4, 6, dtype=torch.bool)))


def test_a_path_and_its_bytes_are_the_same(tmp_path: Path, store: MediaStore) -> None:
    path = tmp_path / "photo"
    path.write_bytes(KEPT["turned jpeg with its place"][1])
    assert store.put_upload(load_upload(path)) == store.put_picture(path.read_bytes())


@pytest.mark.parametrize("name", ["nowhere.png", ".", "a\0b.png"])
def test_a_path_that_cannot_be_opened_is_told_as_ever(name: str) -> None:
    messages = []
    for load in (load_image, load_upload):
        with pytest.raises(InputError) as caught:
            load(name)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_file_too_large_to_be_kept_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(KEPT["jpeg"][1])
    monkeypatch.setattr(uploads_module, "MAX_BYTES", len(KEPT["jpeg"][1]) - 1)
    monkeypatch.setattr(uploads_module, "decode_upload", None)
    upload = load_upload(path)
    assert upload.kept is None
    assert torch.equal(upload.pixels, load_image(path))
