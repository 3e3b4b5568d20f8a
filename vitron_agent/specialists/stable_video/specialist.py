"""`StableVideo`: carries edited keyframes over to a whole clip, or takes an object out, through its layered atlas.

The keyframes are edited elsewhere; here is what makes the edit stick to what moves. Atlases are kept by the content of
clip and masks, so that a second edit of the same object need not fit one again. Knows tensors only.
"""

import hashlib
import threading
from collections import OrderedDict

import torch
from torch import Tensor

from vitron_agent.errors import InputError, MissingInputError
from vitron_agent.media import MediaKind
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.specialists.pixels import as_bytes
from vitron_agent.specialists.stable_video.aggregation import aggregated
from vitron_agent.specialists.stable_video.fit import FitSettings, fit_atlas
from vitron_agent.specialists.stable_video.layers import LayeredAtlas
from vitron_agent.specialists.stable_video.matting import (
    EDGE,
    background_texture,
    behind,
    edited_background,
    grown,
    laid_out,
)
from vitron_agent.specialists.stable_video.propagation import edit_layer, keyframe_atlas

KEPT = 4  # atlases in memory
BACKGROUND = "background"  # the command whose keyframes, or picture, change everything but the object
UNWRAP = "unwrap"  # the command that lays the background of all frames out as one picture
REMOVE = "remove"  # the command that takes the object out


class StableVideo:
    """StableVideo's way of editing a clip: an atlas for the object, one for the rest."""

    name = "stable_video"

    def __init__(self, settings: FitSettings | None = None) -> None:
        """Take the settings of the fit; there are no weights."""
        self.settings = settings or FitSettings()
        self._kept: OrderedDict[str, tuple[LayeredAtlas, str]] = OrderedDict()  # with its digest if it was given
        self._guard = threading.Lock()

    @property
    def revision(self) -> str:
        """Which way of fitting: another one gives other results."""
        return hashlib.sha256(repr(self.settings).encode()).hexdigest()[:12]

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        """Edit `request.video`, whose object is in `request.masks`.

        `command` says what to do: "remove" takes the object out; "unwrap" makes a picture of the background of all
        frames; "background" gives everything but the object the look of that picture edited, which is `image`, or of
        the keyframes; anything else carries the keyframes over to the object. What is not edited stays as it is, pixel
        for pixel.

        Returns:
            `video` (of "unwrap" `image`, uint8 (3, h, w)), and in `looks` both textures, the object's share of the
            first frame, and the first frame as the atlas remembers it.

        Raises:
            MissingInputError: video, masks or keyframes are missing, or no frame shows the object.
            InputError: the edited picture of the background has another size than what "unwrap" made.
            Cancelled: `progress` asked to stop.
        """
        video, masks = request.video, request.masks
        if video is None or masks is None or not masks.any():
            raise MissingInputError("a video edit needs a video and the object's mask in its frames: find it first")
        atlas = self.atlas(video, masks, progress)
        if request.command == UNWRAP:
            scenery = as_bytes(laid_out(atlas, video.float() / 255, masks))
            return SpecialistResult(MediaKind.IMAGE, image=scenery, looks=looks_of(atlas))
        edited = self._edited(atlas, request, video, masks, progress)
        return SpecialistResult(MediaKind.VIDEO, video=edited, looks=looks_of(atlas))

    def _edited(
        self, atlas: LayeredAtlas, request: SpecialistRequest, video: Tensor, masks: Tensor, progress: Progress
    ) -> Tensor:
        """Return the new clip, uint8 (T, 3, H, W)."""
        pixels = video.float() / 255
        if request.command == REMOVE:
            gone = grown(masks, EDGE)[:, None]
            return as_bytes(torch.where(gone, behind(atlas, pixels, masks), pixels))
        if request.command == BACKGROUND:  # several objects may move in several ways: their colours know the edges best
            return as_bytes(edited_background(atlas, pixels, masks, *_new_background(atlas, request, masks)))
        keyframes = _keyframes(request)
        texture, coverage = keyframe_atlas(atlas, "foreground", keyframes)
        if self.settings.aggregation and len(keyframes) > 1:
            steps = self.settings.aggregation
            texture = aggregated(atlas.foreground, texture, keyframes, atlas.alpha, steps, progress)
        return edit_layer(atlas, "foreground", texture, coverage, video)

    def atlas(self, video: Tensor, masks: Tensor, progress: Progress = ignore_progress) -> LayeredAtlas:
        """Fit the layered atlas of a clip, uint8 (T, 3, H, W), and its object, bool (T, H, W), or take the kept one."""
        key = _key(video, masks)
        with self._guard:
            atlas, digest = self._kept.pop(key, (None, ""))
        if atlas is None:
            with torch.inference_mode(False), torch.enable_grad():
                atlas = fit_atlas(video.clone(), masks.clone(), self.settings, progress)
        self._keep(key, atlas, digest)
        return atlas

    def keep(self, video: Tensor, masks: Tensor, atlas: LayeredAtlas) -> None:
        """Take this atlas for a clip and its object, such as one that `load_nla` read; arguments as of `atlas`.

        The atlases of the last `KEPT` clips stay; one that had to go is fitted anew where it is needed again. Edits of
        this clip that were made before, by another atlas, do not count any more (see `supplied`).
        """
        self._keep(_key(video, masks), atlas, atlas.digest())

    def supplied(self, request: SpecialistRequest) -> str:
        """Return the digest of the atlas that was given for a request's clip; "" where it is fitted: see `Supplied`."""
        if request.video is None or request.masks is None:
            return ""
        key = _key(request.video, request.masks)
        with self._guard:
            return self._kept[key][1] if key in self._kept else ""

    def _keep(self, key: str, atlas: LayeredAtlas, digest: str) -> None:
        """Keep an atlas as the one used last; the one used longest ago goes where there are too many."""
        with self._guard:
            self._kept[key] = atlas, digest
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)


def _key(video: Tensor, masks: Tensor) -> str:
    return hashlib.sha256(video.numpy().tobytes() + masks.numpy().tobytes() + str(video.shape).encode()).hexdigest()


def _new_background(atlas: LayeredAtlas, request: SpecialistRequest, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the background's texture as it shall be, float (3, h, w), and where it is known, (h, w)."""
    if request.image is None:
        return background_texture(atlas, _keyframes(request), masks)
    size = atlas.background.texture.shape
    if request.image.shape != size:
        raise InputError(f"the edited background is {tuple(request.image.shape)}, and was {tuple(size)}: keep its size")
    return request.image.float() / 255, torch.ones(size[1:])


def _keyframes(request: SpecialistRequest) -> dict[int, Tensor]:
    """Return the edited frames, float (3, H, W) in [0, 1], by their numbers."""
    if not request.keyframes:
        raise MissingInputError("a video edit needs at least one edited frame")
    return {frame: picture.float() / 255 for frame, picture in request.keyframes.items()}


def looks_of(atlas: LayeredAtlas) -> dict[str, Tensor]:
    """Pictures of an atlas, uint8 (3, h, w): both textures, the object's share and the clip's first frame again."""
    pictures = {
        "foreground": atlas.foreground.texture,
        "background": atlas.background.texture,
        "alpha": atlas.alpha[:1].expand(3, -1, -1),
        "reconstruction": atlas.render()[0],
    }
    return {name: as_bytes(picture) for name, picture in pictures.items()}
