"""A picture that comes as a file: its pixels, and the file itself where that can be kept as it came.

To write a photograph anew as PNG takes fifteen times as long as to read it, and five times the disk. This file does not
know stores.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from vitron_agent.errors import InputError, quoted
from vitron_agent.media.images import MAX_PIXELS, decode_stream, open_input

SLACK = 64 * 1024  # bytes that a file may have beyond its raw pixels: a profile, a thumbnail
MAX_BYTES = 3 * MAX_PIXELS + SLACK
_SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}  # by Pillow's names


@dataclass(frozen=True, eq=False)
class Upload:
    """A picture's file, read and found sound.

    Attributes:
        pixels: what it shows, uint8 (3, H, W) RGB, upright.
        kept: the file as it came; None if only the pixels shall be kept.
        suffix: of the file that is kept, such as "jpg".
    """

    pixels: Tensor
    kept: bytes | None = None
    suffix: str = "png"


def decode_upload(data: bytes, name: str = "the picture") -> Upload:
    """Read a picture's file from bytes, once, with the checks of `decode_image`.

    Args:
        data: a whole file.
        name: what to call it in an error.

    Returns:
        Its pixels, and the file where it is JPEG, PNG or WebP and holds not much besides a picture.

    Raises:
        InputError: as `load_image`.
    """
    pixels, form = decode_stream(io.BytesIO(data), name)
    suffix = _SUFFIXES.get(form)
    if suffix is None or len(data) > pixels.numel() + SLACK or _may_be_a_mask(data, pixels):
        return Upload(pixels)
    return Upload(pixels, data, suffix)


def load_upload(path: str | Path) -> Upload:
    """Read a picture's file, as `decode_upload` does.

    Raises:
        InputError: as `load_image`.
    """
    name = quoted(str(path), 300)
    with open_input(path, "picture") as stream:
        if os.fstat(stream.fileno()).st_size > MAX_BYTES:  # never kept, so never read whole
            return Upload(decode_stream(stream, name)[0])
        try:
            data = stream.read()
        except OSError:
            raise InputError(f"{name} cannot be read: check the name and the disk") from None
    return decode_upload(data, name)


def _may_be_a_mask(data: bytes, pixels: Tensor) -> bool:
    """Whether a mask of the store may have exactly these bytes: one handle cannot be both."""
    is_grey_png = data.startswith(b"\x89PNG") and data[25:26] == b"\0"
    return is_grey_png and bool(((pixels[0] == 0) | (pixels[0] == 255)).all())
