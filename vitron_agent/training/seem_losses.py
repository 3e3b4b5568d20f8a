"""What SEEM is taught with: all prompts of a batch in one decoder call, and the losses of every prediction.

Every run is asked for the masks of all segments; the prompt decides which of them is the answer. Losses follow SEEM
(Zou et al. 2023, section 3.3) with two simplifications: masks are supervised on the whole grid, as it is small, and
queries are matched once, on the last prediction.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPTokenizer

from vitron_agent.specialists.seem.decoder import Features
from vitron_agent.specialists.seem.model import Seem, stroke_scores
from vitron_agent.specialists.seem.prompts import VISUAL, PromptTokens, StrokePoints
from vitron_agent.training.seem_auxiliary import Teacher
from vitron_agent.training.seem_batch import HINT, PHRASES, PROMPTS, READINGS, STROKED, Batch, partner

CLASSED = [0, *range(1 + PHRASES, PROMPTS)]  # the prompts whose queries name what they show


@dataclass(frozen=True)
class Encoded:
    """B pictures, encoded."""

    features: Features
    maps: tuple[Tensor, ...]  # what `Teacher.pixel_loss` asks: mask features, levels, backbone


@dataclass(frozen=True)
class Outputs:
    """What the losses need."""

    encoded: Encoded
    states: list[Tensor]  # (N, Q, C) per prediction
    phrases: Tensor  # (B * PHRASES, C)
    pooled: Tensor  # (B, STROKED + 1, C), strokes then example
    classes: Tensor  # (K, C) unit class embeddings


def class_embeddings(model: Seem, tokenizer: CLIPTokenizer) -> Tensor:
    """Embed the class names: (K, C), unit rows."""
    words = tokenizer(list(model.config.classes), padding=True, return_tensors="pt")
    device = model.decoder.class_embed.device
    return F.normalize(model.text_tokens(words.input_ids.to(device), words.attention_mask)[1], dim=-1)


def encode(model: Seem, batch: Batch) -> Encoded:
    """Encode a batch's pictures as `Seem.encode_images` does, and keep the maps on the way."""
    maps = model.backbone(batch.images)
    mask_features, levels = model.sem_seg_head.pixel_decoder(maps)
    features = model.add_level_embedding(mask_features, levels)
    return Encoded(features, (mask_features, levels[2], levels[1], *maps[:3]))


def run_model(model: Seem, batch: Batch, tokenizer: CLIPTokenizer) -> Outputs:
    """Encode the pictures once and decode all prompts in one call."""
    count, length = len(batch.images), model.config.max_points
    encoded = encode(model, batch)
    features = encoded.features
    text, phrases = model.text_tokens(batch.ids, batch.attention)
    signs = torch.ones(batch.strokes.shape[:3], dtype=torch.int64, device=batch.strokes.device).flatten(0, 1)
    points = StrokePoints(batch.strokes.flatten(0, 1), signs)
    other = partner(count).to(batch.images.device)
    across = Features(features.mask_features[other], tuple(level[other] for level in features.levels))
    example = StrokePoints(batch.example[other], signs[:count])
    none = PromptTokens.none(count, text.levels[0])
    strokes = _hint(model, batch, model.decoder.stroke_tokens(features, points))
    parts = [none, text, strokes, model.decoder.stroke_tokens(across, example, VISUAL)]
    padded = [part.pad(length) for part in parts]
    levels = tuple(_interleave([part.levels[i] for part in padded], count) for i in range(3))
    states = model.decoder(features, PromptTokens(levels, _interleave([part.kinds for part in padded], count)))
    pooled = model.decoder.pooled(features, points)[0].unflatten(0, (count, STROKED))
    examples = model.decoder.pooled(across, example)[0][:, None]
    return Outputs(encoded, states, phrases, torch.cat((pooled, examples), 1), class_embeddings(model, tokenizer))


