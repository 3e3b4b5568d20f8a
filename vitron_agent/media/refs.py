"""What a picture, video or mask is called: its kind, its handle and its size.

This file does not know where pixels are kept or how they are encoded.
"""

import re
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from vitron_agent.errors import StorageError, quoted

HANDLE_PATTERN = r"^sha256:[0-9a-f]{64}$"
_HANDLE = re.compile(r"sha256:([0-9a-f]{64})")


class MediaKind(StrEnum):
    """What a handle stands for."""

    IMAGE = "image"
    VIDEO = "video"
    MASK = "mask"


class MediaRef(BaseModel):
    """A name for pixels that lie in a `MediaStore`: small enough for messages and graph state.

    Attributes:
        uri: `sha256:` and the 64 hex digits of the stored bytes.
        kind: image, video or mask.
        width: in pixels.
        height: in pixels.
        frames: number of frames of a video, None for a still.
        fps: frames per second of a video, None for a still.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str = Field(pattern=HANDLE_PATTERN)
    kind: MediaKind
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    frames: int | None = Field(default=None, gt=0)
    fps: float | None = Field(default=None, gt=0, allow_inf_nan=False)


def handle_digest(uri: str) -> str:
    """Return the 64 hex digits of a handle.

    Raises:
        StorageError: the text is not `sha256:` and 64 lower-case hex digits. Nothing else is ever made into a path.
    """
    match = _HANDLE.fullmatch(uri) if isinstance(uri, str) else None
    if match is None:
        raise StorageError(f"{quoted(str(uri))} is not a media handle: it must be 'sha256:' and 64 hex digits")
    return match.group(1)
