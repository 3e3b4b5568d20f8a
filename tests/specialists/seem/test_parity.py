"""Our SEEM computes what the original computes, on a stored run of the original at toy size, and on files like it."""

import json
import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from vitron_agent.errors import CheckpointError
from vitron_agent.specialists.seem import Seem, SeemConfig, parity
from vitron_agent.specialists.seem.inference import Segment
from vitron_agent.specialists.seem.model import stroke_scores
from vitron_agent.specialists.seem.parity import (
    CONVS,
    FIELDS,
    OUTPUTS,
    PROJECTED,
    TOLERANCE,
    StoredRun,
    differences,
    largest_difference,
)
from vitron_agent.specialists.seem.prompts import VISUAL, PromptTokens

FILE = Path(__file__).parent / "data" / "seem_focall_tiny.safetensors"
OTHER = SeemConfig(  # every size another one than in the stored file and in the published model
    embed_dim=8, depths=(2, 1, 1, 2), focal_levels=3, focal_window=5, hidden_dim=96, mask_dim=56, heads=3,
    feedforward_dim=80, encoder_layers=1, decoder_layers=4, queries=13, memories=5, text_width=40, text_heads=5,
    text_layers=3, context_length=30, vocab_size=300, layerscale=0.3, classes=("sand", "sea", "nothing"),
)  # fmt: skip


@pytest.fixture(scope="module")
def original() -> StoredRun:
    return StoredRun.load(FILE)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def inputs(config: SeemConfig, height: int, width: int) -> dict[str, Tensor]:
    """Inputs of a parity file, drawn at random."""
    image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    ids = torch.full((1, config.context_length), config.vocab_size - 1)
    ids[0, :6] = torch.tensor([config.vocab_size - 2, 5, 7, 11, 13, config.vocab_size - 1])
    stroke = torch.zeros(1, 1, height, width, dtype=torch.bool)
    stroke[..., 4:12, 20:31] = True
    rows = torch.randn(len(config.classes), config.hidden_dim)
    return {
        "image": image, "image2": image.flip(2).contiguous(), "stroke": stroke, "text.input_ids": ids,
        "text.attention_mask": (torch.arange(config.context_length) < 6).long()[None],
        "class_text_embeddings": rows / rows.norm(dim=1, keepdim=True),
    }  # fmt: skip


def write_other(path: Path, config: SeemConfig = OTHER, size: tuple[int, int] = (70, 50)) -> Path:
    """Write a parity file of random weights; the outputs are those of our own model."""
    torch.manual_seed(3)
    values: dict[str, Any] = {key: getattr(config, field) for key, field in FIELDS.items()}
    metadata = {
        "config": json.dumps(values | {PROJECTED: config.hidden_dim, CONVS: config.convs_width}),
        "classes": json.dumps(config.classes), "segments": "[]",
    }  # fmt: skip
    weights = {f"weights.{name}": weight.clone() for name, weight in Seem(config).state_dict().items()}
    tensors = {**weights, **inputs(config, *size), **{name: torch.zeros(1) for name in OUTPUTS}}
    save_file(tensors, path, metadata)
    ours = {name: value.contiguous() for name, value in StoredRun.load(path).outputs().items()}
    save_file({**tensors, **ours}, path, metadata)
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_other(tmp_path_factory.mktemp("parity") / "other.safetensors")


def assert_near(ours: Tensor, stored: Tensor) -> None:
    assert largest_difference(ours, stored) <= TOLERANCE


def test_every_stored_size_was_taken_over(original: StoredRun) -> None:
    sizes = json.loads(read(FILE)[1]["config"])
    assert set(sizes) <= {*FIELDS, PROJECTED, CONVS}
    assert (original.model.config.vocab_size, original.model.config.decoder_layers) == (1000, 9)


def test_every_output_is_the_original_s() -> None:
    found = differences(FILE)
    assert set(found) == set(OUTPUTS)
    assert {name: value for name, value in found.items() if not value <= TOLERANCE} == {}


def test_the_selected_queries_are_the_original_s(original: StoredRun) -> None:
    stored, ours = original.tensors, original.outputs()
    phrase = stored["text.extra.grounding_class"]
    for values in (stored, ours):
        assert original.model.text_scores(values["text.pred_captions"], phrase)[0].argmax() == 13
        for run, pooled in (("stroke", "stroke.pred_pspatials"), ("example", "example.pred_pvisuals")):
            assert stroke_scores(values[f"{run}.pred_maskembs"], values[pooled][0])[0].argmax() == 11