def _hint(model: Seem, batch: Batch, strokes: PromptTokens) -> PromptTokens:
    """Replace the last tokens of the hinted strokes, (B * STROKED, T), by those of their words."""
    end = batch.hint_ids.argmax(1, keepdim=True)
    places = torch.arange(HINT, device=end.device)
    text, _ = model.text_tokens(batch.hint_ids, (places <= end).long())
    kept = strokes.kinds.shape[1] - HINT
    hinted = torch.zeros(len(batch.hinted), STROKED, dtype=torch.bool, device=end.device)
    hinted[:, 0] = batch.hinted
    hinted = hinted.flatten()

    def mix(stroke: Tensor, words: Tensor) -> Tensor:
        words = words.repeat_interleave(STROKED, 0)
        chosen = hinted.reshape(-1, *[1] * (stroke.ndim - 1))
        return torch.where(chosen, torch.cat((stroke[:, :kept], words.to(stroke.dtype)), 1), stroke)

    levels = tuple(mix(a, b) for a, b in zip(strokes.levels, text.levels, strict=True))
    return PromptTokens(levels, mix(strokes.kinds, text.kinds))


def _interleave(parts: list[Tensor], count: int) -> Tensor:
    """Put per-kind tensors (count * p, ...) into picture order (count * sum p, ...)."""
    return torch.cat([part.unflatten(0, (count, -1)) for part in parts], dim=1).flatten(0, 1)


@torch.no_grad()
def match(masks: Tensor, segments: Tensor, present: Tensor, extra: Tensor) -> Tensor:
    """Give every segment a query of its own, greedily, the cheapest pair first.

    Args:
        masks: (N, Q, h, w) logits.
        segments: (N, S, h, w) in [0, 1].
        present: (N, S) bool.
        extra: (N, Q, S) further cost.

    Returns:
        (N, S) int64 queries; meaningless where a segment is not present.
    """
    logits, targets = masks.flatten(2), segments.flatten(2)
    size = logits.shape[-1]
    # BCE(x, t) = softplus(x) - x t
    bce = (F.softplus(logits).sum(-1, keepdim=True) - logits @ targets.transpose(1, 2)) / size
    shares = logits.sigmoid()
    overlap = 2 * shares @ targets.transpose(1, 2) + 1
    dice = 1 - overlap / (shares.sum(-1, keepdim=True) + targets.sum(-1)[:, None] + 1)
    cost = (5 * bce + 5 * dice + extra).masked_fill(~present[:, None], math.inf)
    chosen = torch.zeros(present.shape, dtype=torch.int64, device=masks.device)
    rows = torch.arange(len(cost), device=masks.device)
    for _ in range(present.shape[1]):
        best = cost.flatten(1).argmin(1)
        query, segment = best // cost.shape[2], best % cost.shape[2]
        open_ = cost[rows, query, segment] < math.inf
        chosen[rows[open_], segment[open_]] = query[open_]
        cost[rows, query] = math.inf
        cost[rows, :, segment] = math.inf
    return chosen


