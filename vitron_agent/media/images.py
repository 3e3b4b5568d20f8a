"""Pictures: files that anybody may have made, read with every doubt, and the PNG in which ours are kept.

Everything is refused before it is decoded that could cost more than `MAX_PIXELS`. This file does not know stores.
"""

import io
import threading
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from vitron_agent.errors import InputError, quoted

MAX_PIXELS = 36_000_000
MAX_SIDE = 16_384
_EFFORT = 1  # of zlib: of a photograph 6, the usual, makes no smaller a PNG in twice the time
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_WARNINGS = threading.Lock()  # Python keeps one list of warning filters for all threads
_READABLE = "PNG, JPEG, WebP, BMP or GIF"
_DAMAGED = "is damaged or cut short: save it again as PNG"
_OURS = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", b"GIF8")
_PLAIN_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PLAIN_END = b"\0\0\0\0IEND\xaeB`\x82"
_PICTURE_BRANDS = (b"heic", b"heix", b"heif", b"hevc", b"mif1", b"msf1", b"avif", b"avis")  # of files like MP4

# How the files begin that people most often take for pictures we can read.
_LOOKALIKES = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"%PDF", "PDF"),
    (b"\0\0\0\x0cjP", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"<svg", "SVG"),
    (b"<?xml", "SVG or another XML"),
    (b"<html", "HTML"),
    (b"<!doctype", "HTML"),
    (b"PK\x03\x04", "ZIP"),
)


def load_image(path: str | Path) -> Tensor:
    """Read a picture from a file: uint8 (3, H, W) RGB, upright, transparency laid over white.

    Raises:
        InputError: no such file, not a picture in one of `FORMATS`, animated, damaged, empty, or too large.
    """
    with open_input(path, "picture") as stream:
        return decode_stream(stream, quoted(str(path), 300))[0]


def decode_image(data: bytes, name: str = "the picture") -> Tensor:
    """Read a picture from bytes, with the same checks as `load_image`: uint8 (3, H, W) RGB.

    Args:
        data: a whole file.
        name: what to call it in an error.

    Raises:
        InputError: as `load_image`.
    """
    return decode_stream(io.BytesIO(data), name)[0]


def encode_png(image: Tensor) -> bytes:
    """Write a picture, uint8 (3, H, W) RGB, or a mask, bool (H, W), as PNG. Equal pixels give equal bytes.

    Raises:
        ValueError: another shape or type.
    """
    if image.dtype is torch.bool and image.ndim == 2:
        picture = Image.fromarray(image.cpu().numpy().astype(np.uint8) * 255)
    elif image.dtype is torch.uint8 and image.ndim == 3 and image.shape[0] == 3:
        picture = Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())
    else:
        raise ValueError(f"expected uint8 (3, H, W) or bool (H, W), got {image.dtype} {tuple(image.shape)}")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=_EFFORT)
    return buffer.getvalue()


def decode_png(data: bytes) -> Tensor:
    """Read back what `encode_png` wrote: uint8 (3, H, W) of a picture, bool (H, W) of a mask.

    Raises:
        InputError: these bytes are no such PNG.
    """
    pixels, _ = decode_stream(io.BytesIO(data), "the PNG", formats=("PNG",))
    is_mask = data[25:26] == b"\0"  # colour type of the header: 0 is grey, 2 is RGB
    return pixels[0] >= 128 if is_mask else pixels


def is_plain_png(data: bytes) -> bool:
    """Whether a file is a PNG with 8 bits of grey or RGB, such as ours, that holds nothing besides its pixels."""
    if not data.startswith(_PLAIN_START) or data[24:26] not in (b"\x08\x00", b"\x08\x02"):  # depth, colour type
        return False
    place = len(_PLAIN_START) + 17  # behind the header and its checksum
    while data[place + 4 : place + 8] == b"IDAT":
        place += int.from_bytes(data[place : place + 4], "big") + 12
    return data[place:] == _PLAIN_END


def open_input(path: str | Path, noun: str) -> BinaryIO:
    """Open a file that a user named.

    Args:
        path: its name.
        noun: what it should be, for the error: "picture" or "video".

    Raises:
        InputError: it does not exist, is a folder or a device, or may not be read.
    """
    path, shown = Path(path), quoted(str(path), 300)
    try:
        if path.is_dir():
            raise InputError(f"{shown} is a folder: name a {noun} file in it")
        if path.exists() and not path.is_file():  # opening a pipe would wait forever
            raise InputError(f"{shown} is not a regular file: name a {noun} file")
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{shown} does not exist: check the name of the {noun}") from None
    except PermissionError:
        raise InputError(f"{shown} may not be read: check its permissions") from None
    except (OSError, ValueError):  # ValueError: a NUL in the name
        raise InputError(f"{shown} cannot be read: check the name and the disk") from None


