"""Files that lie about what they are, where they are, or how much they hold; and what an error may tell of them."""

import io
import os
import random
import re
import resource
import struct
from collections.abc import Callable
from pathlib import Path

import av
import pytest
import torch
from PIL import EpsImagePlugin, Image

from vitron_agent.errors import InputError
from vitron_agent.media import decode_image, decode_mp4, encode_mp4, load_image, load_video

BLACK = torch.zeros(8, 3, 64, 64, dtype=torch.uint8)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Pictures that are programs.


def test_an_eps_reaches_no_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def interpret(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise RuntimeError("no interpreter in this test")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", interpret)
    path = tmp_path / "picture.png"
    path.write_bytes(saved(Image.new("RGB", (4, 4)), "EPS"))
    assert "EPS" in refusal(lambda: load_image(path))
    assert asked == []
    with Image.open(path) as picture, pytest.raises(RuntimeError, match="no interpreter"):
        picture.load()
    assert asked  # Pillow by itself would have


# Films that are larger than their file.


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def animated_webp(side: int, frames: int) -> bytes:
    """A WebP of so many frames of one pixel each, on a canvas of any size."""
    dot = saved(Image.new("RGB", (1, 1)), "WEBP", lossless=True)
    pixels = dot[dot.index(b"VP8L") :]
    edge = struct.pack("<I", side - 1)[:3]
    frame = chunk(b"ANMF", bytes(12) + struct.pack("<I", 40)[:3] + b"\0" + pixels)
    body = chunk(b"VP8X", b"\x02\0\0\0" + edge * 2) + chunk(b"ANIM", bytes(6)) + frame * frames
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize(
    ("side", "frames", "said"),
    [(64, 20_000, "is animated"), (9000, 2, "9000x9000 pixels, more than 36 mega"), (16_384, 2, "more than 36 mega")],
)
def test_a_webp_of_many_frames_or_pixels_costs_nothing(side: int, frames: int, said: str) -> None:
    data = animated_webp(side, frames)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert said in refusal(lambda: decode_image(data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


# Films that lie elsewhere.


def alias(path: Path) -> bytes:
    """An MP4's reference to another file, as QuickTime writes it: an alias with an absolute path."""
    name = os.fsencode(str(path))
    record = bytes(10) + b"\0" + bytes(27) + bytes(12) + b"\0" + bytes(63) + bytes(16) + bytes(4) + bytes(16)
    record += struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2) + struct.pack(">hH", -1, 0)
    body = b"alis" + bytes(4) + record
    return struct.pack(">I", 4 + len(body)) + body


def url(path: Path) -> bytes:
    body = b"url " + bytes(4) + b"file://" + os.fsencode(str(path)) + b"\0"
    return struct.pack(">I", 4 + len(body)) + body


def elsewhere(secret: Path, entry: bytes) -> bytes:
    """The secret's own headers without its frames, which are said to lie in the secret."""
    data = secret.read_bytes()
    at = data.index(b"mdat")
    size = struct.unpack(">I", data[at - 4 : at])[0]
    data = data[: at + 4] + bytes(size - 8) + data[at + size - 4 :]
    at = data.index(b"dref")
    old = struct.unpack(">I", data[at - 4 : at])[0]
    box = b"dref" + bytes(4) + struct.pack(">I", 1) + entry
    data = data[:at] + box + data[at - 4 + old :]
    grown = 4 + len(box) - old
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        place = data.index(name) - 4
        length = struct.unpack(">I", data[place : place + 4])[0] + grown
        data = data[:place] + struct.pack(">I", length) + data[place + 4 :]
    return data


@pytest.mark.parametrize("entry", [alias, url])
def test_a_film_whose_frames_lie_in_another_file_is_refused(tmp_path: Path, entry: Callable[[Path], bytes]) -> None:
    secret, path = tmp_path / "secret.mp4", tmp_path / "film.mp4"
    secret.write_bytes(encode_mp4(BLACK, 8))
    path.write_bytes(elsewhere(secret, entry(secret)))
    assert re.search("has no frames|save it again as MP4", refusal(lambda: load_video(path)))
    if entry is alias:  # the reference is a good one: FFmpeg follows it where it is allowed to
        with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
            assert len(list(container.decode(video=0))) == 8


# What an error tells.

TELLING = re.compile(
    r"0x[0-9a-f]{4,}|<[\w.]+ object|Traceback|Errno|/(?:tmp|usr|home|root|proc)\b|\.(?:py|c|so)\b", re.I
)


def spoiled(data: bytes, seed: int) -> bytes:
    """The same with eight bytes changed, or cut short."""
    chance, out = random.Random(seed), bytearray(data)
    for _ in range(8):
        out[chance.randrange(len(out))] = chance.randrange(256)
    return bytes(out[: chance.randrange(8, len(out))] if seed % 3 == 0 else out)


def noise() -> Image.Image:
    return Image.effect_noise((32, 32), 80).convert("RGB")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "MP4"])
def test_no_error_of_a_decoder_reaches_the_user(kind: str, tmp_path: Path) -> None:
    """Its words may hold addresses in memory, and paths of the server."""
    data = encode_mp4(BLACK, 8) if kind == "MP4" else saved(noise(), kind)
    read = decode_mp4 if kind == "MP4" else decode_image
    errors: list[InputError] = []
    for seed in range(40):
        try:
            read(spoiled(data, seed))
        except InputError as error:
            errors.append(error)
    told = {str(error) for error in errors}
    assert told
    assert [text for text in told if TELLING.search(text)] == []
    assert all(error.__cause__ is None and error.__suppress_context__ for error in errors if error.__context__)
