"""What the pictures and videos of a conversation show, by handle and by number.

A user's picture or video shows what its scene or clip says; one that was made shows what the checkers read in it.
"""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import torch

from vitron_agent.evaluation.cases import Turn
from vitron_agent.evaluation.drive import CallRecord, TurnRecord
from vitron_agent.evaluation.films import read_film, shown_clip
from vitron_agent.evaluation.made import is_clip, read_clip
from vitron_agent.shapes.check import read_scene
from vitron_agent.shapes.clip import Clip
from vitron_agent.shapes.scene import Scene

Content = TypeVar("Content")


class Album(Generic[Content]):
    """Pictures, or videos, in order; each is read at most once, and only if it is asked for."""

    def __init__(self) -> None:
        """Start empty."""
        self._looks: dict[str, Callable[[], Content]] = {}
        self._known: dict[str, Content] = {}
        self._pixels: dict[str, torch.Tensor] = {}
        self._order: list[str] = []

    def add(self, handle: str, pixels: torch.Tensor, look: Callable[[], Content]) -> None:
        """Add one; `look` says what it shows."""
        self._pixels[handle] = pixels
        self._looks.setdefault(handle, look)
        self._order.append(handle)

    def __contains__(self, handle: str) -> bool:
        """Whether it holds one."""
        return handle in self._looks

    def shows(self, handle: str) -> Content:
        """What one shows."""
        if handle not in self._known:
            self._known[handle] = self._looks[handle]()
        return self._known[handle]

    def pixels(self, handle: str) -> torch.Tensor:
        """A picture, uint8 (3, H, W), or a video, uint8 (T, 3, H, W)."""
        return self._pixels[handle]

    def number(self, number: int | None) -> str | None:
        """The handle of one by its number from 1, None for the latest; None if there is no such one."""
        at = len(self._order) if number is None else number
        return self._order[at - 1] if 1 <= at <= len(self._order) else None


class Seen:
    """All that a conversation has shown so far.

    Attributes:
        pictures: By themselves, and numbered so.
        videos: Likewise.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.pictures: Album[Scene] = Album()
        self.videos: Album[Clip] = Album()

    def receive(self, turn: Turn, record: TurnRecord) -> None:
        """Add the pictures and videos that the user sent."""
        for scene, handle, picture in zip(turn.scenes, record.handles, record.pictures, strict=True):
            self.pictures.add(handle, picture, partial(_itself, scene))
        for clip, handle, video in zip(turn.clips, record.clip_handles, record.clips, strict=True):
            self.videos.add(handle, video, partial(_itself, clip))

    def take(self, call: CallRecord) -> None:
        """Add the picture or video that a call made, if it made one."""
        if call.handle is None:
            return
        if call.image is not None:
            self.pictures.add(call.handle, call.image, partial(_read_picture, call.image))
        elif call.video is not None:
            self.videos.add(call.handle, call.video, partial(self._read_video, call.video, call.source))

    def _read_video(self, video: torch.Tensor, source: str | None) -> Clip:
        """What a video shows that was made of another, of a picture, or (of no source) of words."""
        if not is_clip(video):
            return Clip(Scene("gray", ()), ())
        film = read_film(video)
        if source is not None and source in self.videos:
            return shown_clip(film, self.videos.shows(source))
        return read_clip(film, self.pictures.shows(source) if source is not None and source in self.pictures else None)


def _itself(content: Content) -> Content:
    return content


def _read_picture(picture: torch.Tensor) -> Scene:
    return read_scene(picture).scene
