"""Compares our SEEM with a stored run of the original: its weights, its inputs, its outputs, in one safetensors file.

The file: metadata `config` (JSON, the original's settings that differ from `seem_focall_lang.yaml`, path joined by
`__`), `classes` and `segments` (JSON lists); tensors `weights.*` under the published names, `image` and `image2`
(3, H, W) uint8, `stroke` (1, 1, H, W) bool, `text.input_ids` and `text.attention_mask` (1, L), unit rows
`class_text_embeddings` (K, C), and the outputs named in `OUTPUTS`. Every size comes from the file.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vitron_agent.errors import CheckpointError, listed, quoted
from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.decoder import Features
from vitron_agent.specialists.seem.inference import panoptic, resize_masks, semantic
from vitron_agent.specialists.seem.model import DIVISIBILITY, Prediction, Seem, prepare_images
from vitron_agent.specialists.seem.prompts import VISUAL, PromptTokens, StrokePoints, stroke_points

TOLERANCE = 1e-4
"""Largest absolute difference, fp32 on a CPU; a prompt token left out changes masks by more than 1."""

FIELDS = {
    "MODEL__BACKBONE__FOCAL__EMBED_DIM": "embed_dim",
    "MODEL__BACKBONE__FOCAL__DEPTHS": "depths",
    "MODEL__DECODER__HIDDEN_DIM": "hidden_dim",
    "MODEL__ENCODER__MASK_DIM": "mask_dim",
    "MODEL__DECODER__NHEADS": "heads",
    "MODEL__DECODER__DIM_FEEDFORWARD": "feedforward_dim",
    "MODEL__ENCODER__TRANSFORMER_ENC_LAYERS": "encoder_layers",
    "MODEL__DECODER__NUM_OBJECT_QUERIES": "queries",
    "MODEL__TEXT__WIDTH": "text_width",
    "MODEL__TEXT__HEADS": "text_heads",
    "MODEL__TEXT__LAYERS": "text_layers",
    "MODEL__DECODER__TEST__OBJECT_MASK_THRESHOLD": "panoptic_score",
    "MODEL__DECODER__TEST__OVERLAP_THRESHOLD": "panoptic_overlap",
}
"""Settings of the original -> ours. What is not set is as published, or read off the tensors; other settings are not
read, and what they would change shows as a difference."""
PROJECTED, CONVS = "MODEL__DIM_PROJ", "MODEL__ENCODER__CONVS_DIM"
"""Further settings, which follow from others and from the tensors, and are checked."""

INPUTS = ("image", "image2", "stroke", "text.input_ids", "text.attention_mask", "class_text_embeddings")
_RUNS = ("text", "stroke", "example")
OUTPUTS = (
    *(f"{run}.{name}" for run in _RUNS for name in ("pred_logits", "pred_masks", "pred_maskembs")),
    "text.pred_captions",
    "text.extra.grounding_tokens",
    "text.extra.grounding_class",
    "text.extra.grounding_nonzero_mask",
    "stroke.pred_pspatials",
    "stroke.pred_nspatials",
    "example.pred_pvisuals",
    "example.pred_nvisuals",
    "semantic",
    "panoptic",
)
_PREFIX = "weights."
_PREDICTOR = "sem_seg_head.predictor."


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run of the original, and our model with its weights.

    Attributes:
        model: ours, fp32 on the CPU.
        tensors: inputs and outputs by name.
        segments: what the original found without a prompt, one record per panoptic segment.
    """

    model: Seem
    tensors: dict[str, Tensor]
    segments: list[dict[str, Any]]

    @classmethod
    def load(cls, path: Path) -> "StoredRun":
        """Read a parity file and build our model from its metadata.

        Raises:
            CheckpointError: the file is missing, damaged, no safetensors, no parity file, or contradicts itself.
        """
        metadata, tensors = _read(path)
        weights = {k.removeprefix(_PREFIX): v.float() for k, v in tensors.items() if k.startswith(_PREFIX)}
        values = {name: value for name, value in tensors.items() if not name.startswith(_PREFIX)}
        if missing := [name for name in (*INPUTS, *OUTPUTS) if name not in values]:
            raise CheckpointError(f"parity file {path} lacks {listed(missing)}; write it again")
        if surplus := sorted(values.keys() - {*INPUTS, *OUTPUTS}):
            raise CheckpointError(f"parity file {path} has unknown tensors {listed(surplus)}; write it without them")
        sizes, classes, segments = (_json(metadata, key, path) for key in ("config", "classes", "segments"))
        config = _config(sizes, weights, path)
        with torch.device("meta"):
            model = Seem(replace(config, classes=tuple(classes)))
        model.load_weights(weights, f"parity file {path}")
        return cls(model.eval().requires_grad_(False), values, list(segments))

    def features(self, name: str) -> Features:
        """Encode one of the stored pictures as it is, without resizing."""
        return self.model.encode_images(prepare_images(self.tensors[name][None]))

    def stroke(self) -> StrokePoints:
        """The points of the stored stroke, padded like the picture."""
        mask = self.tensors["stroke"][0, 0].bool()
        height, width = mask.shape
        padded = torch.nn.functional.pad(mask, (0, -width % DIVISIBILITY, 0, -height % DIVISIBILITY))
        return stroke_points([padded], self.model.config.max_points)

    @torch.no_grad()
    def outputs(self) -> dict[str, Tensor]:
        """Run our model on every input; tensors under the names of `OUTPUTS`."""
        return {**self._text(), **self._stroke(), **self._example(), **self._unprompted()}

    def _text(self) -> dict[str, Tensor]:
        ids, attention = self.tensors["text.input_ids"], self.tensors["text.attention_mask"]
        tokens, phrases = self.model.text_tokens(ids, attention)
        prediction = self.model(self.features("image"), tokens)
        length = int(attention.sum())  # the original keeps the rows of real tokens only, as (length, batch, width)
        return {
            **self._predicted("text", prediction),
            "text.pred_captions": prediction.captions,
            "text.extra.grounding_tokens": tokens.levels[0][:, :length].transpose(0, 1),
            "text.extra.grounding_class": phrases,
            "text.extra.grounding_nonzero_mask": attention[:, :length] == 0,
        }

    def _stroke(self) -> dict[str, Tensor]:
        features, points = self.features("image"), self.stroke()
        prediction = self.model(features, self.model.decoder.stroke_tokens(features, points))
        positive, negative = self.model.decoder.pooled(features, points)
        return {
            **self._predicted("stroke", prediction),
            "stroke.pred_pspatials": positive[None],
            "stroke.pred_nspatials": negative[None],
        }

    def _example(self) -> dict[str, Tensor]:
        reference, points = self.features("image"), self.stroke()
        tokens = self.model.decoder.stroke_tokens(reference, points, VISUAL)
        positive, negative = self.model.decoder.pooled(reference, points)
        return {
            **self._predicted("example", self.model(self.features("image2"), tokens)),
            "example.pred_pvisuals": positive[None],
            "example.pred_nvisuals": negative[None],
        }

    def _unprompted(self) -> dict[str, Tensor]:
        config, features = self.model.config, self.features("image")
        prediction = self.model(features, PromptTokens.none(1, features.levels[0].movedim(1, -1)))
        height, width = self.tensors["image"].shape[1:]
        padded = height + -height % DIVISIBILITY, width + -width % DIVISIBILITY
        masks = resize_masks(prediction.masks[0], padded, (height, width), (height, width))
        logits = self._class_logits(prediction)[0]
        stuff = frozenset(int(each["category_id"]) for each in self.segments if not each.get("isthing", True))
        found = torch.zeros(height, width, dtype=torch.int32)
        for number, segment in enumerate(
            panoptic(logits, masks, config.panoptic_score, config.panoptic_overlap, stuff), start=1
        ):
            found[segment.mask] = number
        return {"semantic": semantic(logits, masks), "panoptic": found}

    def _predicted(self, run: str, prediction: Prediction) -> dict[str, Tensor]:
        return {
            f"{run}.pred_logits": self._class_logits(prediction),
            f"{run}.pred_masks": prediction.masks,
            f"{run}.pred_maskembs": prediction.mask_embeddings,
        }

    def _class_logits(self, prediction: Prediction) -> Tensor:
        return self.model.class_logits(prediction.captions, self.tensors["class_text_embeddings"].float())


