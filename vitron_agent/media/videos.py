"""Videos: short clips in and out by PyAV, H.264 in MP4 for ours.

Files are opened with a fixed list of containers and decoders and no network protocol: a playlist that names other
files is refused, and so is JPEG 2000. What a header claims costs nothing; frames are counted as they come. This file
does not know stores.
"""

import io
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import torch
from torch import Tensor
from torch.nn.functional import pad

from vitron_agent.errors import InputError, quoted
from vitron_agent.media.images import MAX_PIXELS, check_size, open_input

MAX_FRAMES = 1000
MAX_BYTES = 2**30  # of decoded pixels
CRF = "12"  # x264's quality, 0 to 51: visually the same picture
MIN_FPS, MAX_FPS = 0.01, 1000.0
DECODERS = "h264,hevc,av1,libdav1d,libaom-av1,vp8,libvpx,vp9,libvpx-vp9,h263,mpeg4,mpeg2video,mjpeg,prores,gif"
_LIMITS = {"max_pixels": str(MAX_PIXELS)}  # or one frame is decoded before anybody can look at its size
_OPTIONS = {
    **_LIMITS,
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,matroska,webm,avi,gif",
    "protocol_whitelist": "file",
    "codec_whitelist": DECODERS,  # while the file is looked at; `_stream` holds it for the frames
}


def load_video(path: str | Path) -> tuple[Tensor, float]:
    """Read a video or an animated GIF from a file.

    Returns:
        Frames, uint8 (T, 3, H, W) RGB, and the frames per second.

    Raises:
        InputError: no such file, not a video, damaged, without frames, or too large.
    """
    with open_input(path, "video") as stream:
        return _decode(stream, quoted(str(path), 300))


def decode_mp4(data: bytes, name: str = "the video") -> tuple[Tensor, float]:
    """Read a video from bytes, with the same checks as `load_video`.

    Returns:
        Frames, uint8 (T, 3, H, W) RGB, and the frames per second.

    Raises:
        InputError: as `load_video`.
    """
    return _decode(io.BytesIO(data), name)


def encode_mp4(frames: Tensor, fps: float) -> bytes:
    """Write frames, uint8 (T, 3, H, W) RGB, as H.264 in MP4 (yuv420p); odd sides gain a repeated row or column.

    Raises:
        ValueError: another shape or type, no frames, or a rate beyond `MIN_FPS` and `MAX_FPS`.
    """
    if frames.dtype is not torch.uint8 or frames.ndim != 4 or frames.shape[1] != 3 or not len(frames):
        raise ValueError(f"expected uint8 (T, 3, H, W) with T > 0, got {frames.dtype} {tuple(frames.shape)}")
    if not MIN_FPS <= fps <= MAX_FPS:
        raise ValueError(f"fps must be {MIN_FPS:g} to {MAX_FPS:g}, got {fps}")
    height, width = frames.shape[2:]
    even = pad(frames.cpu().float(), (0, width % 2, 0, height % 2), mode="replicate").byte()
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height = even.shape[3], even.shape[2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": CRF, "threads": "1"}  # one thread: equal frames give equal bytes
        for frame in even.permute(0, 2, 3, 1).contiguous().numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def _stream(container: av.container.InputContainer, name: str) -> tuple[av.VideoStream, float]:
    """Return the first picture track and its frames per second, as the header says it.

    Raises:
        InputError: there is none, or it is nothing to decode.
    """
    if not container.streams.video:
        raise InputError(f"{name} has no picture track: choose another video")
    stream = container.streams.video[0]
    codec = stream.codec_context.name
    if codec not in DECODERS.split(","):
        raise InputError(f"{name} is encoded as {quoted(codec, 20)}, which is not read: save it again as MP4 (H.264)")
    if not stream.width or not stream.height:
        limit = f"{MAX_PIXELS // 1_000_000} megapixels"
        raise InputError(f"{name} has no size that can be read, or more than {limit}: make it smaller first")
    check_size(stream.width, stream.height, name)
    stream.codec_context.options = dict(_LIMITS)
    fps = float(stream.average_rate or stream.guessed_rate or 0) or 8.0
    if not MIN_FPS <= fps <= MAX_FPS:
        raise InputError(f"{name} claims {fps:.3g} frames a second: save it again as MP4")
    return stream, fps


def _decode(source: BinaryIO, name: str) -> tuple[Tensor, float]:
    frames: list[Tensor] = []
    try:
        with av.open(source, "r", options=dict(_OPTIONS)) as container:
            stream, fps = _stream(container, name)
            for frame in container.decode(stream):
                check_size(frame.width, frame.height, name)
                if len(frames) == MAX_FRAMES or (len(frames) + 1) * frame.width * frame.height * 3 > MAX_BYTES:
                    raise InputError(f"{name} has more than {len(frames)} frames of its size: cut it shorter first")
                frames.append(torch.from_numpy(frame.to_ndarray(format="rgb24")))
    except InputError:
        raise
    except Exception:  # decoders fail in many ways, and their words are not for users
        raise InputError(f"{name} is not a whole MP4, MOV, WebM, MKV, AVI or GIF video: save it again as MP4") from None
    if not frames:
        raise InputError(f"{name} has no frames: choose another video")
    if len({frame.shape for frame in frames}) > 1:
        raise InputError(f"{name} changes its size on the way: save it again as MP4")
    return torch.stack(frames).permute(0, 3, 1, 2).contiguous(), fps
