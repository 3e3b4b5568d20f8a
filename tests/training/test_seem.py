import random
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vitron_agent.media import RegionKind
from vitron_agent.shapes.captions import EXTREMES
from vitron_agent.shapes.scene import COLOURS, SHAPES, sample_scene
from vitron_agent.specialists.seem import SeemSegmenter
from vitron_agent.training import RECIPES, load_recipe
from vitron_agent.training.bpe import clip_tokenizer
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.seem import build_model, build_tokenizer, introduce, tiny_config, train
from vitron_agent.training.seem_auxiliary import Teacher
from vitron_agent.training.seem_batch import PROMPTS, make_batch
from vitron_agent.training.seem_data import STROKES, answer, augment, draw, sample_pair, shared_object, stroke
from vitron_agent.training.seem_language import (
    Phrase,
    absent_phrase,
    held_out_phrase,
    matching,
    placed_phrase,
    several_phrase,
    training_phrase,
)
from vitron_agent.training.seem_losses import losses, match, run_model
from vitron_agent.training.seem_measure import measure, user_region

SCENES = [sample_scene(random.Random(seed)) for seed in range(200)]


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def words_of(phrase: str) -> tuple[str | None, str | None]:
    """Colour and shape that a phrase without relations names."""
    found = re.findall(r"[a-z]+", phrase)
    colour = next((word for word in found if word in COLOURS), None)
    forms = {form: shape for shape in SHAPES for form in (shape, f"{shape}s", f"{shape}es")}
    return colour, next((forms[word] for word in found if word in forms), None)


def test_absent_phrases_fit_nothing_and_often_nearly_fit():
    near = 0
    for seed, scene in enumerate(SCENES):
        phrase = absent_phrase(scene, random.Random(seed))
        colour, shape = words_of(phrase.text)
        size = "small" if re.search("small|little|tiny", phrase.text) else None
        size = "large" if re.search("large|big", phrase.text) else size
        assert not phrase.objects
        assert not phrase.background
        assert not matching(scene, colour, shape, size), (phrase, scene)
        near += bool(colour and matching(scene, colour, None, None)) or bool(
            shape and matching(scene, None, shape, None)
        )
    assert near > 80


def test_an_object_that_is_alone_is_the_leftmost_and_the_largest():
    lone = sample_scene(random.Random(1), 1)
    phrases = [placed_phrase(lone, random.Random(seed)) for seed in range(60)]
    assert {phrase.objects for phrase in phrases} == {frozenset({0})}
    said = " ".join(phrase.text for phrase in phrases)
    assert all(word in said for word in EXTREMES)


def test_several_means_all_of_them():
    for seed, scene in enumerate(SCENES):
        phrase = several_phrase(scene, random.Random(seed))
        colour, shape = words_of(phrase.text)
        size = next((size for size in ("small", "large") if size in phrase.text), None)
        assert phrase.objects == matching(scene, colour, shape, size), (phrase, scene)


def test_held_out_wordings_are_not_trained():
    rng = random.Random(0)
    trained = {training_phrase(rng.choice(SCENES), rng).text for _ in range(4000)}
    wordings = re.compile(r"coloured|that is|in (red|green|blue|yellow|purple|orange|white|black)$")
    assert not [text for text in trained if wordings.search(text)]
    held_out = [held_out_phrase(scene, rng).text for scene in SCENES]
    assert sum(bool(wordings.search(text)) for text in held_out) > 80


def test_an_answer_lists_objects_then_the_background():
    assert answer(Phrase("x", frozenset({0, 2}))).tolist() == [True, False, True, False]
    assert answer(Phrase("x", background=True)).tolist() == [False, False, False, True]


def test_the_tokenizer_reads_anything_and_ends_on_its_highest_id(tokenizer):
    ids = tokenizer("the Red circle, ünïcode 42 \N{SNOWMAN}!").input_ids
    assert ids[0] == len(tokenizer) - 2
    assert ids[-1] == len(tokenizer) - 1 == max(ids)
    assert ids.count(len(tokenizer) - 1) == 1  # nothing was unknown
    assert tokenizer.decode(ids[1:-1]).replace(" ", "") == "theredcircle,ünïcode42\N{SNOWMAN}!"
    assert len(tokenizer("the small purple diamond").input_ids) == 6  # frequent words are one token


def test_merges_are_learned_from_the_phrases():
    tokenizer = clip_tokenizer(["abab abab cd"], merges=10, context=8)
    assert len(tokenizer("abab").input_ids) == 3
    assert len(tokenizer("cd").input_ids) == 4  # seen once: stays apart


def test_pairs_share_an_object_and_keep_the_gap():
    for seed in range(50):
        first, second = sample_pair(random.Random(seed))
        for one, other in ((first, second), (second, first)):
            obj = one.objects[shared_object(one, other)]
            assert (obj.colour, obj.shape) in {(each.colour, each.shape) for each in other.objects}
        assert all(0 <= side <= 1 for obj in second.objects for side in obj.box)


def test_segments_cover_every_pixel_once():
    pictures = draw(SCENES[:8])
    assert (pictures.segments.sum(1) == 1).all()
    assert pictures.present.sum(1).tolist() == [len(scene.objects) + 1 for scene in SCENES[:8]]