def test_a_file_of_other_sizes_is_built_from_what_it_says(other: Path) -> None:
    config = StoredRun.load(other).model.config
    same = {name for name in vars(OTHER) if getattr(config, name) == getattr(OTHER, name)}
    assert set(vars(OTHER)) - same == {"layerscale"}  # only matters for training
    assert max(differences(other).values()) == 0


def test_masks_may_have_a_width_of_their_own(tmp_path: Path) -> None:
    """The original with half its mask channels zero, against one that never had them."""
    tensors, metadata = read(FILE)
    layers = ("pixel_decoder.mask_features", "predictor.mask_embed.layers.2")
    names = [f"weights.sem_seg_head.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    half = tensors[names[0]].shape[0] // 2
    for name in names:
        tensors[name][half:] = 0
    save_file(tensors, tmp_path / "zero.safetensors", metadata)
    ours = StoredRun.load(tmp_path / "zero.safetensors").outputs()
    narrow = ("pred_maskembs", "pred_pspatials", "pred_nspatials", "pred_pvisuals", "pred_nvisuals")
    kept = {name: value[..., :half] if name.endswith(narrow) else value for name, value in ours.items()}
    tensors |= {name: tensors[name][:half] for name in names} | kept
    sizes = {**json.loads(metadata["config"]), "MODEL__ENCODER__MASK_DIM": half}
    content = {name: value.contiguous() for name, value in tensors.items()}
    save_file(content, tmp_path / "narrow.safetensors", {**metadata, "config": json.dumps(sizes)})
    assert {name: value for name, value in differences(tmp_path / "narrow.safetensors").items() if value > 1e-5} == {}


OF_OTHER_FORM = {
    "wide masks, few channels": replace(OTHER, hidden_dim=32, mask_dim=128, heads=8, queries=40),
    "a pixel decoder of its own width": replace(OTHER, hidden_dim=48, convs_dim=64, mask_dim=32, heads=4),
    "one of everything": replace(OTHER, depths=(1, 1, 1, 1), heads=1, queries=1, text_heads=1, text_layers=1),
    "as many levels as published, wide windows": replace(OTHER, focal_levels=4, focal_window=7, decoder_layers=9),
    "two classes, segments at once": replace(OTHER, classes=("sea", "nothing"), panoptic_score=0.1),
}


@pytest.mark.parametrize("config", OF_OTHER_FORM.values(), ids=OF_OTHER_FORM)
@pytest.mark.parametrize("size", [(33, 130), (64, 32)])
def test_files_of_many_forms_are_built_from_what_they_say(
    tmp_path: Path, config: SeemConfig, size: tuple[int, int]
) -> None:
    path = write_other(tmp_path / "form.safetensors", config, size)
    assert replace(StoredRun.load(path).model.config, layerscale=config.layerscale) == config
    assert max(differences(path).values()) <= 1e-5


def test_projected_levels_reach_the_decoder_as_if_they_had_its_width(tmp_path: Path) -> None:
    """The original with projections that change nothing, as it has where it is told to project."""
    tensors, metadata = read(FILE)
    width = tensors["weights.sem_seg_head.predictor.level_embed.weight"].shape[1]
    for level in range(3):
        begin = f"weights.sem_seg_head.predictor.input_proj.{level}"
        tensors |= {f"{begin}.weight": torch.eye(width)[..., None, None], f"{begin}.bias": torch.zeros(width)}
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "same.safetensors", metadata)
    assert max(differences(tmp_path / "same.safetensors").values()) <= TOLERANCE
    tensors["weights.sem_seg_head.predictor.input_proj.1.bias"] += 1
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "other.safetensors", metadata)
    assert differences(tmp_path / "other.safetensors")["stroke.pred_masks"] > TOLERANCE


@pytest.mark.parametrize("name", ["backbone.norm1.bias", "sem_seg_head.predictor.pn_indicator.weight"])
def test_another_weight_is_a_difference(other: Path, tmp_path: Path, name: str) -> None:
    tensors, metadata = read(other)
    tensors[f"weights.{name}"] += 0.5
    save_file(tensors, tmp_path / "changed.safetensors", metadata)
    found = differences(tmp_path / "changed.safetensors")
    assert found["stroke.pred_masks"] > TOLERANCE


def test_no_number_and_another_shape_are_no_agreement() -> None:
    assert largest_difference(torch.ones(2), torch.ones(3)) == math.inf
    assert math.isnan(largest_difference(torch.tensor([1.0, math.nan]), torch.ones(2)))