def losses(model: Seem, teacher: Teacher, batch: Batch, out: Outputs) -> dict[str, Tensor]:
    """Compute all losses, averaged over the predictions: mask, class, phrase, stroke, and the teacher's."""
    segments = F.avg_pool2d(batch.segments, 4).repeat_interleave(PROMPTS, 0)
    present = batch.present.repeat_interleave(PROMPTS, 0)
    small = F.interpolate(out.encoded.features.mask_features, scale_factor=0.5, mode="bilinear", align_corners=False)
    with torch.no_grad():
        masks = model.decoder.mask_logits(out.states[-1], small)[0].float()
        chosen = match(masks, segments, present, _prompt_cost(model, batch, out))
    total = lesson(model, teacher, batch, out.encoded, out.classes)
    truth = F.normalize(teacher.describe(batch.names, batch.places, batch.present).detach(), dim=-1)
    truth = truth.repeat_interleave(PROMPTS, 0)
    names, places = batch.names.repeat_interleave(PROMPTS, 0), batch.places.repeat_interleave(PROMPTS, 0)
    for index, state in enumerate(out.states):
        picked = state.gather(1, chosen[..., None].expand(-1, -1, state.shape[-1]))
        if index < len(out.states) - 1:  # earlier predictions get by with a coarse grid
            logits, targets = model.decoder.mask_logits(picked, small)[0], segments
        else:  # edges are learned at the picture's own resolution
            logits = model.decoder.mask_logits(picked, out.encoded.features.mask_features)[0]
            logits = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
            targets = batch.segments.repeat_interleave(PROMPTS, 0)
        found = {"mask": _mask_loss(logits.float(), targets, present)}
        if index:  # the first prediction has seen neither picture nor prompt
            found |= _choices(model, batch, out, state, chosen)
            told = (F.normalize(model.decoder.captions(picked), dim=-1) * truth).sum(-1)
            found["read"] = 1 - told[present].mean()
            found["taught"] = 0.5 * teacher.query_loss(picked[:, :3], names, places, present[:, :3])
        for name, value in found.items():
            total[name] = total.get(name, value.new_zeros(())) + value / len(out.states)
    return total


def lesson(model: Seem, teacher: Teacher, batch: Batch, encoded: Encoded, classes: Tensor) -> dict[str, Tensor]:
    """The losses that need no decoder: pixels under "taught", words under "read"."""
    asked = 2 * teacher.pixel_loss(encoded.maps, batch.segments, batch.names, batch.places)
    phrases = model.decoder.lang_encoder(batch.reading_ids)[1]
    truth = teacher.describe(batch.names, batch.places, batch.present).repeat_interleave(READINGS, 0)
    scores = model.text_scores(truth, phrases).float()
    meant, present = batch.reading_meant.flatten(0, 1), batch.present.repeat_interleave(READINGS, 0)
    each = F.binary_cross_entropy_with_logits(scores, meant.float(), reduction="none")
    return {"taught": asked + 0.2 * teacher.word_loss(classes), "read": each[present].mean()}


def _prompt_cost(model: Seem, batch: Batch, out: Outputs) -> Tensor:
    """What a query's answer to its prompt costs, by segment: (N, Q, 4). Of two alike, the chosen one is matched."""
    state = out.states[-1].unflatten(0, (-1, PROMPTS))
    captions = model.decoder.captions(state)
    cost = torch.zeros(*state.shape[:3], 4, device=state.device)
    shares = model.class_logits(captions[:, 0], out.classes).float().softmax(-1)
    cost[:, 0] = -2 * shares.gather(2, batch.classes[:, None].expand(-1, shares.shape[1], -1))
    scores = model.text_scores(captions[:, 1 : 1 + PHRASES].flatten(0, 1), out.phrases).float().sigmoid()
    scores = scores.unflatten(0, (-1, PHRASES))[..., None]
    cost[:, 1 : 1 + PHRASES] = -2 * torch.where(batch.meant[:, :, None], scores, 1 - scores)
    regions = state[:, 1 + PHRASES :].flatten(0, 1)
    scores = stroke_scores(model.decoder.mask_embed(regions), out.pooled.flatten(0, 1)).float().softmax(-1)
    meant = _region_meant(batch).flatten(0, 1).float()
    cost[:, 1 + PHRASES :] = (-4 * scores[..., None] * meant[:, None]).unflatten(0, (-1, STROKED + 1))
    return cost.flatten(0, 1)


def _region_meant(batch: Batch) -> Tensor:
    """Say which segments the strokes and the example mean: (B, STROKED + 1, 4) bool."""
    return torch.cat((F.one_hot(batch.stroked, 4).bool(), batch.like[:, None]), dim=1)