@pytest.mark.parametrize("kind", [*STROKES, "picture"])
def test_strokes_lie_where_they_should(kind):
    pictures = draw(SCENES[:20])
    numbers = np.random.default_rng(0)
    for i in range(20):
        mask = pictures.segments[i, 0].numpy() > 0.5
        points = stroke(kind, mask, numbers, 40)
        assert points.shape == (40, 2)
        assert points.min() >= 0
        assert points.max() < 1
        columns, rows = (points * 64).astype(int).T
        least = {"click": 0.4, "scribble": 0.3, "box": 0.2, "polygon": 0.2, "picture": 0.0}[kind]
        assert mask[rows, columns].mean() >= least


def test_augmented_pictures_stay_pictures():
    images = draw(SCENES[:32]).images
    changed = augment(images, torch.Generator().manual_seed(0))
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert 0.002 < (changed - images).abs().mean() < 0.05
    assert torch.equal(changed, augment(images, torch.Generator().manual_seed(0)))


def test_a_batch_is_a_function_of_seed_and_step(tokenizer):
    config = tiny_config(len(tokenizer))
    first, again, other = (make_batch(0, step, 4, config, tokenizer) for step in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(again).values(), strict=True))
    assert not torch.equal(first.images, other.images)


def test_every_present_segment_gets_its_own_best_query():
    segments = torch.zeros(1, 4, 8, 8)
    segments[0, 0, :4], segments[0, 3, 4:] = 1, 1
    masks = torch.full((1, 5, 8, 8), -6.0)
    masks[0, 2, :4], masks[0, 4, 4:], masks[0, 1, :3] = 6.0, 6.0, 6.0
    present = torch.tensor([[True, False, False, True]])
    chosen = match(masks, segments, present, torch.zeros(1, 5, 4))
    assert (chosen[0, 0], chosen[0, 3]) == (2, 4)
    extra = torch.zeros(1, 5, 4)
    extra[0, 2, 0] = 50.0  # another reason not to take the best mask
    assert match(masks, segments, present, extra)[0, 0] == 1


def test_training_on_one_batch_lowers_the_loss(tokenizer):
    torch.manual_seed(0)
    config = tiny_config(len(tokenizer))
    model, teacher = build_model(config), Teacher(config)
    batch = make_batch(0, 0, 2, config, tokenizer)
    optimiser = torch.optim.AdamW([*model.parameters(), *teacher.parameters()], 5e-4)
    history = []
    for _ in range(12):
        parts = losses(model, teacher, batch, run_model(model, batch, tokenizer))
        assert set(parts) == {"taught", "read", "mask", "class", "phrase", "stroke"}
        total = sum(parts.values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        history.append(float(total.detach()))
    unused = {name for name, value in model.named_parameters() if value.grad is None}
    assert unused == {f"sem_seg_head.predictor.{name}.weight" for name in ("spatial_embed", "spatial_featured")}
    assert history[-1] < 0.8 * history[0]


def test_a_short_run_exports_resumes_and_serves(tmp_path, capsys):
    assert load_recipe("seem") is train
    assert RECIPES["seem"] == "vitron_agent.training.seem"
    settings = {"out": tmp_path / "out", "run": tmp_path / "run", "options": {"batch": "2"}}
    train(TrainingConfig(**settings, steps=2))
    before = load_file(tmp_path / "out" / "model.safetensors")
    train(TrainingConfig(**settings, steps=3, resume=True))
    after = load_file(tmp_path / "out" / "model.safetensors")
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(value.dtype is torch.float16 for value in after.values())
    segmenter = SeemSegmenter.from_pretrained(tmp_path / "out")
    rows = measure(segmenter, 1)
    assert {"text", "click", "box", "polygon", "scribble", "everything", "absent"} <= set(rows)


def test_a_warm_start_teaches_the_teacher_first(tmp_path, tokenizer):
    config = tiny_config(len(tokenizer))
    model, teacher = build_model(config), Teacher(config)
    settings = TrainingConfig(out=tmp_path, run=tmp_path)
    was = {name: value.clone() for name, value in model.state_dict().items()}
    start = {name: value.clone() for name, value in teacher.state_dict().items()}
    introduce(model, teacher, settings, tokenizer, steps=2)
    assert all(torch.equal(was[name], value) for name, value in model.state_dict().items())
    assert any(not torch.equal(start[name], value) for name, value in teacher.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_measured_regions_are_a_users(tokenizer):
    scene = SCENES[0]
    pictures = draw([scene])
    mask = pictures.segments[0, 0] > 0.5
    for kind in RegionKind:
        if kind is RegionKind.MASK:
            continue
        region = user_region(kind.value, scene.objects[0], mask, random.Random(0))
        assert region.kind is kind
        assert (region.to_mask(64, 64) & mask).any()


def test_prompts_per_picture_are_what_the_batch_holds(tokenizer):
    config = tiny_config(len(tokenizer))
    batch = make_batch(0, 0, 2, config, tokenizer)
    out = run_model(build_model(config), batch, tokenizer)
    assert out.states[-1].shape == (2 * PROMPTS, config.queries, config.hidden_dim)
    assert len(out.states) == config.decoder_layers + 1