def test_segments_are_numbered_and_stuff_is_read_off_the_stored_ones(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors, metadata = read(other)
    segments = [{"id": 1, "isthing": True, "category_id": 0}, {"id": 2, "isthing": False, "category_id": 1}]
    save_file(tensors, tmp_path / "two.safetensors", {**metadata, "segments": json.dumps(segments)})
    halves = torch.arange(50).expand(70, 50) < 25, torch.arange(50).expand(70, 50) >= 40
    given: list[frozenset[int]] = []

    def two(logits: Tensor, masks: Tensor, score: float, overlap: float, stuff: frozenset[int]) -> list[Segment]:
        given.append(stuff)
        return [Segment(label, 0.9, mask) for label, mask in enumerate(halves)]

    monkeypatch.setattr(parity, "panoptic", two)
    found = StoredRun.load(tmp_path / "two.safetensors").outputs()["panoptic"]
    assert given == [frozenset({1})]
    assert torch.equal(found, (halves[0] + 2 * halves[1]).int())


Content = tuple[dict[str, Tensor], dict[str, str]]


def with_sizes(**sizes: int) -> Callable[[Content], Content]:
    """Change settings of a parity file."""
    return lambda c: (c[0], c[1] | {"config": json.dumps({**json.loads(c[1]["config"]), **sizes})})


def without(name: str) -> Callable[[Content], Content]:
    """Take one tensor out of a parity file."""
    return lambda c: ({key: value for key, value in c[0].items() if key != name}, c[1])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda c: (c[0], {}), "no 'config' in its metadata"),
        (lambda c: (c[0], c[1] | {"classes": "{}"}), "classes is '{}'"),
        (with_sizes(MODEL__DECODER__NUM_OBJECT_QUERIES=14), "query_feat.weight has shape"),
        (with_sizes(MODEL__TEXT__HEADS=7), "multiple of text_heads 7"),
        (with_sizes(MODEL__TEXT__LAYERS=4), "lacks .*resblocks.3.* and 2 more"),
        (with_sizes(MODEL__DIM_PROJ=48), "MODEL__DIM_PROJ is 48, and it must be 96: text tokens"),
        (with_sizes(MODEL__ENCODER__CONVS_DIM=64), "MODEL__ENCODER__CONVS_DIM is 64, and it must be 96"),
        (lambda c: ({k: v for k, v in c[0].items() if not k.startswith("weights.")}, c[1]), "lacks backbone.patch"),
        (without("weights.backbone.norm0.weight"), "lacks backbone.norm0.weight"),
        (without("semantic"), "lacks semantic"),
        (lambda c: (c[0] | {"text.more": torch.zeros(1)}, c[1]), "unknown tensors text.more"),
        (lambda c: (c[0] | {"text.input_ids": torch.full((1, 9), 999)}, c[1]), "do not fit"),
    ],
)
def test_a_file_that_contradicts_itself_is_one_clear_error(
    other: Path, tmp_path: Path, damage: Callable[[Content], Content], named: str
) -> None:
    tensors, metadata = damage(read(other))
    path = tmp_path / "bad.safetensors"
    save_file(tensors, path, metadata)
    with pytest.raises(CheckpointError, match=named) as caught:
        differences(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", pickle.dumps([1, 2]), FILE.read_bytes()[:-1000]])
def test_what_is_no_whole_safetensors_file_is_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.safetensors"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{path} is no whole safetensors file"):
        differences(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="none.safetensors is missing"):
        differences(tmp_path / "none.safetensors")


@torch.no_grad()
def test_trailing_padding_of_a_phrase_may_be_cut(original: StoredRun) -> None:
    stored = original.tensors
    length = int(stored["text.attention_mask"].sum())
    ids, attention = stored["text.input_ids"][:, :length], stored["text.attention_mask"][:, :length]
    tokens, _ = original.model.text_tokens(ids, attention)
    assert_near(original.model(original.features("image"), tokens).masks, stored["text.pred_masks"])


@torch.no_grad()
def test_an_example_from_the_picture_itself_is_a_stroke(original: StoredRun) -> None:
    features, points = original.features("image"), original.stroke()
    tokens = [original.model.decoder.stroke_tokens(features, points, kind) for kind in (VISUAL, 2)]
    masks = [original.model(features, each).masks for each in tokens]
    assert_near(masks[0], masks[1])


@torch.no_grad()
def test_prompts_in_one_batch_do_not_disturb_each_other(original: StoredRun) -> None:
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
