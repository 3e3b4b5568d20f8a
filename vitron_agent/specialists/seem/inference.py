"""From mask and class logits to semantic maps, panoptic segments, masks, boxes; tensors only (SEEM, `seem_model`)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

SAME = 0.7  # two masks that overlap this much (IoU) show one thing


@dataclass(frozen=True)
class Segment:
    """One panoptic segment."""

    label: int  # index of its class
    score: float  # of the best query that made it
    mask: Tensor  # bool (H, W)


def resize_masks(logits: Tensor, padded: tuple[int, int], cropped: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Bring mask logits back to a picture's size, SEEM's way.

    Args:
        logits: (Q, h, w) at stride 4.
        padded: height and width of the model's input.
        cropped: height and width of the picture inside it.
        size: height and width wanted.

    Returns:
        (Q, *size) logits: bilinear to the padded size, cropped, bilinear to `size`.
    """
    large = F.interpolate(logits[None], size=padded, mode="bilinear", align_corners=False)
    large = large[..., : cropped[0], : cropped[1]]
    if cropped != size:
        large = F.interpolate(large, size=size, mode="bilinear", align_corners=False)
    return large[0]


def semantic(class_logits: Tensor, masks: Tensor) -> Tensor:
    """Weigh mask shares by class shares: (Q, K) and logits (Q, H, W) -> (K - 1, H, W), void left out.

    A sum over queries, so not a probability.
    """
    return torch.einsum("qk,qhw->khw", class_logits.softmax(-1)[:, :-1], masks.sigmoid())


def confident(class_logits: Tensor, score: float) -> Tensor:
    """Return the queries, of logits (Q, K), whose best class is not void (the last) and scores more than `score`."""
    scores, labels = class_logits.softmax(-1).max(-1)
    return ((labels != class_logits.shape[-1] - 1) & (scores > score)).nonzero()[:, 0]


def panoptic(
    class_logits: Tensor, masks: Tensor, score: float, overlap: float, stuff: frozenset[int] = frozenset()
) -> list[Segment]:
    """Give every pixel to at most one segment.

    Args:
        class_logits: (Q, K), the last class is void.
        masks: (Q, H, W) logits.
        score: queries whose best class is void or scores at most this are dropped.
        overlap: a segment stays if at least this share of its own mask (over 0.5) is left to it.
        stuff: classes of which all segments become one.

    Returns:
        Disjoint segments, in query order; several of one class unless it is stuff.
    """
    keep, (scores, labels) = confident(class_logits, score), class_logits.softmax(-1).max(-1)
    if len(keep) == 0:
        return []
    shares = masks[keep].sigmoid()
    owner = (scores[keep, None, None] * shares).argmax(0)
    segments: list[Segment] = []
    for index, query in enumerate(keep.tolist()):
        own = shares[index] >= 0.5
        mask = (owner == index) & own
        area, whole = int((owner == index).sum()), int(own.sum())
        if area == 0 or whole == 0 or not mask.any() or area / whole < overlap:
            continue
        label, value = int(labels[query]), float(scores[query])
        twin = next((i for i, s in enumerate(segments) if s.label == label and label in stuff), None)
        if twin is None:
            segments.append(Segment(label, value, mask))
        else:
            old = segments[twin]
            segments[twin] = Segment(label, max(old.score, value), old.mask | mask)
    return segments


def components(mask: Tensor) -> list[Tensor]:
    """Take a mask, bool (H, W), apart into its connected pieces (diagonals connect), the largest first."""
    labels, _ = ndimage.label(mask.cpu().numpy(), structure=np.ones((3, 3)))
    numbered = torch.from_numpy(labels).to(mask.device)
    sizes = numbered.flatten().bincount()[1:]
    return [numbered == int(label) + 1 for label in sizes.argsort(descending=True)]


def touched(mask: Tensor, stroke: Tensor) -> Tensor:
    """Keep the connected pieces of a mask that a stroke lies on; the whole mask if it lies on none.

    SEEM's mask may also show an object of the same looks elsewhere: who points at one means one.

    Args:
        mask: bool (H, W).
        stroke: bool (H, W).
    """
    pieces = [piece for piece in components(mask) if (piece & stroke).any()]
    return torch.stack(pieces).any(0) if pieces else mask


def distinct(masks: Iterable[Tensor]) -> list[Tensor]:
    """Leave out empty masks, and those that show what one before them shows.

    Args:
        masks: bool (H, W) each, the best first.
    """
    kept: list[Tensor] = []
    for mask in masks:
        overlaps = [float((mask & old).sum() / (mask | old).sum().clamp(min=1)) for old in kept]
        if mask.any() and max(overlaps, default=0.0) < SAME:
            kept.append(mask)
    return kept
