"""SEEM on video: one object through all frames of a clip.

As in SEEM, the prompt's tokens are taken once, from the reference frame and its mask, and every frame is decoded on its
own (`reference frame` prompts of Zou et al. 2023, section 3.2). SEEM keeps no memory between frames; here what was
followed so far (last mask, its motion, its colour) decides between queries that show alike objects. Knows no files.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vitron_agent.errors import MissingInputError, NothingFoundError
from vitron_agent.media import Box, MediaKind, box_of
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.specialists.seem.inference import components, resize_masks
from vitron_agent.specialists.seem.model import stroke_scores
from vitron_agent.specialists.seem.prompts import VISUAL, PromptTokens
from vitron_agent.specialists.seem.specialist import SeemSegmenter

TRIED = 4  # frames in which words are looked for until they are found, evenly spread, the first one first
CANDIDATES = 6  # queries of a frame that may show the object
PIECES = 3  # connected pieces of a query's mask, which may show two objects of the same looks
FLOOR = -4.0  # a query's log share counts as at least this: alike objects share it unevenly
OVERLAP, COLOUR, SIZE = 3.0, 8.0, 1.0  # what the memory's evidence weighs, in units of a query's log share
LOST = -5.0  # total evidence below which nothing in the frame is the object


@dataclass(frozen=True)
class Memory:
    """What is known of the object when a frame comes.

    Attributes:
        mask: bool (H, W), where it was last seen.
        shift: (2,) float, rows and columns in pixels that it moves per frame.
        colour: (3,) float, its mean RGB in [0, 1] in the reference frame.
    """

    mask: Tensor
    shift: Tensor
    colour: Tensor

    def expected(self) -> Tensor:
        """Where it should be now, bool (H, W)."""
        rows, columns = (int(step) for step in self.shift.round())
        height, width = self.mask.shape
        room = (max(columns, 0), max(-columns, 0), max(rows, 0), max(-rows, 0))
        padded = F.pad(self.mask, room)
        return padded[max(-rows, 0) :, max(-columns, 0) :][:height, :width]

    def seen(self, mask: Tensor) -> "Memory":
        """The memory after the object was found again."""
        moved = _centre(mask) - _centre(self.mask)
        return replace(self, mask=mask, shift=0.5 * self.shift + 0.5 * moved if self.shift.any() else moved)


class SeemTracker:
    """SEEM for pictures and clips: pictures go to the segmenter, through clips one object is followed.

    It keeps nothing between calls: threads may share it.
    """

    name = "seem"

    def __init__(self, segmenter: SeemSegmenter, memory: bool = True) -> None:
        """Take the parts.

        Args:
            segmenter: SEEM on pictures.
            memory: False decodes every frame on its own, as SEEM does.
        """
        self.segmenter = segmenter
        self.memory = memory

    @property
    def revision(self) -> str:
        """Which weights; without memory results are others."""
        return self.segmenter.revision if self.memory else f"{self.segmenter.revision}-without-memory"

    def move_to(self, device: str) -> None:
        """Move all weights: see `Movable`."""
        self.segmenter.move_to(device)

    @torch.inference_mode()
    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        """Segment `request.image` (see `SeemSegmenter.run`), or track one object through `request.video`.

        `region`: the object under it, in the first frame of the region's span (frame 0 without one). `command` alone:
        what the words mean in the first frame in which they mean something.

        Returns:
            `masks` (empty where the object is not seen), `track`, and the score of the reference.

        Raises:
            MissingInputError: neither picture nor video, no such frame, or nothing says what to track.
            NothingFoundError: it is in none of the frames that were looked at.
            Cancelled: `progress` asked to stop.
        """
        video = request.video
        if video is None:
            return self.segmenter.run(request, progress)
        if not len(video):
            raise MissingInputError("the video has no frames: give another one")
        start, found = self._reference(request, video)
        assert found.mask is not None
        total = len(video) + 1
        progress(1, total)
        masks = torch.zeros(video.shape[0], *video.shape[2:], dtype=torch.bool)
        masks[start] = found.mask
        tokens, pooled = self._remember(video[start], found.mask)
        first = Memory(found.mask, torch.zeros(2), _colour(video[start], found.mask))
        done = 1
        for frames in (range(start + 1, len(video)), range(start - 1, -1, -1)):
            memory = first
            for frame in frames:
                mask = self._find(video[frame], tokens, pooled, memory)
                if mask is not None:
                    masks[frame], memory = mask, memory.seen(mask)
                done += 1
                progress(done, total)
        progress(total, total)
        track: tuple[Box | None, ...] = tuple(box_of(mask) if mask.any() else None for mask in masks)
        return SpecialistResult(
            MediaKind.VIDEO, masks=masks, track=track, boxes=found.boxes, labels=found.labels, score=found.score
        )

    def _reference(self, request: SpecialistRequest, video: Tensor) -> tuple[int, SpecialistResult]:
        """The frame that says what is meant, and what was found there."""
        if request.region is not None:
            frame = request.region.frames[0] if request.region.frames else 0
            if frame >= len(video):
                raise MissingInputError(f"there is no frame {frame}: the video has frames 0 to {len(video) - 1}")
            return frame, self.segmenter.run(replace(request, image=video[frame], video=None))
        spread = dict.fromkeys(round(i * (len(video) - 1) / max(TRIED - 1, 1)) for i in range(TRIED))
        for frame in spread:
            try:
                return frame, self.segmenter.run(replace(request, image=video[frame], video=None))
            except NothingFoundError:
                continue
        raise NothingFoundError(
            f"nothing in the video matches {request.command!r}: ask what is there, or draw a region"
        )

    def _remember(self, frame: Tensor, mask: Tensor) -> tuple[PromptTokens, Tensor]:
        """The reference as SEEM's example prompt: visual tokens, and pooled features (1, C)."""
        view, decoder = self.segmenter.look(frame[None]), self.segmenter.model.decoder
        points = self.segmenter.points_of(view, _core(mask))
        tokens = decoder.stroke_tokens(view.features, points, VISUAL)
        return tokens, decoder.pooled(view.features, points)[0]

    def _find(self, frame: Tensor, tokens: PromptTokens, pooled: Tensor, memory: Memory) -> Tensor | None:
        """The object's mask in a frame, bool (H, W), or None where it is not seen."""
        view = self.segmenter.look(frame[None])
        prediction = self.segmenter.model(view.features, tokens)
        shares = stroke_scores(prediction.mask_embeddings, pooled)[0].log_softmax(-1)
        best = shares.topk(min(CANDIDATES, len(shares))).indices
        logits = resize_masks(prediction.masks[0, best].float(), view.padded, view.resized, view.size)
        seen = (logits > 0).cpu()
        if not self.memory:
            return self.segmenter.snapped(seen[:1], view)[0] if seen[0].any() else None
        pieces = [
            (_evidence(float(shares[query]), piece, frame, memory), piece)
            for query, mask in zip(best, seen, strict=True)
            for piece in components(mask)[:PIECES]
        ]
        evidence, mask = max(pieces, key=lambda pair: pair[0], default=(LOST, seen[0]))
        return self.segmenter.snapped(mask[None], view)[0] if evidence > LOST else None


def _evidence(share: float, mask: Tensor, frame: Tensor, memory: Memory) -> float:
    """How much speaks for a non-empty mask (H, W), shown by a query of a log share, being the object."""
    expected = memory.expected()
    overlap = float((mask & expected).sum()) / float((mask | expected).sum())
    colour = float((_colour(frame, mask) - memory.colour).norm())
    size = abs(math.log(float(mask.sum()) / float(memory.mask.sum())))
    return max(share, FLOOR) + OVERLAP * overlap - COLOUR * colour - SIZE * size


def _centre(mask: Tensor) -> Tensor:
    """The mean row and column of the set pixels, (2,) float."""
    return mask.nonzero().float().mean(0)


def _colour(frame: Tensor, mask: Tensor) -> Tensor:
    """The mean RGB in [0, 1] of a frame's, uint8 (3, H, W), masked pixels."""
    return frame[:, _core(mask)].float().mean(1) / 255


def _core(mask: Tensor) -> Tensor:
    """A mask without its rim, where pixels are mixed with what lies around; the mask itself if nothing is left."""
    inner = -F.max_pool2d(-mask[None].float(), 3, 1, 1)[0] > 0.5
    return inner if inner.any() else mask
