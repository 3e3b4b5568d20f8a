"""The lesson that asks a call's signals what its example is exactly like."""

import random

import pytest
import torch

from vitron_agent.planner import PlannerModel, Processor
from vitron_agent.planner.tiny import tiny_planner_config
from vitron_agent.profiles import TINY
from vitron_agent.shapes.tasks_like import REACH, sample_like
from vitron_agent.training.planner_like import (
    OPEN,
    QUALITIES,
    ExampleLessons,
    LikeLesson,
    RegionLesson,
    qualities,
    up_to_call,
)
from vitron_agent.training.signals import load_planner


@pytest.fixture(scope="module")
def planner() -> tuple[PlannerModel, Processor]:
    """The tiny planner, as training holds it."""
    assert TINY.folder is not None
    model, vocabulary = load_planner(TINY.folder / "planner")
    sizes = {"folds_case": model.folds_case, "video_tokens": model.video_tokens}
    return model.float(), Processor(vocabulary, model.image_tokens, **sizes)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("shade", ("red", "green", "blue")),
        ("size", ("size",)),
        ("picture", ("red", "green", "blue", "size")),
        ("speed", ("speed",)),
    ],
)
def test_only_what_the_example_is_for_is_read(kind: str, asked: tuple[str, ...]) -> None:
    talk = sample_like(random.Random(kind), "train", kind)
    call = up_to_call(talk)
    wanted, told = qualities([call.turns[-1].facts], [kind])
    assert tuple(name for name, is_asked in zip(QUALITIES, told[0].tolist(), strict=True) if is_asked) == asked
    assert wanted.abs().max() <= 1
    obj = call.turns[1].facts["wanted"]
    assert torch.allclose(wanted[0, :3], torch.tensor(obj.rgb) * 2 - 1)
    low, high = REACH[obj.size]
    assert float(wanted[0, 3]) == pytest.approx((obj.r - low) / (high - low) * 2 - 1, abs=1e-6)


def test_a_place_has_nothing_to_be_read() -> None:
    talk = sample_like(random.Random(0), "train", "place")
    with pytest.raises(KeyError, match="place"):
        qualities([up_to_call(talk).turns[-1].facts], ["place"])


def test_the_lesson_reaches_the_reader_the_planner_and_its_region_encoder(
    planner: tuple[PlannerModel, Processor],
) -> None:
    model, processor = planner
    lesson = LikeLesson(processor, model.d_llm, random.Random(1), 6)
    words, missed = lesson.loss(model)
    assert torch.isfinite(words)
    assert set(lesson.errors) <= {"shade", "picture", "size", "speed", "reach"}
    assert min(lesson.errors.values()) > 0
    learners = (lesson.reader.inner[1], model.language_model.layers[0].self_attn.v_proj, model.regions)
    weights = [next(learner.parameters()) for learner in learners]
    assert all(bool(grad.any()) for grad in torch.autograd.grad(missed, weights))


def test_what_words_leave_open_counts_alike(planner: tuple[PlannerModel, Processor]) -> None:
    """A colour's name tells nearly all of its shade; a reader that knows the names alone misses each about as much."""
    rng = random.Random(5)
    talks = [up_to_call(sample_like(rng, "train", "picture")) for _ in range(300)]
    wanted, _ = qualities([talk.turns[-1].facts for talk in talks], ["picture"] * 300)
    colours = [talk.turns[-1].facts["wanted"].colour for talk in talks]
    for colour in set(colours):
        rows = [row for row, named in enumerate(colours) if named == colour]
        wanted[rows, :3] -= wanted[rows, :3].mean(0)
    spread = wanted[:, :4].std(0) / torch.tensor(OPEN[:4])
    assert spread.min() > 0.6
    assert spread.max() < 1.7


def test_batches_are_the_rngs(planner: tuple[PlannerModel, Processor]) -> None:
    model, processor = planner
    lessons = [LikeLesson(processor, model.d_llm, random.Random(seed), 2) for seed in (3, 3, 4)]
    with torch.no_grad():
        said = [float(lesson.loss(model)[0]) for lesson in lessons]
    assert said[0] == said[1] != said[2]


def test_a_region_s_exact_colour_is_learned_through_the_details(planner: tuple[PlannerModel, Processor]) -> None:
    """Without them it cannot be: the last layer keeps the colour's name."""
    torch.manual_seed(0)
    model = PlannerModel.new(tiny_planner_config(300, 10, 11))
    lesson = RegionLesson(model.d_llm, random.Random(0), 16)
    missed = lesson.loss(model)
    learners = (model.details.region[-1], lesson.reader)
    assert all(bool(grad.any()) for grad in torch.autograd.grad(missed, [part.weight for part in learners]))
    adam = torch.optim.Adam([*model.details.parameters(), *lesson.reader.parameters()], 2e-3)
    errors = []
    for _ in range(24):
        adam.zero_grad()
        lesson.loss(model).backward()
        adam.step()
        errors.append(lesson.error)
    assert sum(errors[-5:]) < 0.75 * sum(errors[:5])


def test_lessons_are_left_out_where_nothing_is_drawn(planner: tuple[PlannerModel, Processor]) -> None:
    model, processor = planner
    with torch.no_grad():
        counts = [
            len(list(ExampleLessons(processor, model.d_llm, regions, likes).losses(model)))
            for regions, likes in ((0, 0), (2, 0), (0, 2), (2, 2))
        ]
    assert counts == [0, 1, 1, 2]
