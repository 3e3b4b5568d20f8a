"""Short clips in and out, and containers that point elsewhere refused."""

import io
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from vitron_agent.errors import InputError
from vitron_agent.media import decode_mp4, encode_mp4, load_video, videos


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


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan")])
def test_a_rate_is_above_zero(fps: float) -> None:
    with pytest.raises(ValueError, match="fps"):
        encode_mp4(clip(), fps)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.mp4"
    assert "does not exist" in refusal(path)
    assert "is a folder" in refusal(tmp_path)
    for data in (b"", b"hello", encode_mp4(clip(), 8)[:500]):
        path.write_bytes(data)
        assert "save it again as MP4" in refusal(path)


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "list.ffconcat"])
def test_a_playlist_opens_no_other_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.mp4").write_bytes(encode_mp4(clip(), 8))
    path = tmp_path / name
    secret = tmp_path / "secret.mp4"
    if name.endswith("concat"):
        path.write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
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


def test_a_still_picture_is_not_a_video(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    with pytest.raises(InputError):
        decode_mp4(buffer.getvalue())