def _choices(model: Seem, batch: Batch, out: Outputs, state: Tensor, chosen: Tensor) -> dict[str, Tensor]:
    """Class, phrase and stroke losses of one prediction (N, Q, C), given each segment's query (N, 4)."""
    state, chosen = state.unflatten(0, (-1, PROMPTS)), chosen.unflatten(0, (-1, PROMPTS))
    captions = model.decoder.captions(state)
    result = {"class": 2 * _class_loss(model, batch, captions[:, CLASSED], out.classes, chosen[:, CLASSED])}
    scores = model.text_scores(captions[:, 1 : 1 + PHRASES].flatten(0, 1), out.phrases).float()
    result["phrase"] = 2 * _phrase_loss(scores, batch, chosen[:, 1 : 1 + PHRASES].flatten(0, 1))
    regions = state[:, 1 + PHRASES :].flatten(0, 1)
    scores = stroke_scores(model.decoder.mask_embed(regions), out.pooled.flatten(0, 1)).float()
    meant = _region_meant(batch).flatten(0, 1)
    result["stroke"] = 2 * _choice_loss(scores, meant, chosen[:, 1 + PHRASES :].flatten(0, 1)).mean()
    return result


def _mask_loss(logits: Tensor, targets: Tensor, present: Tensor) -> Tensor:
    """BCE x5 + dice x5 over the segments that are there; logits and targets (N, 4, h, w)."""
    bce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean((2, 3))
    shares = logits.sigmoid()
    dice = 1 - (2 * (shares * targets).sum((2, 3)) + 1) / (shares.sum((2, 3)) + targets.sum((2, 3)) + 1)
    weight = present.float()
    return ((5 * bce + 5 * dice) * weight).sum() / weight.sum()


def _class_loss(model: Seem, batch: Batch, captions: Tensor, classes: Tensor, chosen: Tensor) -> Tensor:
    """Cross entropy over classes, captions (B, P, Q, C); queries without a segment are void, at weight 0.1."""
    prompts = captions.shape[1]
    logits = model.class_logits(captions.flatten(0, 1), classes).float()
    present, labels = batch.present.repeat_interleave(prompts, 0), batch.classes.repeat_interleave(prompts, 0)
    void = logits.shape[-1] - 1
    target = torch.full(logits.shape[:2], void, device=logits.device)
    rows, slots = present.nonzero(as_tuple=True)
    target[rows, chosen.flatten(0, 1)[rows, slots]] = labels[rows, slots]
    weight = torch.where(target == void, 0.1, 1.0)
    each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    return (each * weight.flatten()).sum() / weight.sum()


def _phrase_loss(scores: Tensor, batch: Batch, chosen: Tensor) -> Tensor:
    """Every segment's query says whether it is meant (BCE); the meant ones beat the rest (cross entropy)."""
    meant = batch.meant.flatten(0, 1)
    present = batch.present.repeat_interleave(PHRASES, 0)
    target, weight = torch.zeros_like(scores), torch.full_like(scores, 0.1)
    rows, slots = present.nonzero(as_tuple=True)
    target[rows, chosen[rows, slots]] = meant[rows, slots].float()
    weight[rows, chosen[rows, slots]] = 1.0
    bce = F.binary_cross_entropy_with_logits(scores, target, reduction="none")
    return (bce * weight).sum() / weight.sum() + 0.5 * _choice_loss(scores, meant, chosen).mean()


def _choice_loss(scores: Tensor, meant: Tensor, chosen: Tensor) -> Tensor:
    """Negative log of the share that a softmax over queries gives to the meant ones; 0 where nothing is meant."""
    target = torch.zeros_like(scores, dtype=torch.bool)
    rows, slots = meant.nonzero(as_tuple=True)
    target[rows, chosen[rows, slots]] = True
    share = scores.masked_fill(~target, -1e4).logsumexp(1) - scores.logsumexp(1)
    return -torch.where(target.any(1), share, 0.0)
