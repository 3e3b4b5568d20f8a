"""Our SEEM computes what the original computes, on a stored run of the original at toy size."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.inference import panoptic, resize_masks, semantic
from vitron_agent.specialists.seem.model import Seem, prepare_images, stroke_scores
from vitron_agent.specialists.seem.prompts import VISUAL, PromptTokens, stroke_points

TOLERANCE = 1e-4
FILE = Path(__file__).parent / "data" / "seem_focall_tiny.safetensors"
FIELDS = {
    "MODEL__BACKBONE__FOCAL__EMBED_DIM": "embed_dim",
    "MODEL__BACKBONE__FOCAL__DEPTHS": "depths",
    "MODEL__DECODER__HIDDEN_DIM": "hidden_dim",
    "MODEL__DECODER__NHEADS": "heads",
    "MODEL__DECODER__DIM_FEEDFORWARD": "feedforward_dim",
    "MODEL__ENCODER__TRANSFORMER_ENC_LAYERS": "encoder_layers",
    "MODEL__DECODER__NUM_OBJECT_QUERIES": "queries",
    "MODEL__TEXT__WIDTH": "text_width",
    "MODEL__TEXT__HEADS": "text_heads",
    "MODEL__TEXT__LAYERS": "text_layers",
}


class Original:
    """The stored run: tensors, and our model with its weights."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, "pt") as file:
            self.meta = file.metadata()
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}
        sizes = json.loads(self.meta["config"])
        names = self.tensors["weights.sem_seg_head.predictor.lang_encoder.lang_encoder.token_embedding.weight"]
        config = SeemConfig.from_dict({field: sizes[key] for key, field in FIELDS.items() if key in sizes})
        self.config = replace(config, vocab_size=len(names), classes=tuple(json.loads(self.meta["classes"])))
        self.model = Seem(self.config).eval()
        prefix = "weights."
        weights = {k.removeprefix(prefix): v.float() for k, v in self.tensors.items() if k.startswith(prefix)}
        self.model.load_weights(weights, str(path))
        self.height, self.width = self.tensors["image"].shape[1:]

    def features(self, name: str):
        """Encode one of the stored images as it is."""
        return self.model.encode_images(prepare_images(self.tensors[name][None]))

    def stroke(self):
        """The stored stroke, padded like the image."""
        mask = self.tensors["stroke"][0, 0]
        padded = torch.zeros(-(-self.height // 32) * 32, -(-self.width // 32) * 32, dtype=torch.bool)
        padded[: self.height, : self.width] = mask
        return stroke_points([padded], self.config.max_points)


@pytest.fixture(scope="module")
def original() -> Original:
    return Original(FILE)


def assert_near(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= TOLERANCE


def assert_prediction(original: Original, run: str, prediction) -> None:
    stored = original.tensors
    assert_near(prediction.masks, stored[f"{run}.pred_masks"])
    assert_near(prediction.mask_embeddings, stored[f"{run}.pred_maskembs"])
    classes = stored["class_text_embeddings"]
    assert_near(original.model.class_logits(prediction.captions, classes), stored[f"{run}.pred_logits"])


def test_every_stored_size_was_taken_over(original):
    assert set(json.loads(original.meta["config"])) <= {
        *FIELDS, "MODEL__ENCODER__CONVS_DIM", "MODEL__ENCODER__MASK_DIM", "MODEL__DIM_PROJ"
    }  # fmt: skip


@torch.no_grad()
def test_a_phrase_gives_the_originals_masks(original):
    stored = original.tensors
    tokens, phrases = original.model.text_tokens(stored["text.input_ids"], stored["text.attention_mask"])
    length = len(stored["text.extra.grounding_tokens"])
    assert_near(tokens.levels[0][:, :length], stored["text.extra.grounding_tokens"].transpose(0, 1))
    assert_near(phrases, stored["text.extra.grounding_class"])
    prediction = original.model(original.features("image"), tokens)
    assert_prediction(original, "text", prediction)
    assert_near(prediction.captions, stored["text.pred_captions"])
    scores = original.model.text_scores(prediction.captions, phrases)[0]
    assert scores.argmax() == original.model.text_scores(stored["text.pred_captions"], phrases)[0].argmax()


@torch.no_grad()
def test_trailing_padding_of_a_phrase_may_be_cut(original):
    stored = original.tensors
    length = int(stored["text.attention_mask"].sum())
    ids, attention = stored["text.input_ids"][:, :length], stored["text.attention_mask"][:, :length]
    tokens, _ = original.model.text_tokens(ids, attention)
    assert_prediction(original, "text", original.model(original.features("image"), tokens))


@torch.no_grad()
def test_a_stroke_gives_the_originals_masks(original):
    stored, features, points = original.tensors, original.features("image"), original.stroke()
    prediction = original.model(features, original.model.decoder.stroke_tokens(features, points))
    assert_prediction(original, "stroke", prediction)
    positive, negative = original.model.decoder.pooled(features, points)
    assert_near(positive[None], stored["stroke.pred_pspatials"])
    assert_near(negative[None], stored["stroke.pred_nspatials"])
    expected = torch.einsum("nqc,nc->nq", stored["stroke.pred_maskembs"], stored["stroke.pred_pspatials"][:, 0])
    assert stroke_scores(prediction.mask_embeddings, positive).argmax() == expected.argmax()


@torch.no_grad()
def test_an_example_gives_the_originals_masks(original):
    reference, points = original.features("image"), original.stroke()
    tokens = original.model.decoder.stroke_tokens(reference, points, VISUAL)
    prediction = original.model(original.features("image2"), tokens)
    assert_prediction(original, "example", prediction)
    positive, negative = original.model.decoder.pooled(reference, points)
    assert_near(positive[None], original.tensors["example.pred_pvisuals"])
    assert_near(negative[None], original.tensors["example.pred_nvisuals"])


@torch.no_grad()
def test_an_example_from_the_picture_itself_is_a_stroke(original):
    features, points = original.features("image"), original.stroke()
    tokens = [original.model.decoder.stroke_tokens(features, points, kind) for kind in (VISUAL, 2)]
    masks = [original.model(features, each).masks for each in tokens]
    assert_near(masks[0], masks[1])


@torch.no_grad()
def test_without_a_prompt_the_semantic_map_is_the_originals(original):
    stored, model = original.tensors, original.model
    features = original.features("image")
    prediction = model(features, PromptTokens.none(1, features.mask_features.movedim(1, -1)))
    size = (original.height, original.width)
    padded = tuple(4 * side for side in prediction.masks.shape[-2:])
    masks = resize_masks(prediction.masks[0], padded, size, size)
    logits = model.class_logits(prediction.captions, stored["class_text_embeddings"])[0]
    assert_near(semantic(logits, masks), stored["semantic"])
    found = panoptic(logits, masks, original.config.panoptic_score, original.config.panoptic_overlap)
    assert len(found) == len(json.loads(original.meta["segments"]))
    assert stored["panoptic"].max() == len(found)


@torch.no_grad()
def test_prompts_in_one_batch_do_not_disturb_each_other(original):
    stored, model = original.tensors, original.model
    length = int(stored["text.attention_mask"].sum())
    text, _ = model.text_tokens(stored["text.input_ids"][:, :length], stored["text.attention_mask"][:, :length])
    features, points = original.features("image"), original.stroke()
    stroke = model.decoder.stroke_tokens(features, points)
    longest = stroke.kinds.shape[1]
    batch = PromptTokens(
        tuple(torch.cat(pair) for pair in zip(text.pad(longest).levels, stroke.levels, strict=True)),
        torch.cat((text.pad(longest).kinds, stroke.kinds)),
    )
    masks = model(features, batch).masks
    assert_near(masks[:1], stored["text.pred_masks"])
    assert_near(masks[1:], stored["stroke.pred_masks"])
