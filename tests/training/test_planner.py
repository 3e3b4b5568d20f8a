"""The planner's recipe: what is learned, and a short run from nothing to a folder that loads."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vitron_agent.errors import CheckpointError
from vitron_agent.invocation import Module
from vitron_agent.planner import PlannerModel, Processor, UserTurn, VitronPlanner, Vocabulary
from vitron_agent.planner.tiny import tiny_planner_config
from vitron_agent.shapes import tasks
from vitron_agent.shapes.clip import Clip, Motion
from vitron_agent.shapes.scene import Obj, Scene
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.peers import Peers
from vitron_agent.training.planner import Trainer, alignment_loss, batch_loss, train
from vitron_agent.training.planner_batch import (
    LEAD_WEIGHT,
    NUMBER_WEIGHT,
    cell_words,
    collate,
    embed,
    emphasis,
    moving_words,
)
from vitron_agent.training.planner_data import DRILLS, SHARES, Batches, make_tokenizer, shares, turns_of

SMALL = {"corpus": "40", "compile": "0", "probe_count": "1", "regions": "4", "like": "2", "match": "0"}
"""Settings of a run that is over soon."""


@pytest.fixture(scope="module")
def processor() -> Processor:
    """A tokenizer learned from a few conversations."""
    return Processor(Vocabulary(make_tokenizer(0, 60, 850), 4, 4), image_tokens=16, video_tokens=80)


@pytest.fixture(scope="module")
def model(processor: Processor) -> PlannerModel:
    """Random weights."""
    torch.manual_seed(0)
    tags = processor.vocabulary.tags
    size = len(processor.vocabulary.tokenizer)
    return PlannerModel.new(tiny_planner_config(size, tags["<image>"], tags["<pad>"]))


def test_shares_name_every_task() -> None:
    assert set(SHARES) == {*tasks.TASKS, "like"}


def test_a_conversation_keeps_its_pictures_regions_and_calls(processor: Processor) -> None:
    conversation = tasks.sample_conversation(random.Random(3), "train", "segment_region")
    example = processor.serialise(turns_of(conversation))
    batch = collate([example], processor, None)
    assert len(batch.pictures) == 1
    assert len(batch.region_masks) == int(batch.region_places.sum()) == 1
    assert batch.region_media.tolist() == [0]
    learned = processor.vocabulary.tokenizer.decode(batch.ids[0][batch.weights[0] > 0])
    assert "<module>B</module> <instruction>segmentation:" in learned
    assert "USER" not in learned
    assert "Result" not in learned


def test_a_batch_keeps_pictures_and_videos_in_their_order(processor: Processor, model: PlannerModel) -> None:
    rng = random.Random(8)
    tasks_drawn = ("edit_video", "edit_region", "track", "segment_region")
    examples = [processor.serialise(turns_of(tasks.sample_conversation(rng, "train", task))) for task in tasks_drawn]
    batch = collate(examples, processor, None)
    assert batch.is_video.tolist() == [shown.is_video for example in examples for shown in example.media]
    assert batch.videos.shape[1:] == (4, 3, 64, 64)
    with torch.inference_mode():
        together = model.hidden(embed(model, batch))
        for row, example in enumerate(examples):
            alone = model.hidden(embed(model, collate([example], processor, None)))
            assert torch.allclose(together[row, : len(example.ids)], alone[0], atol=1e-4)


def test_batches_are_of_like_length_and_repeatable(processor: Processor) -> None:
    first, second = (Batches(processor, random.Random(1), 1500) for _ in range(2))
    for _ in range(3):
        batch, again = first.next(), second.next()
        assert torch.equal(batch.ids, again.ids)
        assert torch.equal(batch.pictures, again.pictures)
        assert batch.ids.numel() <= 1500 or len(batch.ids) == 1


def test_padding_changes_no_loss(processor: Processor, model: PlannerModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitron_agent.training.planner.ALIGNMENT", 0.0)  # it is a mean over pictures
    rng = random.Random(5)
    examples = [
        processor.serialise(turns_of(tasks.sample_conversation(rng, "train", task))) for task in ("chat", "edit_region")
    ]
    with torch.inference_mode():
        alone = [batch_loss(model, collate([example], processor, None)) for example in examples]
        together, logits = batch_loss(model, collate(examples, processor, None))
    sums = [float(collate([example], processor, None).weights.sum()) for example in examples]
    mean = sum(float(part[0]) * share for part, share in zip(alone, sums, strict=True)) / sum(sums)
    assert float(together) == pytest.approx(mean, rel=1e-4)
    assert torch.allclose(logits[: len(alone[0][1])], alone[0][1], atol=1e-4)


def firsts(vocabulary: Vocabulary, *words: str) -> list[int]:
    """The first id of each word: a small tokenizer cuts rare ones."""
    return [vocabulary.encode(f" {word}")[0] for word in words]


def test_a_picture_token_is_to_name_the_object_whose_centre_it_holds(processor: Processor, model: PlannerModel) -> None:
    vocabulary = processor.vocabulary
    scene = Scene("olive", (Obj("star", "red", "small", 0.3, 0.9, 0.1, (1, 0, 0)),))
    (words,) = cell_words([scene], vocabulary)
    red, star, olive = firsts(vocabulary, "red", "star", "olive")
    assert words[13].tolist() == [red, star, red, star]
    assert set(words.unique().tolist()) == {olive, red, star}
    named = model.language_model.get_input_embeddings()(words[None]).mean(2)
    with torch.inference_mode():
        right = alignment_loss(model, named, words[None])
        wrong = alignment_loss(model, named.flip(1), words[None])
    assert right < wrong


def test_a_frame_token_is_to_name_what_its_object_does(processor: Processor) -> None:
    vocabulary = processor.vocabulary
    star = Obj("star", "red", "small", 0.2, 0.1, 0.1, (1, 0, 0))
    clip = Clip(Scene("olive", (star,)), (Motion("right", 0.5),))
    words = moving_words([clip], 4, vocabulary)
    assert words.shape == (4, 16, 6)
    *named, olive = firsts(vocabulary, "red", "star", "right", "olive")
    for frame, cell in ((0, 0), (3, 2)):
        assert words[frame, cell].tolist() == named * 2
    assert set(words[3, 0].tolist()) == {olive}


def test_two_objects_in_one_token_are_both_named(processor: Processor) -> None:
    star = Obj("star", "red", "small", 0.1, 0.1, 0.1, (1, 0, 0))
    cross = Obj("cross", "blue", "small", 0.2, 0.2, 0.1, (0, 0, 1))
    (words,) = cell_words([Scene("olive", (star, cross))], processor.vocabulary)
    assert words[0].tolist() == firsts(processor.vocabulary, "red", "star", "blue", "cross")


def test_what_decides_a_reply_counts_more_and_sides_of_boxes_less(processor: Processor) -> None:
    vocabulary = processor.vocabulary
    ids = vocabulary.encode("I will draw it at 0.25 now")
    side = ids.index(vocabulary.encode(" 0.25")[0])
    learn = torch.ones(2, len(ids), dtype=torch.bool)
    learn[1, :2] = False
    weights = emphasis(torch.tensor([ids, ids]), learn, vocabulary)
    assert weights[0, :3].tolist() == [LEAD_WEIGHT] * 3
    assert weights[1, :5].tolist() == [0, 0, *[LEAD_WEIGHT] * 3]
    assert weights[0, side] == pytest.approx(NUMBER_WEIGHT)
    assert weights[0, -1] == 1


def test_long_conversations_are_rarer_at_first_and_drills_later() -> None:
    early, late = shares(early=True), shares(early=False)
    long = {"chain", "dialogue", "edit_then_ask", "same_again", "dialogue_video", "chain_film", "dialogue_film"}
    assert {task for task in early if early[task] < late[task]} == long
    assert {task for task in early if early[task] > late[task]} == set(DRILLS)
    assert all(late[task] == share for task, share in SHARES.items())


def test_only_early_conversations_end_with_their_call(processor: Processor) -> None:
    signals = {i for module in Module for i in processor.vocabulary.signals(module)}
    ends: dict[bool, int] = {}
    for early in (True, False):
        batches = Batches(processor, random.Random(4), 2000)
        batches.early = early
        ends[early] = sum(batches.example().ids[-2] in signals for _ in range(120))
    assert ends[True] > 8
    assert ends[False] == 0


def test_a_short_run_can_be_resumed_and_its_export_loads(tmp_path: Path) -> None:
    options = SMALL | {"tokens": "500", "tower_lr": "0", "match": "1"}
    config = TrainingConfig(out=tmp_path / "out", run=tmp_path / "planner", steps=2, options=options)
    train(config)
    planner = VitronPlanner.from_pretrained(tmp_path / "out")
    assert planner.reply([UserTurn("hello")]).prompt_tokens > 3
    log = (tmp_path / "planner" / "log.txt").read_text()
    assert "held out: words" in log
    resumed = TrainingConfig(
        out=tmp_path / "out2",
        run=tmp_path / "planner",
        steps=3,
        options={**options, "lr": "0", "muon_lr": "0", "match": "0"},  # the head is in the checkpoint
        resume=True,
    )
    train(resumed)  # a third step that changes nothing
    again = VitronPlanner.from_pretrained(tmp_path / "out2")
    wanted = planner.model.state_dict()
    tower = "llava.model.vision_tower.embeddings.class_embedding"
    assert torch.equal(again.model.state_dict()[tower], wanted[tower])
    assert not torch.equal(wanted[tower], PlannerModel.new(planner.model.llava.config).state_dict()[tower])
    warm = TrainingConfig(
        out=tmp_path / "out2",
        run=tmp_path / "warm",
        steps=1,
        options={**options, "lr": "0", "muon_lr": "0", "warm": "1"},
    )
    train(warm)  # begins with what the last run exported
    third = VitronPlanner.from_pretrained(tmp_path / "out2")
    assert torch.equal(third.model.state_dict()[tower], wanted[tower])


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SMALL | {"tokens": "300"}
    config = TrainingConfig(tmp_path / "out", tmp_path / "planner", steps=3, export_minutes=0.0, options=options)
    trainer = Trainer(config, Peers())
    trainer.step()
    trainer.save()
    before = trainer.model.state_dict()["llava.lm_head.weight"].clone()
    monkeypatch.setattr(
        "vitron_agent.training.planner.batch_loss",
        lambda model, batch: (model.regions.feature[0].weight.sum() * float("nan"), None),
    )
    with pytest.raises(CheckpointError, match=r"the loss is nan at step 1: .*last good checkpoint is kept"):
        trainer.run()
    assert torch.equal(trainer.model.state_dict()["llava.lm_head.weight"], before)
    again = Trainer(replace(config, resume=True), Peers())
    assert again.counters["step"] == 1
    assert torch.equal(again.model.state_dict()["llava.lm_head.weight"], before)


def test_a_checkpoint_that_is_damaged_is_refused(tmp_path: Path) -> None:
    config = TrainingConfig(tmp_path / "out", tmp_path / "planner", steps=3, resume=True, options=SMALL)
    (tmp_path / "planner").mkdir()
    (tmp_path / "planner" / "checkpoint.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="damaged or of another architecture"):
        Trainer(config, Peers())
