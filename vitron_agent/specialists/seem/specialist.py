"""SEEM as a specialist: a command, a region or an example in, a mask at the picture's size out.

Knows how SEEM chooses a query for each kind of prompt (Zou et al. 2023, section 3; selectors in the order stroke,
example, text). Does not know planners, files of the user, or how the model was trained.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPTokenizer

from vitron_agent.errors import MissingInputError, NothingFoundError
from vitron_agent.media import MediaKind, Region, box_of
from vitron_agent.signals import SignalMapper
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.specialists.checkpoints import move
from vitron_agent.specialists.seem.classes import ClassFile, embed_classes
from vitron_agent.specialists.seem.decoder import Features
from vitron_agent.specialists.seem.edges import snapped
from vitron_agent.specialists.seem.inference import confident, distinct, panoptic, resize_masks, touched
from vitron_agent.specialists.seem.loading import CLASS_FILE, is_published, load_model, load_tokenizer
from vitron_agent.specialists.seem.model import Prediction, Seem, prepare_images, stroke_scores
from vitron_agent.specialists.seem.prompts import VISUAL, PromptTokens, StrokePoints, stroke_points
from vitron_agent.specialists.seem.strokes import resized_mask, stroke_of

_NOTHING = "no object was found in the picture: name what to segment, or draw a region"
EVERYTHING = re.compile(r"^\W*(segment\s+)?(everything|panoptic|all (the )?segments)\W*$", re.IGNORECASE)
SEVERAL = re.compile(r"\b(all|every|each|both|two|three)\b|\b(\w+[^s\W]s|crosses)\s*$", re.IGNORECASE)
LONGEST = 8  # a picture longer than this many short sides is shrunk further: the long side is free in SEEM


@dataclass(frozen=True)
class View:
    """Pictures of one size as the model sees them."""

    features: Features
    images: Tensor  # the pictures, uint8 (B, 3, H, W)
    size: tuple[int, int]  # height and width of the pictures
    resized: tuple[int, int]  # of the pictures inside the model's input
    padded: tuple[int, int]  # of the model's input


class SeemSegmenter:
    """Segments by words, by region, by example, and everything; keeps nothing between calls: threads may share it."""

    name = "seem"

    def __init__(
        self,
        model: Seem,
        tokenizer: CLIPTokenizer,
        revision: str,
        mapper: SignalMapper | None = None,
        kept: ClassFile | None = None,
    ) -> None:
        """Take the parts; see `from_pretrained`.

        Args:
            model: in evaluation mode.
            tokenizer: in CLIP's format, of the model's vocabulary.
            revision: names the weights.
            mapper: from signals to one token per query and one for the phrase; None ignores signals.
            kept: where embeddings of the classes' names are kept between processes; None for nowhere.
        """
        self.model = model
        self.tokenizer = tokenizer
        self.revision = revision
        self.mapper = mapper
        self._kept = kept
        self._rows: Tensor | None = None  # of the classes, once they were asked for

    @classmethod
    def from_pretrained(
        cls,
        folder: Path | str,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        mapper: SignalMapper | None = None,
    ) -> "SeemSegmenter":
        """Load a folder with `config.json`, `model.safetensors` and `tokenizer/`, or a published one (see loading.py).

        Args:
            folder: where they lie.
            device: to compute on.
            dtype: to compute in; files may hold another one.
            mapper: see `__init__`; `n_queries` must be the number of object queries + 1.

        Raises:
            CheckpointError: a file is missing, truncated, or of another shape.
        """
        model, revision = load_model(Path(folder), device, dtype)
        kept = ClassFile(Path(folder) / CLASS_FILE, revision) if is_published(Path(folder)) else None
        return cls(model, load_tokenizer(Path(folder), model.config), revision, mapper, kept)

    def move_to(self, device: str) -> None:
        """Move all weights, and what was made of them: see `Movable`."""
        move((self.model, self.mapper), device)
        self._rows = None if self._rows is None else self._rows.to(device)

    @torch.inference_mode()
    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        """Segment `request.image`.

        `command` alone: the phrase's object, every object for a phrase in the plural, all segments for "everything".
        `region`: the object under it; words besides it help. `reference`: the object like the one in its region.
        A region of kind `mask` is taken from `request.mask`.

        Returns:
            `mask` (the union), one box and label per thing found, and how sure the model is.

        Raises:
            MissingInputError: no picture, or nothing says what to segment.
            NothingFoundError: no query fits well enough, or its mask is empty.
            Cancelled: `progress` asked to stop.
        """
        if request.image is None:
            raise MissingInputError("segmentation needs a picture: give one, or generate one first")
        command = " ".join(request.command.split()).strip(" .")
        if not command and request.region is None and request.reference is None:
            raise MissingInputError("the command is empty: name what to segment, or draw a region")
        progress(0, 2)
        view = self.look(request.image[None])
        progress(1, 2)
        if request.region is not None:
            result = self._by_region(view, request, command)
        elif request.reference is not None:
            result = self._by_example(view, request.reference)
        elif EVERYTHING.match(command):
            result = self._everything(view)
        else:
            result = self._by_text(view, command, *self._signals(request))
        progress(2, 2)
        return result

    def look(self, images: Tensor) -> View:
        """Resize, normalise, pad and encode pictures, uint8 (B, 3, H, W)."""
        height, width = images.shape[-2:]
        short = self.model.config.short_side
        scale = min(short / min(height, width), LONGEST * short / max(height, width))
        resized = (max(1, round(height * scale)), max(1, round(width * scale)))
        weight = self.model.decoder.class_embed
        pixels = images.to(weight.device, torch.float32)
        pixels = F.interpolate(pixels, size=resized, mode="bicubic", align_corners=False, antialias=True)
        batch = prepare_images(pixels.round().clamp(0, 255)).to(weight.dtype)
        padded = (batch.shape[-2], batch.shape[-1])
        return View(self.model.encode_images(batch), images.cpu(), (height, width), resized, padded)

    def snapped(self, masks: Tensor, view: View) -> Tensor:
        """Move the edges of masks, bool (N, H, W), to those of the view's first picture, as far as the model asks."""
        return snapped(masks, view.images[0], self.model.config.edge_reach)

    def _signals(self, request: SpecialistRequest) -> tuple[Tensor | None, Tensor | None]:
        """Map signals to (1, Q, C) for the queries and (1, C) for the phrase; None without signals or mapper.

        They join words only: a stroke or an example says itself what is meant, and mappers are trained on words.
        """
        if request.signals is None or self.mapper is None:
            return None, None
        weight = self.model.decoder.class_embed
        tokens = self.mapper(request.signals.joined[None].to(weight.device, weight.dtype))
        return tokens[:, :-1], tokens[:, -1]

    def _tokens(self, phrases: list[str]) -> tuple[PromptTokens, Tensor]:
        """Encode phrases: grounding tokens and embeddings (N, C)."""
        words = self.tokenizer(
            phrases, padding=True, truncation=True, max_length=self.model.config.context_length, return_tensors="pt"
        )
        device = self.model.decoder.class_embed.device
        return self.model.text_tokens(words.input_ids.to(device), words.attention_mask.to(device))

    @torch.inference_mode()
    def _classes(self) -> Tensor | None:
        """Return the panoptic classes' embeddings, (K, C) unit rows; None without classes."""
        config, rows = self.model.config, self._rows
        if rows is not None or not config.classes:
            return rows
        if self._kept:
            rows = self._kept.read(config, self.model.decoder.class_embed)
        if rows is None:
            rows = embed_classes(config, lambda phrases: self._tokens(phrases)[1])
            if self._kept:
                self._kept.write(config, rows)
        self._rows = rows
        return rows

    def points(self, view: View, region: Region, mask: Tensor | None) -> StrokePoints:
        """Turn a region into points on the model's input; its pixels come from `mask` when it is one."""
        return self._stroke(view, stroke_of(region, mask, view.resized))

    def points_of(self, view: View, mask: Tensor) -> StrokePoints:
        """Turn pixels, bool (H, W) of the picture, into points on the model's input."""
        return self._stroke(view, resized_mask(mask, view.resized))

    def _stroke(self, view: View, inside: Tensor) -> StrokePoints:
        bottom, right = view.padded[0] - view.resized[0], view.padded[1] - view.resized[1]
        padded = F.pad(inside, (0, right, 0, bottom)).to(self.model.decoder.class_embed.device)
        return stroke_points([padded], self.model.config.max_points)

    def _by_region(self, view: View, request: SpecialistRequest, command: str) -> SpecialistResult:
        assert request.region is not None
        points = self.points(view, request.region, request.mask)
        tokens = self.model.decoder.stroke_tokens(view.features, points)
        if command and not EVERYTHING.match(command):
            tokens = self._tokens([command])[0].join(tokens)
        prediction = self.model(view.features, tokens)
        pooled, _ = self.model.decoder.pooled(view.features, points)
        best = int(stroke_scores(prediction.mask_embeddings, pooled)[0].argmax())
        stroke = stroke_of(request.region, request.mask, view.size)
        return self._result(view, prediction, [best], self._label(prediction, best, "the region"), None, stroke)

    def _by_example(self, view: View, reference: tuple[Tensor, Region]) -> SpecialistResult:
        other = self.look(reference[0][None])
        points = self.points(other, reference[1], None)
        tokens = self.model.decoder.stroke_tokens(other.features, points, VISUAL)
        prediction = self.model(view.features, tokens)
        pooled, _ = self.model.decoder.pooled(other.features, points)
        best = int(stroke_scores(prediction.mask_embeddings, pooled)[0].argmax())
        return self._result(view, prediction, [best], self._label(prediction, best, "like the example"), None)

    def _by_text(self, view: View, command: str, bias: Tensor | None, extra: Tensor | None) -> SpecialistResult:
        tokens, phrase = self._tokens([command])
        prediction = self.model(view.features, tokens, bias)
        scores = self.model.text_scores(prediction.captions, phrase if extra is None else phrase + extra)[0]
        threshold = self.model.config.text_threshold
        best = int(scores.argmax())
        if threshold is not None and scores[best] <= threshold:
            raise NothingFoundError(
                f"nothing in the picture matches {command!r}: ask what is there, or say it otherwise"
            )
        chosen = [best]
        if threshold is not None and SEVERAL.search(command):
            chosen = [int(query) for query in scores.argsort(descending=True) if scores[query] > threshold]
        return self._result(view, prediction, chosen, command, float(scores[best].sigmoid()))

    def _everything(self, view: View) -> SpecialistResult:
        classes = self._classes()
        if classes is None:
            raise MissingInputError("this SEEM has no class names: name what to segment instead of everything")
        config = self.model.config
        none = PromptTokens.none(1, view.features.levels[0].movedim(1, -1))
        prediction = self.model(view.features, none)
        logits = self.model.class_logits(prediction.captions, classes)[0].float()
        kept = confident(logits, config.panoptic_score)  # of a photograph all masks would take gigabytes
        if len(kept) == 0:
            raise NothingFoundError(_NOTHING)
        masks = resize_masks(prediction.masks[0, kept].float(), view.padded, view.resized, view.size)
        stuff = frozenset(index for index, name in enumerate(config.classes) if name in config.stuff)
        found = panoptic(logits[kept], masks, config.panoptic_score, config.panoptic_overlap, stuff)
        things = [segment for segment in found if segment.label not in stuff]
        if not things:
            raise NothingFoundError(_NOTHING)
        masks = self.snapped(torch.stack([segment.mask for segment in things]).cpu(), view)
        return SpecialistResult(
            MediaKind.MASK,
            mask=masks.any(0),
            boxes=tuple(map(box_of, masks)),
            labels=tuple(config.classes[segment.label] for segment in things),
            score=sum(segment.score for segment in things) / len(things),
        )

    def _label(self, prediction: Prediction, query: int, otherwise: str) -> str:
        """Name what a query shows by the nearest class that is not void."""
        classes = self._classes()
        if classes is None:
            return otherwise
        logits = self.model.class_logits(prediction.captions[:, query, None], classes)[0, 0]
        return self.model.config.classes[int(logits[:-1].argmax())]

    def _result(
        self,
        view: View,
        prediction: Prediction,
        queries: list[int],
        label: str,
        score: float | None,
        stroke: Tensor | None = None,
    ) -> SpecialistResult:
        """Unite the masks of the chosen queries, best first; one that shows what a better one shows is left out.

        Of a mask under a stroke, bool (H, W), only the pieces that the stroke lies on are kept.
        """
        logits = resize_masks(prediction.masks[0, queries].float(), view.padded, view.resized, view.size)
        masks = self.snapped((logits > 0).cpu(), view)
        kept = distinct(masks if stroke is None else [touched(mask, stroke) for mask in masks])
        if not kept:
            raise NothingFoundError(f"the mask for {label!r} is empty: say it otherwise, or draw a region")
        union = torch.stack(kept).any(0)
        if score is None:  # a stroke's own score has no scale: how clear-cut is its mask?
            score = float(logits[0].sigmoid().cpu()[union].mean())
        boxes = tuple(box_of(mask) for mask in kept)
        return SpecialistResult(MediaKind.MASK, mask=union, boxes=boxes, labels=(label,) * len(kept), score=score)
