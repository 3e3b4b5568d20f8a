"""Short clips in and out, and containers that point elsewhere refused."""

import io
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vitron_agent.errors import InputError
from vitron_agent.media import decode_mp4, encode_gif, encode_mp4, load_video, sample_video, videos


def clip(frames: int = 8, height: int = 64, width: int = 64) -> Tensor:
    """A red square that moves right over grey."""
    video = torch.full((frames, 3, height, width), 128, dtype=torch.uint8)
    for index in range(frames):
        video[index, :, height // 4 : height // 2, 4 * index : 4 * index + width // 4] = torch.tensor(
            [220, 40, 40], dtype=torch.uint8
        )[:, None, None]
    return video


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_video(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("fps", [8, 25, 29.97, 12.5])
def test_frames_and_rate_come_back(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode_mp4(clip(), fps))
    frames, rate = load_video(path)
    assert (frames.dtype, frames.shape) == (torch.uint8, (8, 3, 64, 64))
    assert rate == pytest.approx(fps, rel=1e-3)
    inside = (frames.float() - clip().float()).abs()
    assert inside.mean() < 3  # the codec shares colour among four pixels, so edges differ
    assert inside[:, :, 20:28, :2].max() < 12


def test_equal_frames_give_equal_bytes() -> None:
    assert encode_mp4(clip(), 8) == encode_mp4(clip(), 8)


@pytest.mark.parametrize(("height", "width"), [(63, 65), (64, 65), (1, 1), (33, 64)])
def test_odd_sides_are_padded_by_repetition(height: int, width: int) -> None:
    video = torch.full((2, 3, height, width), 90, dtype=torch.uint8)
    frames, _ = decode_mp4(encode_mp4(video, 8))
    assert frames.shape == (2, 3, height + height % 2, width + width % 2)
    assert (frames.int() - 90).abs().max() < 6


def test_an_animated_gif_is_a_video(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0)
    video, fps = load_video(path)
    assert video.shape == (3, 3, 8, 8)
    assert fps == pytest.approx(10)
    assert [int(frame.flatten(1).float().mean(1).argmax()) for frame in video] == [0, 1, 2]


@pytest.mark.parametrize(
    "video", [torch.zeros(0, 3, 4, 4, dtype=torch.uint8), torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, 3).byte()]
)
def test_other_tensors_are_no_videos(video: Tensor) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        encode_mp4(video, 8)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf"), 0.001, 2000.0])
def test_a_rate_is_one_that_a_video_can_have(fps: float) -> None:
    with pytest.raises(ValueError, match="fps"):
        encode_mp4(clip(), fps)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.mp4"
    assert "does not exist" in refusal(path)
    assert "is a folder" in refusal(tmp_path)
    for data in (b"hello", encode_mp4(clip(), 8)[:500]):
        path.write_bytes(data)
        assert "save it again as MP4" in refusal(path)


def test_an_empty_file_and_a_picture_are_told(tmp_path: Path) -> None:
    path = tmp_path / "no.mp4"
    path.write_bytes(b"")
    assert "is an empty file" in refusal(path)
    for kind in ("PNG", "JPEG", "WEBP", "BMP"):
        Image.new("RGB", (8, 8)).save(path, format=kind)
        assert "a picture: give it with --image" in refusal(path)


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "list.ffconcat", "list.sdp", "list.mpd"])
def test_a_playlist_opens_no_other_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.mp4").write_bytes(encode_mp4(clip(), 8))
    path = tmp_path / name
    secret = tmp_path / "secret.mp4"
    if name.endswith("concat"):
        path.write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    elif name.endswith("sdp"):
        path.write_text("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n")
    elif name.endswith("mpd"):
        inner = f'<Representation id="1" bandwidth="1"><BaseURL>{secret}</BaseURL></Representation>'
        body = f'<Period><AdaptationSet mimeType="video/mp4">{inner}</AdaptationSet></Period>'
        path.write_text(f'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">{body}</MPD>')
    else:
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n")
    assert "save it again as MP4" in refusal(path)


def test_long_and_large_videos_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_mp4(clip(8), 8)
    monkeypatch.setattr(videos, "MAX_FRAMES", 5)
    with pytest.raises(InputError, match="more than 5 frames"):
        decode_mp4(data)
    monkeypatch.setattr(videos, "MAX_BYTES", 3 * 64 * 64 * 3)
    with pytest.raises(InputError, match="more than 3 frames"):
        decode_mp4(data)


