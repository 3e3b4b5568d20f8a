import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from vitron_agent.errors import Cancelled, CheckpointError, MissingInputError, NothingFoundError
from vitron_agent.media import MediaKind, Region, RegionKind, box_of
from vitron_agent.profiles import TINY
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import sample_scene
from vitron_agent.signals import SignalEmbeddings, SignalMapper
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.specialists.seem import SeemConfig, SeemSegmenter, specialist
from vitron_agent.specialists.seem.inference import touched
from vitron_agent.specialists.seem.specialist import EVERYTHING, SEVERAL
from vitron_agent.specialists.seem.strokes import core_of, stroke_of

BOX = Region.from_box(0.1, 0.2, 0.6, 0.9)
REGIONS = {
    "click": Region(kind=RegionKind.CLICK, points=((0.5, 0.5),)),
    "box": BOX,
    "polygon": Region(kind=RegionKind.POLYGON, points=((0.1, 0.1), (0.9, 0.2), (0.4, 0.8))),
    "scribble": Region(kind=RegionKind.SCRIBBLE, points=((0.1, 0.1), (0.9, 0.9))),
}


def lenient(segmenter: SeemSegmenter, threshold: float | None) -> SeemSegmenter:
    """The same weights with another threshold."""
    model = segmenter.model
    other = type(model)(replace(model.config, text_threshold=threshold)).eval().requires_grad_(False)
    other.load_state_dict(model.state_dict())
    return SeemSegmenter(other, segmenter.tokenizer, "random", segmenter.mapper)


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (31, 17), (200, 90), (5, 300), (1, 1)])
def test_the_mask_has_the_pictures_size_whatever_it_is(segmenter, size):
    picture = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    try:
        result = segmenter.run(SpecialistRequest("", picture, BOX))
    except NothingFoundError:
        pytest.skip("random weights found an empty mask here")
    assert result.kind is MediaKind.MASK
    assert result.mask is not None
    assert result.mask.shape == size
    assert result.mask.dtype is torch.bool
    assert len(result.boxes) == len(result.labels) == 1


@pytest.mark.parametrize("kind", REGIONS)
def test_every_kind_of_region_is_taken(segmenter, picture, kind):
    result = segmenter.run(SpecialistRequest("", picture, REGIONS[kind]))
    assert result.mask is not None
    assert result.boxes[0] == box_of(result.mask)
    assert 0 <= (result.score or 0) <= 1


def test_a_region_of_pixels_is_taken_from_the_request(segmenter, picture):
    pixels = torch.zeros(picture.shape[1:], dtype=torch.bool)
    pixels[5:40, 10:60] = True
    region = Region.from_mask(pixels, f"sha256:{'0' * 64}")
    assert segmenter.run(SpecialistRequest("", picture, region, mask=pixels)).mask is not None
    assert segmenter.run(SpecialistRequest("", picture, region)).mask is not None


def test_the_same_request_gives_the_same_mask_from_many_threads(segmenter, picture):
    requests = [SpecialistRequest("the red circle", picture)] * 4 + [SpecialistRequest("", picture, BOX)] * 4
    alone = [segmenter.run(requests[0]).mask, segmenter.run(requests[-1]).mask]
    with ThreadPoolExecutor(4) as pool:
        masks = [result.mask for result in pool.map(segmenter.run, requests)]
    assert all(torch.equal(mask, alone[0]) for mask in masks[:4])
    assert all(torch.equal(mask, alone[1]) for mask in masks[4:])


def test_an_example_from_the_picture_itself_is_its_stroke(segmenter, picture):
    stroke = segmenter.run(SpecialistRequest("", picture, BOX))
    example = segmenter.run(SpecialistRequest("", picture, reference=(picture, BOX)))
    assert torch.equal(stroke.mask, touched(example.mask, core_of(BOX.box).to_mask(*picture.shape[1:])))


def test_the_middle_of_a_box_is_its_stroke(segmenter, picture):
    assert core_of((0.0, 0.2, 1.0, 0.7)).box == pytest.approx((0.2, 0.3, 0.8, 0.6))
    points = segmenter.points(segmenter.look(picture[None]), BOX, None).places[0]
    x, y = (points[:, 0] * 128 / (64 / 48 * 80), points[:, 1])  # the input is padded from 107 to 128 columns
    assert 0.18 <= x.min() <= x.max() <= 0.52
    assert 0.32 <= y.min() <= y.max() <= 0.78


@pytest.mark.parametrize("size", [(64, 64), (480, 640), (5, 5)])
def test_the_middle_of_a_click_is_its_stroke(size):
    click = REGIONS["click"]
    stroke = stroke_of(click, None, size)
    assert stroke.any()
    assert int(stroke.sum()) <= int(click.to_mask(*size).sum())
    assert (stroke <= click.to_mask(*size)).all()


def test_words_beside_a_region_are_heard(segmenter, picture):
    features = segmenter.look(picture[None]).features
    assert features.mask_features.shape[0] == 1
    results = [segmenter.run(SpecialistRequest(words, picture, BOX)) for words in ("", "the blue square")]
    assert results[0].score != results[1].score


def test_without_a_threshold_something_is_always_found(segmenter, picture):
    assert segmenter.model.config.text_threshold is None
    assert lenient(segmenter, None).run(SpecialistRequest("the green star", picture)).labels == ("the green star",)


def test_below_the_threshold_nothing_is_found(segmenter, picture):
    with pytest.raises(NothingFoundError, match="the green star"):
        lenient(segmenter, 100.0).run(SpecialistRequest("the green star", picture))


