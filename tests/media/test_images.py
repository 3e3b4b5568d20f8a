"""Every file that somebody may call a picture: read right, or refused in one line that names it and the remedy."""

import io
import os
import resource
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from torch import Tensor

from vitron_agent.errors import InputError
from vitron_agent.media import MAX_PIXELS, MAX_SIDE, decode_image, decode_png, encode_png, is_plain_png, load_image
from vitron_agent.media.images import check_size

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def flat_png(width: int, height: int) -> bytes:
    """A black 1-bit PNG of any size in a few kilobytes: rows are made one after the other, never all at once."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(mode: str = "RGB") -> Image.Image:
    """Red left, blue right, 8x4."""
    picture = Image.new("RGB", (8, 4), RED)
    picture.paste(BLUE, (4, 0, 8, 4))
    return picture.convert(mode)


def pixel(image: Tensor, x: int, y: int) -> tuple[int, ...]:
    return tuple(image[:, y, x].tolist())


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        load_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300 + len(str(path))
    assert "0x7" not in message
    assert "object at" not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


# What is read.


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("GIF", {}), ("WEBP", {"lossless": True})])
def test_lossless_pictures_come_back_exactly(tmp_path: Path, kind: str, options: dict[str, object]) -> None:
    path = tmp_path / f"picture.{kind.lower()}"
    path.write_bytes(saved(halves(), kind, **options))
    image = load_image(path)
    assert (image.dtype, image.shape, image.is_contiguous()) == (torch.uint8, (3, 4, 8), True)
    assert torch.equal(image, torch.from_numpy(np.array(halves())).permute(2, 0, 1))


def test_a_jpeg_is_read() -> None:
    image = decode_image(saved(halves(), "JPEG", quality=95, subsampling=0))
    assert image.shape == (3, 4, 8)
    assert all(abs(a - b) < 12 for a, b in zip(pixel(image, 0, 0), RED, strict=True))


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(saved(halves(), "PNG"))
    assert load_image(str(path)).shape == (3, 4, 8)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 7), (7, 1), (3, 3), (3, 4), (4, 3)])
def test_small_and_channel_like_sizes_keep_their_axes(width: int, height: int) -> None:
    assert decode_image(saved(Image.new("RGB", (width, height), GREEN), "PNG")).shape == (3, height, width)


@pytest.mark.parametrize("value", [0, 1, 300, 32768, 65535])
def test_16_bit_grey_is_scaled_not_clipped(value: int) -> None:
    picture = Image.fromarray(np.full((2, 3), value, dtype=np.uint16))
    assert picture.mode == "I;16"
    image = decode_image(saved(picture, "PNG"))
    assert image.shape == (3, 2, 3)
    assert set(image.flatten().tolist()) == {round(value / 257)}


def test_16_bit_colour_is_scaled() -> None:
    raw = b"\0" + struct.pack(">HHH", 65535, 32896, 0)
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(raw))
    assert pixel(decode_image(data + png_chunk(b"IEND", b"")), 0, 0) == (255, 128, 0)


def test_cmyk_becomes_rgb() -> None:
    image = decode_image(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert all(abs(a - b) < 12 for a, b in zip(pixel(image, 4, 4), RED, strict=True))


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_bilevel_become_rgb(mode: str) -> None:
    image = decode_image(saved(Image.new(mode, (2, 2), 255 if mode == "L" else 1), "PNG"))
    assert pixel(image, 0, 0) == WHITE


def test_a_palette_is_looked_up() -> None:
    image = decode_image(saved(halves().quantize(4), "PNG"))
    assert pixel(image, 0, 0) == RED
    assert pixel(image, 7, 0) == BLUE


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB+key", "L+key"])
def test_transparency_is_laid_over_white(mode: str) -> None:
    if mode == "P":
        picture = Image.new("P", (2, 1), 0)
        picture.putpalette([0, 0, 0, *RED])
        picture.putpixel((1, 0), 1)
        data, opaque = saved(picture, "PNG", transparency=0), RED
    elif mode.endswith("key"):  # one colour is the hole
        picture = Image.new(mode[:-4], (2, 1), 0)
        picture.putpixel((1, 0), RED if mode.startswith("RGB") else 255)
        data = saved(picture, "PNG", transparency=(0, 0, 0) if mode.startswith("RGB") else 0)
        opaque = RED if mode.startswith("RGB") else WHITE
    else:
        picture = Image.new(mode, (2, 1), (0,) * len(mode))
        picture.putpixel((1, 0), (*RED, 255) if mode == "RGBA" else (80, 255))
        data, opaque = saved(picture, "PNG"), RED if mode == "RGBA" else (80, 80, 80)
    image = decode_image(data)
    assert pixel(image, 0, 0) == WHITE
    assert pixel(image, 1, 0) == opaque


def test_half_transparent_is_half_white() -> None:
    image = decode_image(saved(Image.new("RGBA", (1, 1), (255, 0, 0, 128)), "PNG"))
    assert pixel(image, 0, 0) == (255, 127, 127)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright(orientation: int) -> None:
    upright = halves().resize((64, 32), Image.Resampling.NEAREST)
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turned[orientation]) if orientation in turned else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode_image(saved(stored, "JPEG", exif=exif, quality=95))
    assert image.shape == (3, 32, 64)
    assert image[0, 16, 8] > 200
    assert image[2, 16, 56] > 200


def test_broken_exif_turns_nothing() -> None:
    assert decode_image(saved(halves(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")).shape == (3, 4, 8)


def test_a_phones_two_picture_jpeg_is_its_photo() -> None:
    data = saved(halves(), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 4), GREEN)])
    image = decode_image(data)
    assert image.shape == (3, 4, 8)
    assert image[1].max() < 100


def test_a_gif_of_one_frame_is_a_picture() -> None:
    assert pixel(decode_image(saved(halves(), "GIF")), 7, 3) == BLUE


# What is refused.


def test_missing_file_folder_and_odd_names(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "no.png")
    assert "is a folder" in refusal(tmp_path)
    assert "cannot be read" in refusal("a\0b.png")
    assert "cannot be read" in refusal("x" * 5000)
    assert "is a folder" in refusal("")
    assert "does not exist" in refusal("two\nlines.png")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "not a regular file" in refusal(pipe)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(saved(halves(), "PNG"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # and not chmod: the tests may run as root
    assert "may not be read" in refusal(path)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (saved(Image.new("RGB", (4, 4)), "TIFF"), "TIFF"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf \n<?xml version="1.0"?><svg/>', "SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"hello", "not a PNG"),
        (b"#!/bin/sh\nexit\n", "not a PNG"),
    ],
)
def test_other_files_named_png_are_refused_by_kind(tmp_path: Path, data: bytes, kind: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    message = refusal(path)
    assert kind in message
    assert "convert it to PNG" in message


@pytest.mark.parametrize(
    "start", [b"\0\0\0\x18ftypisom", b"\0\0\0\x18ftypqt  ", b"\x1aE\xdf\xa3", b"RIFF\0\0\0\0AVI LIST"]
)
def test_a_video_is_sent_to_video(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(start + bytes(40))
    assert "but a video: give it with --video" in refusal(path)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_text_in_a_picture_that_unpacks_to_eighty_megabytes_is_not_unpacked(tmp_path: Path, kind: bytes) -> None:
    data = saved(halves(), "PNG")
    body = kind + b"k\0\0" + zlib.compress(bytes(80_000_000), 1)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path = tmp_path / "picture.png"
    path.write_bytes(data[:33] + chunk + data[33:])
    tracemalloc.start()
    assert "damaged" in refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    assert "empty file" in refusal(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * share)])
    assert "damaged or cut short" in refusal(path)


def test_damaged_pixels_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = bytearray(saved(Image.fromarray(noise), "PNG"))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    assert "damaged" in refusal(path)


def zero_png() -> bytes:
    header = struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b""))
        + png_chunk(b"IEND", b"")
    )


def zero_gif() -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 0, 0, 0, 0, 0)
        + b"\x2c"
        + struct.pack("<HHHHB", 0, 0, 0, 0, 0)
        + b"\x02\x01\0\0;"
    )


@pytest.mark.parametrize("make", [zero_png, zero_gif])
def test_pictures_without_pixels_are_refused(tmp_path: Path, make: Callable[[], bytes]) -> None:
    path = tmp_path / "zero"
    path.write_bytes(make())
    assert "0x0 pixels" in refusal(path)


@pytest.mark.parametrize(
    ("width", "height"), [(9_000, 9_000), (12_000, 12_000), (30_000, 30_000), (20_000, 10), (6001, 6000)]
)
def test_decompression_bombs_are_refused_before_they_are_decoded(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(flat_png(width, height))
    assert path.stat().st_size < 200_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
    assert f"{width}x{height} pixels, more than 36 megapixels" in message
    assert "make it smaller" in message


def test_the_largest_allowed_sizes() -> None:
    check_size(6000, 6000, "a picture")
    check_size(MAX_SIDE, 1, "a picture")
    assert 6000 * 6000 == MAX_PIXELS
    with pytest.raises(InputError, match="16385x1"):
        check_size(MAX_SIDE + 1, 1, "a picture")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations_are_sent_to_video(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "moving"
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    path.write_bytes(saved(frames[0], kind, save_all=True, append_images=frames[1:]))
    message = refusal(path)
    assert "animated" in message
    assert "--video" in message


def test_an_animation_of_a_hundred_thousand_frames_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dot = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes([*WHITE, *RED])
    path = tmp_path / "moving.gif"
    path.write_bytes(head + dot * 100_000 + b";")
    sought: list[int] = []
    seek = GifImageFile._seek

    def watched(gif: GifImageFile, frame: int, update_image: bool = True) -> None:
        sought.append(frame)
        seek(gif, frame, update_image)

    monkeypatch.setattr(GifImageFile, "_seek", watched)
    assert "animated" in refusal(path)
    assert max(sought) < 3


# Our own PNG.


@pytest.mark.parametrize("shape", [(3, 1, 1), (3, 5, 7), (3, 64, 64)])
def test_a_picture_survives_png(shape: tuple[int, ...]) -> None:
    image = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(decode_png(encode_png(image)), image)
    assert encode_png(image) == encode_png(image.clone())


def test_a_mask_survives_png_and_other_programs_see_0_and_255() -> None:
    mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)) > 0.5
    assert torch.equal(decode_png(encode_png(mask)), mask)
    seen = np.array(Image.open(io.BytesIO(encode_png(mask))))
    assert seen.dtype == np.uint8
    assert set(seen.flatten().tolist()) == {0, 255}


@pytest.mark.parametrize(
    "pixels", [torch.zeros(3, 4, 4), torch.zeros(4, 4, dtype=torch.uint8), torch.zeros(4, 4, 3, dtype=torch.uint8)]
)
def test_other_tensors_are_no_pictures(pixels: Tensor) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        encode_png(pixels)


def test_only_png_is_taken_for_png() -> None:
    with pytest.raises(InputError):
        decode_png(saved(halves(), "JPEG"))


def with_chunk(data: bytes, kind: bytes, content: bytes, place: int) -> bytes:
    return data[:place] + png_chunk(kind, content) + data[place:]


@pytest.mark.parametrize("pixels", [torch.zeros(3, 4, 8, dtype=torch.uint8), torch.ones(4, 8, dtype=torch.bool)])
def test_our_png_is_nothing_but_pixels(pixels: Tensor) -> None:
    data = encode_png(pixels)
    assert is_plain_png(data)
    assert is_plain_png(with_chunk(data, b"IDAT", b"", 33))
    for kind in (b"tEXt", b"eXIf", b"iCCP", b"gAMA", b"PLTE"):
        assert not is_plain_png(with_chunk(data, kind, b"words\0more", 33))
        assert not is_plain_png(with_chunk(data, kind, b"words\0more", len(data) - 12))
    for other in (data[:-1], data[:-12], data + b"x", data + data, with_chunk(data, b"IEND", b"words", len(data) - 12)):
        assert not is_plain_png(other)


@pytest.mark.parametrize("length", [0, 8, 25, 26, 33, 40])
def test_the_start_of_a_png_is_none(length: int) -> None:
    assert not is_plain_png(encode_png(torch.zeros(3, 4, 8, dtype=torch.uint8))[:length])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "I;16"])
def test_pngs_of_other_pixels_are_not_ours(mode: str) -> None:
    assert not is_plain_png(saved(Image.new(mode, (2, 2)), "PNG"))


def test_other_files_are_no_png() -> None:
    assert not any(is_plain_png(saved(halves(), kind)) for kind in ("JPEG", "WEBP", "BMP", "GIF"))