def counted(count: int) -> bytes:
    """A video whose frames say their number in grey, 0 to 250."""
    shades = torch.linspace(0, 250, count).round().to(torch.uint8)
    return encode_mp4(shades[:, None, None, None].expand(-1, 3, 16, 16).contiguous(), 25)


@pytest.mark.parametrize(("count", "most"), [(9, 9), (10, 9), (100, 7), (101, 2), (37, 36)])
def test_a_long_video_is_sampled_evenly_from_first_to_last(count: int, most: int) -> None:
    frames, fps = sample_video(io.BytesIO(counted(count)), most)
    assert len(frames) == min(count, most)
    shades = frames.float().mean((1, 2, 3))
    even = torch.linspace(0, 250, min(count, most))
    # a frame held while others stream by lies at most one step of the last stride from its even place
    assert (shades - even).abs().max() <= 250 / (count - 1) * max(1, count / most) + 4
    assert fps == pytest.approx(25 * len(frames) / count, rel=0.01)


def test_a_sample_never_holds_the_whole_video(monkeypatch: pytest.MonkeyPatch) -> None:
    data = counted(120)
    monkeypatch.setattr(videos, "MAX_BYTES", 21 * 16 * 16 * 3)
    frames, _ = sample_video(io.BytesIO(data), 10)
    assert len(frames) == 10
    with pytest.raises(InputError, match="more than 21 frames"):
        decode_mp4(data)
    monkeypatch.setattr(videos, "MAX_DECODED", 100)
    with pytest.raises(InputError, match="more than 100 frames"):
        sample_video(io.BytesIO(data), 10)


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((0, 1, -1, 0), (0, 1)),  # a quarter turn clockwise: what was at the top left is at the top right
        ((-1, 0, 0, -1), (1, 1)),
        ((0, -1, 1, 0), (1, 0)),
    ],
)
def test_videos_stand_as_their_camera_was_held(matrix: tuple[int, ...], corner: tuple[int, int]) -> None:
    video = torch.zeros(2, 3, 32, 64, dtype=torch.uint8)
    video[:, :, :16, :32] = 250  # the top left is bright
    data = bytearray(encode_mp4(video, 8))
    place = data.index(b"tkhd") + 44  # the track header's display matrix (ISO 14496-12)
    a, b, c, d = (value * 65536 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    frames, _ = decode_mp4(bytes(data))
    assert frames.shape[2:] == ((64, 32) if matrix[0] == 0 else (32, 64))
    height, width = frames.shape[2:]
    quarters = frames[0, 0].float().view(2, height // 2, 2, width // 2).mean((1, 3))
    assert divmod(int(quarters.argmax()), 2) == corner


def test_a_gif_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    path.write_bytes(encode_gif(clip(), 10))
    frames, fps = load_video(path)
    assert (frames.shape, fps) == (clip().shape, pytest.approx(10, rel=0.01))
    assert (frames.int() - clip().int()).abs().max() <= 4
    with Image.open(path) as picture:
        assert picture.info["loop"] == 0


def test_a_still_picture_is_not_a_video(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    with pytest.raises(InputError):
        decode_mp4(buffer.getvalue())


# Headers that lie.


def encoded(frames: int, side: int = 16, container: str = "mp4", codec: str = "libx264", step: int = 1) -> bytes:
    """A grey clip in any container and codec; frame i is shown at i to the power of `step`, 25 a second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=25)
        stream.width = stream.height = side
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = {"preset": "ultrafast"} if codec == "libx264" else {}
        grey = np.full((side, side, 3), 128, np.uint8)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts = index**step
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return buffer.getvalue()


def patched(data: bytes, box: bytes, offset: int, *values: int) -> bytes:
    """Write 32-bit numbers into an MP4 box, so many bytes behind its name."""
    at = data.index(box) + len(box) + offset
    return data[:at] + struct.pack(f">{len(values)}I", *values) + data[at + 4 * len(values) :]


def outcome(data: bytes) -> int | str:
    """How many frames come, or the remedy in the error."""
    try:
        return len(decode_mp4(data)[0])
    except InputError as error:
        return str(error).rpartition(": ")[2]


def test_ten_hours_in_the_header_are_eight_frames() -> None:
    data = encode_mp4(clip(), 8)
    ticks = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    long = patched(patched(data, b"mvhd", 16, 36_000_000), b"mdhd", 16, 36_000 * ticks)
    assert decode_mp4(long)[0].shape[0] == 8


def test_frames_that_are_hours_long_are_refused() -> None:
    slow = patched(encode_mp4(clip(), 8), b"stts", 8, 8, 36_000 * 16_384 // 8)
    with pytest.raises(InputError, match="frames a second: save it again"):
        decode_mp4(slow)


@pytest.mark.parametrize("count", [100_000, 2**32 - 1])
@pytest.mark.parametrize(("box", "offset"), [(b"stsz", 8), (b"stts", 8), (b"stsc", 4)])
def test_a_count_of_frames_that_are_not_there_costs_nothing(box: bytes, offset: int, count: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert outcome(patched(encode_mp4(clip(), 8), box, offset, count)) in (
        8,
        "choose another video",
        "save it again as MP4",
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_many_real_frames_stop_at_the_limit() -> None:
    data = encoded(videos.MAX_FRAMES + 500)
    with pytest.raises(InputError, match="more than 1000 frames"):  # as many as were read
        decode_mp4(data)


def test_a_gif_of_a_hundred_thousand_frames_stops_at_the_limit() -> None:
    dot = b"\x21\xf9\x04\0\x05\0\0\0\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    with pytest.raises(InputError, match="more than 1000 frames"):  # as many as were read
        decode_mp4(head + dot * 100_000 + b";")


def test_a_claim_of_16384_a_side_is_overruled_by_the_stream() -> None:
    side = 16_384
    data = patched(encode_mp4(clip(), 8), b"tkhd", 76, side << 16, side << 16)
    data = patched(data, b"avc1\0\0\0\0\0\0", 18, side << 16 | side)
    assert decode_mp4(data)[0].shape == (8, 3, 64, 64)


MEASURE = """
import re, sys
from pathlib import Path
from vitron_agent.errors import InputError
from vitron_agent.media import load_video
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
try:
    load_video(sys.argv[1])
except InputError as error:
    print(peak() - before, error)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to measure memory")
@pytest.mark.parametrize(("container", "codec"), [("avi", "mjpeg"), ("mp4", "libx264")])
def test_a_stream_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, container: str, codec: str
) -> None:
    """In a process of its own: here, the encoder has already taken the memory that the decoder must not."""
    path = tmp_path / "large"
    path.write_bytes(encoded(1, side=6144, container=container, codec=codec))
    command = [sys.executable, "-c", MEASURE, str(path)]
    grown, _, said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition(" ")
    assert "more than 36 megapixels" in said
    assert "make it smaller first" in said
    assert int(grown) < 50_000  # KiB; one such frame has 55,000


def saved_avi() -> bytes:
    return encoded(3, container="avi", codec="mjpeg")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("make", [lambda: encode_mp4(clip(), 8), saved_avi], ids=["mp4", "avi"])
def test_truncated_videos_end_in_an_error_or_in_fewer_frames(share: float, make: Callable[[], bytes]) -> None:
    data = make()
    whole = outcome(data)
    assert isinstance(whole, int)
    cut = outcome(data[: int(len(data) * share)])
    assert cut in (*range(1, whole + 1), "choose another video", "save it again as MP4")


def test_frames_of_uneven_length_all_come_at_the_mean_rate() -> None:
    frames, fps = decode_mp4(encoded(8, step=2))
    assert frames.shape[0] == 8
    assert 2 < fps < 6  # eight frames in two to three seconds


def recorded(rate: int) -> bytes:
    """Eight frames, ten a second, in a file that claims another rate, as a browser's recordings do."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as file:
        stream = file.add_stream("mpeg4", rate=rate)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        for index in range(8):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            frame.pts = index * rate // 10
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return buffer.getvalue()


def test_a_rate_that_the_frames_times_contradict_is_not_believed() -> None:
    assert decode_mp4(recorded(1000))[1] == pytest.approx(10, rel=0.2)
    assert decode_mp4(recorded(10))[1] == pytest.approx(10)


def test_one_frame_is_a_video() -> None:
    frames, fps = decode_mp4(encode_mp4(clip(1), 8))
    assert frames.shape == (1, 3, 64, 64)
    assert fps == pytest.approx(8)


@pytest.mark.parametrize(("container", "codec"), [("matroska", "jpeg2000"), ("mov", "jpeg2000"), ("matroska", "ffv1")])
def test_decoders_nobody_needs_are_not_run(container: str, codec: str) -> None:
    with pytest.raises(InputError, match=f"is encoded as '{codec}', which is not read"):
        decode_mp4(encoded(2, container=container, codec=codec))


@pytest.mark.parametrize(("container", "codec"), [("webm", "libvpx-vp9"), ("webm", "libvpx"), ("avi", "mpeg4")])
def test_the_usual_codecs_are_read(container: str, codec: str) -> None:
    assert decode_mp4(encoded(3, container=container, codec=codec))[0].shape == (3, 3, 16, 16)