def test_a_plural_takes_every_query_above_the_threshold(segmenter, picture):
    generous = lenient(segmenter, -100.0)
    one = generous.run(SpecialistRequest("the circle", picture))
    many = generous.run(SpecialistRequest("all circles", picture))
    assert len(one.boxes) == 1
    assert len(many.boxes) > 1
    assert many.mask.sum() > one.mask.sum()


@pytest.mark.parametrize("words", ["all circles", "the red crosses", "every star", "both squares", "the small things"])
def test_plurals_are_seen(words):
    assert SEVERAL.search(words)


@pytest.mark.parametrize("words", ["the cross", "the red circle", "the object left of the cross", "the small star"])
def test_singulars_are_seen(words):
    assert not SEVERAL.search(words)


@pytest.mark.parametrize(
    ("words", "panoptic"), [("everything", True), ("Everything.", True), ("the background", False)]
)
def test_everything_is_panoptic(words, panoptic):
    assert bool(EVERYTHING.match(words)) is panoptic


def test_everything_with_nothing_in_it_says_so(segmenter, picture):
    with pytest.raises(NothingFoundError, match="no object"):  # random weights reach no class score
        segmenter.run(SpecialistRequest("everything", picture))


def test_everything_enlarges_only_the_masks_that_count(monkeypatch):
    assert TINY.folder is not None
    tiny, enlarged = SeemSegmenter.from_pretrained(TINY.folder / "seem"), []
    resize = specialist.resize_masks

    def counted(logits, *sizes):
        enlarged.append(len(logits))
        return resize(logits, *sizes)

    monkeypatch.setattr(specialist, "resize_masks", counted)
    drawn = (render([sample_scene(random.Random(3), 2)]).images[0] * 255).round().to(torch.uint8)
    found = tiny.run(SpecialistRequest("everything", drawn))
    assert len(found.boxes) == 2
    assert enlarged[0] < tiny.model.config.queries


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (SpecialistRequest("the circle"), "picture"),
        (SpecialistRequest("  ", torch.zeros(3, 8, 8, dtype=torch.uint8)), "command is empty"),
    ],
)
def test_what_is_missing_is_named(segmenter, request_, named):
    with pytest.raises(MissingInputError, match=named):
        segmenter.run(request_)


def test_progress_can_cancel(segmenter, picture):
    seen = []

    def watch(step: int, total: int) -> None:
        seen.append((step, total))
        if step == 1:
            raise Cancelled("stopped by the user")

    with pytest.raises(Cancelled):
        segmenter.run(SpecialistRequest("the circle", picture), watch)
    assert seen == [(0, 2), (1, 2)]


@pytest.fixture
def signals() -> SignalEmbeddings:
    generator = torch.Generator().manual_seed(5)
    return SignalEmbeddings(torch.randn(4, 12, generator=generator), torch.randn(4, 12, generator=generator))


@pytest.fixture
def mapper(config) -> SignalMapper:
    torch.manual_seed(6)
    return SignalMapper(12, config.hidden_dim, config.queries + 1, width=16).requires_grad_(False)


@pytest.mark.parametrize("region", [None, BOX])
def test_a_closed_gate_is_exactly_the_published_behaviour(segmenter, picture, signals, mapper, region):
    mapped = SeemSegmenter(segmenter.model, segmenter.tokenizer, "random", mapper)
    request = SpecialistRequest("the red circle", picture, region, signals=signals)
    plain, closed = segmenter.run(replace(request, signals=None)), mapped.run(request)
    assert torch.equal(plain.mask, closed.mask)
    assert plain.score == closed.score
    mapper.gate.fill_(3.0)
    opened = mapped.run(request)
    assert (opened.score != plain.score) is (region is None)  # a stroke needs no signals
    assert mapped.run(replace(request, signals=None)).score == plain.score


def test_it_computes_in_half_precision_too(folder, segmenter, picture):
    loaded = SeemSegmenter.from_pretrained(folder, dtype=torch.bfloat16)
    for request in (SpecialistRequest("", picture, BOX), SpecialistRequest("the red circle", picture)):
        found, wanted = loaded.run(request), segmenter.run(request)
        assert (found.mask == wanted.mask).float().mean() > 0.9


def test_a_folder_holds_the_same_model_in_half_precision(folder, segmenter, picture):
    loaded = SeemSegmenter.from_pretrained(folder)
    assert loaded.name == "seem"
    assert len(loaded.revision) == 16
    request = SpecialistRequest("", picture, BOX)
    found, wanted = loaded.run(request), segmenter.run(request)
    assert (found.mask == wanted.mask).float().mean() > 0.97


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors are missing"),
        (lambda f: (f / "config.json").unlink(), "config.json is missing"),
        (lambda f: (f / "tokenizer" / "tokenizer.json").unlink(), "tokenizer is missing"),
        (lambda f: (f / "tokenizer" / "tokenizer.json").write_text("{"), "tokenizer is damaged"),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:5000]), "damaged"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "damaged"),
        (
            lambda f: replace(SeemConfig.load(f / "config.json"), queries=7).save(f / "config.json"),
            "config.json that came",
        ),
    ],
)
def test_a_damaged_folder_is_one_clear_error(folder, damage, named):
    damage(folder)
    with pytest.raises(CheckpointError, match=named) as caught:
        SeemSegmenter.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_of_another_vocabulary_is_refused(folder):
    from vitron_agent.training.bpe import clip_tokenizer

    clip_tokenizer(["something else, something else"], merges=3, context=20).save_pretrained(folder / "tokenizer")
    with pytest.raises(CheckpointError, match="tokens, the weights have"):
        SeemSegmenter.from_pretrained(folder)
