"""Videos: clips in and out by PyAV, H.264 in MP4 for ours. Long ones are sampled as they stream by, never held whole.

Files are opened with a fixed list of containers and decoders and no network protocol: a playlist that names other
files is refused, and so is JPEG 2000. What a header claims costs nothing; frames are counted as they come. This file
does not know stores.
"""

import io
import logging
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from vitron_agent.errors import InputError, quoted
from vitron_agent.media.images import MAX_PIXELS, check_size, is_picture, open_input

_log = logging.getLogger(__name__)
MAX_FRAMES = 1000  # kept of a video of ours
MAX_SAMPLED = 128  # kept of a user's video
MAX_DECODED = 20_000  # looked at while a video is sampled: eleven minutes at 30 frames a second
MAX_BYTES = 2**30  # of decoded pixels that are kept
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


def load_video(path: str | Path, most: int = MAX_SAMPLED) -> tuple[Tensor, float]:
    """Read a video or an animated GIF from a file, upright as its camera was held; transparency is ignored.

    Args:
        path: the file.
        most: frames to keep: of a longer video so many, evenly spread, the first and the last among them, and a
            warning is logged.

    Returns:
        Frames, uint8 (T, 3, H, W) RGB, and how many of them there are per second.

    Raises:
        InputError: no such file, not a video, damaged, without frames, or too large.
    """
    with open_input(path, "video") as stream:
        return sample_video(stream, most, quoted(str(path), 300))


def sample_video(source: BinaryIO, most: int = MAX_SAMPLED, name: str = "the video") -> tuple[Tensor, float]:
    """Read a video from an open file as `load_video` does."""
    return _decode(source, name, most)


def decode_mp4(data: bytes, name: str = "the video") -> tuple[Tensor, float]:
    """Read all frames of a video from bytes, with the same checks as `load_video`.

    Returns:
        Frames, uint8 (T, 3, H, W) RGB, and the frames per second.

    Raises:
        InputError: as `load_video`, or it has more than `MAX_FRAMES` frames.
    """
    return _decode(io.BytesIO(data), name, None)


def encode_mp4(frames: Tensor, fps: float) -> bytes:
    """Write frames, uint8 (T, 3, H, W) RGB, as H.264 in MP4 (yuv420p); odd sides gain a repeated row or column.

    Raises:
        ValueError: another shape or type, no frames, or a rate beyond `MIN_FPS` and `MAX_FPS`.
    """
    _check(frames, fps)
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
        raise InputError(f"{name} has no picture track, or is cut short: choose another video")
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


def _decode(source: BinaryIO, name: str, most: int | None) -> tuple[Tensor, float]:
    """Read all frames, or a sample of at most `most`."""
    reel = _Reel(name, most)
    start = source.read(16)
    source.seek(0)
    if not start:
        raise InputError(f"{name} is an empty file: choose another video")
    try:
        with av.open(source, "r", options=dict(_OPTIONS)) as container:
            stream, fps = _stream(container, name)
            for frame in container.decode(stream):
                check_size(frame.width, frame.height, name)
                reel.add(frame)
    except InputError:
        raise
    except Exception:  # decoders fail in many ways, and their words are not for users
        readable = "MP4, MOV, WebM, MKV, AVI or GIF video"
        if is_picture(start) and not start.startswith(b"GIF8"):
            remedy = "give it with --image, or save it as MP4 if it moves"
            raise InputError(f"{name} is not a whole {readable} but a picture: {remedy}") from None
        raise InputError(f"{name} is not a whole {readable}: save it again as MP4") from None
    frames = reel.frames()
    if len(frames) < reel.count:
        _log.warning("%s has %d frames: %d of them are used, evenly spread", name, reel.count, len(frames))
    if not frames:
        raise InputError(f"{name} has no frames: choose another video")
    if len({frame.shape for frame in frames}) > 1:
        raise InputError(f"{name} changes its size on the way: save it again as MP4")
    return torch.stack(frames).contiguous(), max(reel.rate(fps) * len(frames) / reel.count, MIN_FPS)


class _Reel:
    """Frames that stream by: all of them, or every n-th, n growing so that never more than twice `most` are held."""

    def __init__(self, name: str, most: int | None) -> None:
        self.name, self.most = name, most
        self.count, self.stride = 0, 1
        self._times: list[float] = []  # of the first and the last frame, in seconds
        self._kept: list[Tensor] = []
        self._last: Tensor | None = None  # the newest, if it is not kept

    def add(self, frame: av.VideoFrame) -> None:
        """Take in the next frame.

        Raises:
            InputError: there are too many.
        """
        size = frame.width * frame.height * 3
        limit = MAX_FRAMES if self.most is None else MAX_DECODED
        if self.count == limit or (len(self._kept) + 1) * size > MAX_BYTES:
            raise InputError(f"{self.name} has more than {self.count} frames of its size: cut it shorter first")
        if frame.time is not None:
            self._times = [*self._times[:1], frame.time]
        upright = _upright(frame)
        self._last = None if self.count % self.stride == 0 else upright
        if self._last is None:
            self._kept.append(upright)
        self.count += 1
        if self.most is not None and len(self._kept) >= 2 * self.most:
            self._kept, self.stride = self._kept[::2], self.stride * 2

    def rate(self, claimed: float) -> float:
        """Return the frames per second: as claimed, unless the frames' own times say something else by far.

        Browsers write their recordings as they go, and claim a thousand.
        """
        span = self._times[-1] - self._times[0] if self._times else 0.0
        measured = min(max((self.count - 1) / span, MIN_FPS), MAX_FPS) if span > 0 else claimed
        return claimed if 0.5 <= claimed / measured <= 2 else measured

    def frames(self) -> list[Tensor]:
        """Return what is kept, uint8 (3, H, W) each, evenly spread from the first to the last frame."""
        held = [*self._kept, *([self._last] if self._last is not None else [])]
        if self.most is None or len(held) <= self.most:
            return held
        return [held[int(place)] for place in torch.linspace(0, len(held) - 1, self.most).round()]


def _upright(frame: av.VideoFrame) -> Tensor:
    """Return a frame's pixels, uint8 (3, H, W), turned as the file says (in quarter turns, as cameras write it)."""
    pixels = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
    return torch.rot90(pixels, round(frame.rotation / 90), (1, 2))


def encode_gif(frames: Tensor, fps: float) -> bytes:
    """Write frames, uint8 (T, 3, H, W) RGB, as a GIF that repeats for ever.

    Raises:
        ValueError: as `encode_mp4`.
    """
    _check(frames, fps)
    stills = [Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()) for frame in frames.cpu()]
    buffer = io.BytesIO()
    first, *others = (still.quantize(256, dither=Image.Dither.NONE) for still in stills)
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=1000 / fps, loop=0, optimize=False)
    return buffer.getvalue()


def _check(frames: Tensor, fps: float) -> None:
    if frames.dtype is not torch.uint8 or frames.ndim != 4 or frames.shape[1] != 3 or not len(frames):
        raise ValueError(f"expected uint8 (T, 3, H, W) with T > 0, got {frames.dtype} {tuple(frames.shape)}")
    if not MIN_FPS <= fps <= MAX_FPS:
        raise ValueError(f"fps must be {MIN_FPS:g} to {MAX_FPS:g}, got {fps}")
