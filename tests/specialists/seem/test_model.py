import pytest
import torch

from vitron_agent.errors import CheckpointError
from vitron_agent.specialists.seem import Seem, SeemConfig
from vitron_agent.specialists.seem.model import prepare_images
from vitron_agent.specialists.seem.prompts import VISUAL, PromptTokens, stroke_points


def test_the_published_model_has_the_published_names_and_counts():
    with torch.device("meta"):
        model = Seem(SeemConfig())
    parts = (model.backbone, model.sem_seg_head.pixel_decoder, model.decoder.lang_encoder)
    assert [sum(p.numel() for p in part.parameters()) for part in parts] == [205_746_936, 32_193_536, 63_428_097]
    assert sum(p.numel() for p in model.parameters()) == 341_181_177
    assert len(model.state_dict()) == 932 - 1  # the checkpoint's dilation_kernel is a constant


def test_pictures_are_padded_after_normalising():
    ready = prepare_images(torch.zeros(1, 3, 33, 64, dtype=torch.uint8))
    assert ready.shape == (1, 3, 64, 64)
    assert (ready[:, :, 33:] == 0).all()
    assert ready[0, 0, 0, 0] == pytest.approx(-123.675 / 58.395)


def mask(*box: int) -> torch.Tensor:
    result = torch.zeros(64, 96, dtype=torch.bool)
    result[box[0] : box[2], box[1] : box[3]] = True
    return result


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return prepare_images(torch.randint(0, 256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(3)))


def test_several_images_and_prompts_at_once_equal_one_at_a_time(model, images):
    strokes = [mask(0, 0, 5, 5), mask(30, 30, 60, 60), mask(10, 50, 20, 60), mask(0, 0, 0, 0)]
    features, points = model.encode_images(images), stroke_points(strokes, 16)
    together = model(features, model.decoder.stroke_tokens(features, points)).masks
    for index, stroke in enumerate(strokes):
        alone = model.encode_images(images[index // 2, None])
        tokens = model.decoder.stroke_tokens(alone, stroke_points([stroke], 16))
        torch.testing.assert_close(model(alone, tokens).masks[0], together[index], atol=1e-4, rtol=0)


def test_an_empty_stroke_equals_no_prompt(model, images):
    features = model.encode_images(images[:1])
    empty = model.decoder.stroke_tokens(features, stroke_points([mask(0, 0, 0, 0)], 16))
    none = PromptTokens.none(1, empty.levels[0])
    assert torch.equal(model(features, empty).masks, model(features, none).masks)
    assert model(features, none).masks.isfinite().all()


def test_every_kind_of_token_changes_the_masks(model, images):
    features = model.encode_images(images[:1])
    stroke, other = mask(30, 30, 60, 60), mask(0, 0, 9, 9)
    text = model.text_tokens(torch.tensor([[5, 6, 7, 8]]), torch.ones(1, 4))[0]
    positive = model.decoder.stroke_tokens(features, stroke_points([stroke], 16))
    negative = model.decoder.stroke_tokens(features, stroke_points([stroke & False], 16, negative=[stroke]))
    example = model.decoder.stroke_tokens(features, stroke_points([other], 16), VISUAL)
    base = model(features, positive).masks
    for tokens in (negative, positive.join(text), positive.join(example), text):
        assert (model(features, tokens).masks - base).abs().max() > 1e-3


def test_padding_tokens_change_nothing(model, images):
    features = model.encode_images(images[:1])
    tokens = model.decoder.stroke_tokens(features, stroke_points([mask(3, 3, 6, 6)], 16))
    torch.testing.assert_close(model(features, tokens.pad(30)).masks, model(features, tokens).masks)


def test_a_bias_of_zero_is_none(model, images, config):
    features = model.encode_images(images[:1])
    none = PromptTokens.none(1, features.mask_features.movedim(1, -1))
    zero = torch.zeros(1, config.queries, config.hidden_dim)
    assert torch.equal(model(features, none, zero).masks, model(features, none).masks)
    assert not torch.equal(model(features, none, zero + 1).masks, model(features, none).masks)


def test_constant_buffers_of_checkpoints_are_ignored(model, config):
    weights = {**model.state_dict(), "dilation_kernel": torch.ones(1, 1, 3, 3)}
    Seem(config).load_weights(weights, "file")


@pytest.mark.parametrize("damage", ["lacks", "unknown", "shape"])
def test_other_weights_are_refused_by_name(model, config, damage):
    weights, name = dict(model.state_dict()), "sem_seg_head.predictor.query_feat.weight"
    if damage == "lacks":
        del weights[name]
    elif damage == "unknown":
        name = "extra"
        weights[name] = torch.zeros(1)
    else:
        weights[name] = torch.zeros(2, 3)
    with pytest.raises(CheckpointError, match=f"seem.bin.*{damage}|seem.bin.*{name}"):
        Seem(config).load_weights(weights, "seem.bin")
