"""What the tower made of pictures and videos that were looked at before, so that each is read and encoded once.

Knows media and the network's eyes, no words.
"""

import threading
from collections import OrderedDict

from vitron_agent.planner.model import Encoded, PlannerModel
from vitron_agent.planner.stored import Medium, content_digest, pixels_of
from vitron_agent.planner.vision import sample_frames

MAX_MEDIA = 64


class FeatureCache:
    """Features by content; the least recently used of `MAX_MEDIA` leaves first. Threads may share it."""

    def __init__(self, model: PlannerModel) -> None:
        """Start empty."""
        self.model = model
        self._known: OrderedDict[str, Encoded] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many pictures and videos are known."""
        return len(self._known)

    def encode(self, medium: Medium) -> Encoded:
        """Features of one picture, uint8 (3, H, W), or video, uint8 (T, 3, H, W); what is known is not read.

        Raises:
            StorageError: It is to be read, and cannot be.
        """
        key = content_digest(medium)
        with self._lock:
            found = self._known.pop(key, None)
        if found is None:
            pixels = pixels_of(medium)
            if pixels.ndim == 4:
                found = self.model.encode_videos(sample_frames(pixels, self.model.video_frames)[None])
            else:
                found = self.model.encode_pictures(pixels[None])
        with self._lock:
            self._known[key] = found
            while len(self._known) > MAX_MEDIA:
                self._known.popitem(last=False)
        return found

    def clear(self) -> None:
        """Keep none of them any longer."""
        with self._lock:
            self._known.clear()
