"""Padded conversations with their pictures, videos and regions as tensors, and how the planner embeds them.

Knows scenes, clips and the network; which conversations are drawn is `planner_data`'s business.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from vitron_agent.planner.model import Encoded, PlannerModel
from vitron_agent.planner.processor import Processor, Serialised
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.planner.vision import sample_frames
from vitron_agent.shapes.clip import Clip
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Scene
from vitron_agent.shapes.tasks_video_ask import motion_of
from vitron_agent.training.disturb import disturb

SIDE = 64
LEAD, LEAD_WEIGHT = 3, 3.0
"""How many ids at the beginning of a reply count more, and how much: there it is decided what is done."""
NUMBER_WEIGHT = 0.3
"""How much a side of a box counts: where new objects go is free, and what cannot be known drowns what can."""
_NUMBER = re.compile(r" ?[01]\.\d\d")
_CHUNK = 64  # pictures that are drawn together


@dataclass(frozen=True)
class Batch:
    """B conversations with what their placeholders stand for.

    Attributes:
        ids: (B, T) int64, padded on the right.
        weights: (B, T) float, 0 where nothing is learned (see `emphasis`).
        pictures: (M, 3, 64, 64) float in [0, 1], in order of appearance row by row.
        videos: (V, F, 3, 64, 64) float in [0, 1], likewise.
        is_video: (M + V,) bool: which of all that appears, in order, is a video.
        numbers: (M + V,) int64: the number of each in its conversation, see `Shown`.
        region_media: (R,) int64: on which of all that appears each region was drawn.
        region_masks: (R, 64, 64) bool.
        region_places: (B, T) bool: where the regions' `<objs>` stand.
        cells: (M, 16, 4) int64: the words of each picture token (see `cell_words`).
        frame_cells: (V * F, 16, 6) int64: the words of each frame token (see `moving_words`).
    """

    ids: Tensor
    weights: Tensor
    pictures: Tensor
    videos: Tensor
    is_video: Tensor
    numbers: Tensor
    region_media: Tensor
    region_masks: Tensor
    region_places: Tensor
    cells: Tensor
    frame_cells: Tensor

    def to(self, device: str) -> "Batch":
        """The batch on a device."""
        return Batch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def collate(
    examples: Sequence[Serialised], processor: Processor, generator: torch.Generator | None, frames: int = 4
) -> Batch:
    """Pad conversations and draw their pictures and videos.

    Args:
        examples: Conversations whose pictures are scenes and whose videos are clips.
        processor: Knows the special ids.
        generator: Disturbs the pictures (see planner_vision.disturb); None leaves them clean.
        frames: Frames per video that the planner looks at.
    """
    tags = processor.vocabulary.tags
    length = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), length), tags["<pad>"])
    weights = torch.zeros(len(examples), length)
    scenes, clips, is_video, numbers = list[Scene](), list[Clip](), list[bool](), list[int]()
    owners, masks = list[int](), list[Tensor]()
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        weights[row, : len(example.ids)] = torch.tensor(example.learn, dtype=torch.float)
        for medium, mask in example.regions:
            owners.append(len(is_video) + medium)
            masks.append(mask)
        scenes += [shown.content for shown in example.media if not shown.is_video]
        clips += [shown.content for shown in example.media if shown.is_video]
        is_video += [shown.is_video for shown in example.media]
        numbers += [shown.number for shown in example.media]
    moments = [scene for clip in clips for scene in _sampled(clip, frames)]
    return Batch(
        ids,
        emphasis(ids, weights > 0, processor.vocabulary),
        _drawn(scenes, generator),
        _drawn(moments, generator).unflatten(0, (-1, frames)) if moments else torch.zeros(0, frames, 3, SIDE, SIDE),
        torch.tensor(is_video, dtype=torch.bool),
        torch.tensor(numbers, dtype=torch.int64),
        torch.tensor(owners, dtype=torch.int64),
        torch.stack(masks) if masks else torch.zeros(0, SIDE, SIDE, dtype=torch.bool),
        (ids == tags["<objs>"]) & (weights == 0),
        cell_words(scenes, processor.vocabulary),
        moving_words(clips, frames, processor.vocabulary),
    )


def emphasis(ids: Tensor, learn: Tensor, vocabulary: Vocabulary) -> Tensor:
    """How much each id counts in the loss.

    Args:
        ids: (B, T) int64.
        learn: (B, T) bool: what the assistant says.
        vocabulary: Tells the sides of boxes.

    Returns:
        (B, T) float, 0 where nothing is learned.
    """
    numbers = torch.tensor([_NUMBER.fullmatch(piece) is not None for piece in vocabulary.pieces])
    weights = torch.where(numbers[ids], NUMBER_WEIGHT, 1.0)
    since = torch.zeros_like(ids[:, 0])  # ids of the reply so far
    for place in range(ids.shape[1]):
        since = torch.where(learn[:, place], since + 1, 0)
        weights[:, place] *= torch.where((since > 0) & (since <= LEAD), LEAD_WEIGHT, 1.0)
    return weights * learn


def cell_words(scenes: Sequence[Scene], vocabulary: Vocabulary, side: int = 4) -> Tensor:
    """Which words name what each token of a picture holds.

    Colour and shape of the object whose centre lies there (of two objects, both); elsewhere the background.

    Returns:
        (M, side * side, 4) int64 ids, row-major; fewer than four words are repeated.
    """
    named = [[(obj.colour, obj.shape) for obj in scene.objects] for scene in scenes]
    return _words_of_cells(scenes, named, vocabulary, side, 2)


def moving_words(clips: Sequence[Clip], frames: int, vocabulary: Vocabulary, side: int = 4) -> Tensor:
    """As `cell_words`, of the frames of videos: colour, shape, and what the object does.

    Returns:
        (V * frames, side * side, 6) int64 ids.
    """
    moments = [scene for clip in clips for scene in _sampled(clip, frames)]
    named = [
        [(obj.colour, obj.shape, motion_of(clip, i)) for i, obj in enumerate(clip.scene.objects)]
        for clip in clips
        for _ in range(frames)
    ]
    return _words_of_cells(moments, named, vocabulary, side, 3)


def _words_of_cells(
    scenes: Sequence[Scene], named: Sequence[Sequence[tuple[str, ...]]], vocabulary: Vocabulary, side: int, count: int
) -> Tensor:
    """`count` words for each object of each scene, put where its centre lies; room for two objects."""
    words = torch.zeros(len(scenes), side * side, 2 * count, dtype=torch.int64)
    for i, (scene, names) in enumerate(zip(scenes, named, strict=True)):
        words[i] = vocabulary.encode(f" {scene.background}")[0]
        for obj, own in zip(scene.objects, names, strict=True):
            cell = int(obj.y * side) * side + int(obj.x * side)
            ids = [vocabulary.encode(f" {word}")[0] for word in own]
            is_second = bool((words[i, cell] != words[i, cell, 0]).any())
            words[i, cell, count if is_second else 0 :] = torch.tensor(ids * (1 if is_second else 2))
    return words


def _sampled(clip: Clip, frames: int) -> list[Scene]:
    """The scenes of the frames that the planner looks at."""
    places = sample_frames(torch.arange(len(clip.scenes)), frames)
    return [clip.scenes[int(place)] for place in places]


def _drawn(scenes: Sequence[Scene], generator: torch.Generator | None) -> Tensor:
    """Pictures of scenes, (M, 3, 64, 64) float in [0, 1]."""
    if not scenes:
        return torch.zeros(0, 3, SIDE, SIDE)
    pictures = torch.cat([render(scenes[i : i + _CHUNK]).images for i in range(0, len(scenes), _CHUNK)])
    return pictures if generator is None else disturb(pictures, generator)


def embed(model: PlannerModel, batch: Batch, pictures: Encoded | None = None, videos: Encoded | None = None) -> Tensor:
    """Embeddings (B, T, d_llm) of a batch, features merged in; its pictures and videos may be encoded already."""
    parts = []
    if len(batch.pictures):
        parts.append(pictures or model.encode_pictures(batch.pictures))
    if len(batch.videos):
        parts.append(videos or model.encode_videos(batch.videos))
    if not parts:
        return model.merge(batch.ids)
    order = batch.is_video.int().argsort(stable=True).argsort()  # encoded: first all pictures, then all videos
    tokens = [row for part in parts for row in part.tokens]
    patches = torch.cat([part.patches for part in parts])[order]
    regions = None
    if len(batch.region_media):
        regions = model.encode_regions(patches[batch.region_media], batch.region_masks)
    numbered = [model.numbered(tokens[int(i)], int(number)) for i, number in zip(order, batch.numbers, strict=True)]
    return model.merge(batch.ids, torch.cat(numbered), regions, batch.region_places)