def check_size(width: int, height: int, name: str) -> None:
    """Hold a picture's or video's size, as its header says it, against the limits.

    Raises:
        InputError: no pixels, or more than `MAX_PIXELS` or `MAX_SIDE`.
    """
    if width < 1 or height < 1:
        raise InputError(f"{name} is {width}x{height} pixels, which is none: choose another")
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        limits = f"{MAX_PIXELS // 1_000_000} megapixels and {MAX_SIDE} a side"
        raise InputError(f"{name} is {width}x{height} pixels, more than {limits}: make it smaller first")


def decode_stream(stream: BinaryIO, name: str, formats: tuple[str, ...] = FORMATS) -> tuple[Tensor, str]:
    """Read a picture from an open file, with the same checks as `load_image`.

    Args:
        stream: at its beginning.
        name: what to call it in an error.
        formats: those of `FORMATS` that are taken.

    Returns:
        Its pixels, uint8 (3, H, W) RGB, and what Pillow calls its format: one of `formats`, or "MPO", a JPEG with
        further pictures in it.

    Raises:
        InputError: as `load_image`.
    """
    start = stream.read(64)
    stream.seek(0)
    if not start:
        raise InputError(f"{name} is an empty file: choose another picture")
    if size := _header_size(start):
        check_size(*size, name)
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own opinions on sizes and metadata
            with Image.open(stream, formats=formats) as picture:
                check_size(*picture.size, name)
                # A phone's JPEG may carry a second picture (MPO): the first is the photograph.
                if picture.format != "MPO" and getattr(picture, "is_animated", False):
                    raise InputError(f"{name} is animated: give it with --video, or save one frame as a picture")
                picture.load()
                return _to_rgb(_upright(picture)), str(picture.format)
    except InputError:
        raise
    except UnidentifiedImageError:
        if is_video(start):
            remedy = "give it with --video, or save one frame as a picture"
            raise InputError(f"{name} is not a {_READABLE} picture but a video: {remedy}") from None
        if is_picture(start):
            raise InputError(f"{name} {_DAMAGED}") from None
        raise InputError(f"{name} is not a {_READABLE} picture{_guess(start)}: convert it to PNG") from None
    except Image.DecompressionBombError:
        limits = f"{MAX_PIXELS // 1_000_000} megapixels"
        raise InputError(f"{name} is more than {limits}: make it smaller first") from None
    except Exception:  # decoders fail in many ways, and their words are not for users
        raise InputError(f"{name} {_DAMAGED}") from None


def is_picture(start: bytes) -> bool:
    """Whether a file that begins so (12 bytes or more) is, or pretends to be, a picture of ours; a GIF is one too."""
    return start.startswith(_OURS) and not is_video(start)


def is_video(start: bytes) -> bool:
    """Whether a file that begins so (12 bytes or more) is a video and no picture."""
    if start[4:8] == b"ftyp":
        return start[8:12] not in _PICTURE_BRANDS
    return start.startswith(b"\x1aE\xdf\xa3") or (start.startswith(b"RIFF") and start[8:12] == b"AVI ")


def _header_size(start: bytes) -> tuple[int, int] | None:
    """Read (width, height) of a PNG or GIF: where Pillow itself refuses a header, it names no size."""
    if start.startswith(b"\x89PNG") and len(start) >= 24:
        return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    if start.startswith(b"GIF8") and len(start) >= 10:
        return int.from_bytes(start[6:8], "little"), int.from_bytes(start[8:10], "little")
    return None


def _guess(start: bytes) -> str:
    start = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, kind in _LOOKALIKES:
        if start[: len(magic)].lower() == magic.lower():
            return f" but a {kind} file"
    return " but an HEIC or AVIF file" if start[4:8] == b"ftyp" else ""


def _upright(picture: Image.Image) -> Image.Image:
    """Turn a photograph as its EXIF says; unreadable EXIF turns nothing."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:
        return picture


def _to_rgb(picture: Image.Image) -> Tensor:
    if picture.mode.startswith("I"):  # 16 bits a pixel, which convert() would clip instead of scaling
        values = np.asarray(picture).astype(np.float64) / 257
        grey = torch.from_numpy(values.round().clip(0, 255).astype(np.uint8))
        return grey.expand(3, -1, -1).contiguous()
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).contiguous()