def differences(path: Path) -> dict[str, float]:
    """Run our SEEM on a parity file.

    Returns:
        The largest absolute difference per output; infinity where shapes differ, NaN where a value is none.

    Raises:
        CheckpointError: the file is missing, damaged, no parity file, or its inputs do not fit its weights.
    """
    run = StoredRun.load(path)
    try:
        ours = run.outputs()
    except (RuntimeError, IndexError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = quoted(str(error), 160)
        raise CheckpointError(f"parity file {path}: inputs and weights do not fit ({reason}); write it again") from None
    return {name: largest_difference(ours[name], run.tensors[name]) for name in OUTPUTS}


def largest_difference(ours: Tensor, stored: Tensor) -> float:
    """Return the largest absolute difference of two tensors; infinity where shapes differ."""
    if ours.shape != stored.shape:
        return float("inf")
    return float((ours.double() - stored.double()).abs().max()) if ours.numel() else 0.0


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError:
        raise CheckpointError(f"parity file {path} is missing; check the path") from None
    except (OSError, SafetensorError) as error:
        reason = quoted(str(error), 160)
        raise CheckpointError(
            f"parity file {path} is no whole safetensors file ({reason}); fetch or write it again"
        ) from None


def _json(metadata: dict[str, str], key: str, path: Path) -> Any:
    """Read one entry of the metadata: an object of settings for `config`, a list for the others."""
    if key not in metadata:
        raise CheckpointError(f"parity file {path} has no {key!r} in its metadata; give a file of a stored SEEM run")
    try:
        value = json.loads(metadata[key])
    except ValueError:
        value = None
    if not isinstance(value, dict if key == "config" else list):
        raise CheckpointError(f"parity file {path}: {key} is {quoted(metadata[key])}, which is not JSON of its form")
    return value


def _config(sizes: dict[str, Any], weights: dict[str, Tensor], path: Path) -> SeemConfig:
    """Take every size over: from the settings, and from the tensors what is no setting of the original."""
    text, focal = f"{_PREDICTOR}lang_encoder.lang_encoder.", "backbone.layers.0.blocks.0.modulation.focal_layers."
    places = {  # size -> the tensor and the axis it is read off
        "vocab_size": (f"{text}token_embedding.weight", 0),
        "context_length": (f"{text}positional_embedding", 0),
        "memories": (f"{_PREDICTOR}spatial_embed.weight", 0),
        "convs_dim": (f"{_PREDICTOR}input_proj.0.weight", 1),
        "focal_window": (f"{focal}0.0.weight", -1),
    }
    counts = {  # size -> what the names of its layers begin with
        "decoder_layers": f"{_PREDICTOR}transformer_ffn_layers.",
        "focal_levels": focal,
    }
    found: dict[str, Any] = {
        field: weights[name].shape[axis]
        for field, (name, axis) in places.items()
        if name in weights and weights[name].ndim > axis  # others are refused when they are loaded, by name
    }
    for field, start in counts.items():
        if count := len({name[len(start) :].split(".")[0] for name in weights if name.startswith(start)}):
            found[field] = count
    told = {field: sizes[key] for key, field in FIELDS.items() if key in sizes}
    config = SeemConfig.from_dict({**told, **found}, str(path))
    for key, width, reason in (
        (PROJECTED, config.hidden_dim, "text tokens and queries have one width, HIDDEN_DIM, in the original too"),
        (CONVS, config.convs_width, "so wide are the levels that the decoder's tensors take"),
    ):
        if sizes.get(key, width) != width:
            raise CheckpointError(f"parity file {path}: {key} is {sizes[key]}, and it must be {width}: {reason}")
    return config
