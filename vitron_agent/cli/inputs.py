"""Everything a user hands over on the command line, checked before any work is done."""

import contextlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitron_agent.errors import InputError, quoted

if TYPE_CHECKING:
    from torch import Tensor

    from vitron_agent.media import Region, Upload

_THREAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Inputs:
    """A conversation's inputs, all sound.

    Attributes:
        requests: one per turn.
        images: files of pictures.
        region: what was drawn on the last of them, or on the video's first frame.
        videos: frames, uint8 (T, 3, H, W), and frames per second.
    """

    requests: tuple[str, ...]
    images: tuple["Upload", ...]
    region: "Region | None"
    videos: tuple[tuple["Tensor", float], ...] = ()


def check_inputs(
    requests: Sequence[str], images: Sequence[Path] = (), region: str | None = None, video: Path | None = None
) -> Inputs:
    """Read and check all inputs of a run.

    Raises:
        InputError: Whatever is wrong with them.
    """
    from vitron_agent.graphs.turn import check_request
    from vitron_agent.media import Region, load_upload, load_video

    texts = tuple(check_request(request) for request in requests)
    drawn = Region.parse(region) if region is not None else None
    if drawn and drawn.frames and video is None:
        given = "these are pictures" if images else "no video comes with it"
        remedy = "give the video too, or leave out what follows '|'"
        raise InputError(f"region {quoted(region or '')} names video frames, but {given}: {remedy}")
    videos = () if video is None else (load_video(video),)
    for frames, _ in videos:
        if drawn and drawn.frames and drawn.frames[1] >= len(frames):
            have = f"frames 0 to {len(frames) - 1} (a longer video is sampled)"
            raise InputError(f"region {quoted(region or '')} names frame {drawn.frames[1]}: the video has {have}")
    return Inputs(texts, tuple(load_upload(path) for path in images), drawn, videos)


def check_thread(name: str | None) -> None:
    """Check a conversation's name.

    Raises:
        InputError: It could not be a file name everywhere.
    """
    if name is not None and _THREAD.fullmatch(name) is None:
        raise InputError(f"thread {name[:70]!r} is no name: use 1 to 64 letters, digits, '.', '_' and '-'")


def check_writable(folder: Path, remedy: str = "choose another with --out") -> None:
    """Make sure that files can be written to a folder, and leave no trace of the attempt.

    Args:
        folder: It need not be there yet.
        remedy: What to do if they cannot.

    Raises:
        InputError: They cannot.
    """
    made: list[Path] = []
    try:
        for path in reversed([folder, *folder.parents]):
            with contextlib.suppress(FileExistsError):  # another process may just have made it
                if not path.exists():
                    path.mkdir()
                    made.append(path)
        probe = folder / f".vitron-{secrets.token_hex(8)}"
        probe.touch(exist_ok=False)
        probe.unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such name is possible"
        shown = quoted(str(folder), 300)
        raise InputError(f"output folder {shown} cannot be written ({reason}): {remedy}") from None
    finally:
        for path in reversed(made):
            with contextlib.suppress(OSError):  # another process has begun to write there
                path.rmdir()
