"""A picture or video that is looked at only where it must be: one of the store's, under its handle.

A conversation shows all its pictures again in every turn, and what the planner saw in them it mostly knows by their
names. So a handle is read, which for a photograph takes longer than a reply, when its features are wanted and not kept.
"""

import hashlib
from dataclasses import dataclass

from torch import Tensor

from vitron_agent.media import MediaKind, MediaStore


@dataclass(frozen=True)
class Stored:
    """A handle with the store that has it.

    Attributes:
        handle: "sha256:...".
        kind: Image or video.
        store: Where it lies.
    """

    handle: str
    kind: MediaKind
    store: MediaStore

    def pixels(self) -> Tensor:
        """Read it: a picture uint8 (3, H, W), or the frames of a video uint8 (T, 3, H, W).

        Raises:
            StorageError: It is not there, not of its kind, or damaged.
        """
        return (
            self.store.get_video(self.handle)[0] if self.kind is MediaKind.VIDEO else self.store.get_image(self.handle)
        )


Medium = Tensor | Stored
"""What a turn shows: pixels that came as such, or a handle."""


def pixels_of(medium: Medium) -> Tensor:
    """Pixels of a picture, uint8 (3, H, W), or a video, uint8 (T, 3, H, W).

    Raises:
        StorageError: As `Stored.pixels`.
    """
    return medium.pixels() if isinstance(medium, Stored) else medium


def content_digest(medium: Medium) -> str:
    """Name a picture, a video or a mask by its content: by its handle, else by its pixels, shape and type."""
    if isinstance(medium, Stored):
        return medium.handle
    shape = repr((tuple(medium.shape), medium.dtype)).encode()
    return hashlib.sha256(medium.contiguous().cpu().numpy().tobytes() + shape).hexdigest()
