"""The planner at work, with random weights: form, budget, signals and loading; what it says is nonsense."""

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from vitron_agent.errors import Cancelled, CheckpointError, InputError
from vitron_agent.invocation import Module, parse_reply, render_invocation
from vitron_agent.media import Region
from vitron_agent.planner import AssistantTurn, DrawnRegion, PlannerModel, Settings, UserTurn, VitronPlanner, Vocabulary
from vitron_agent.planner.processor import Turn
from vitron_agent.planner.tiny import tiny_planner_config

PICTURE = (torch.arange(3 * 64 * 64) % 251).to(torch.uint8).view(3, 64, 64)
ASK: list[Turn] = [UserTurn("what is it?", (PICTURE,), (DrawnRegion(Region.parse("click:0.5,0.5").to_mask(64, 64)),))]


@pytest.mark.parametrize("seed", range(12))
def test_random_weights_write_nothing_but_text_and_sound_calls(planner: VitronPlanner, seed: int) -> None:
    budget = (24, 60, 120)[seed % 3]
    output = planner.reply(ASK, Module, Settings(budget, temperature=3.0, seed=seed, max_calls=2))
    assert output.new_tokens <= budget
    assert len(output.signals) == len(output.invocations)
    assert parse_reply(output.text).invocations == ()
    for call in output.invocations:
        assert parse_reply(render_invocation(call)).invocations == (call,)


def test_signals_of_one_forward_are_those_of_step_by_step(planner: VitronPlanner) -> None:
    """GILL's forced run, all tokens at once, against feeding them one by one."""
    prompt = planner.processor.serialise(ASK)
    config = planner.model.llava.config.text_config
    with torch.inference_mode():
        at_once, one_by_one = DynamicCache(config=config), DynamicCache(config=config)
        planner.model.hidden(planner.embed(prompt), at_once)
        planner.model.hidden(planner.embed(prompt), one_by_one)
        signals, _ = planner.signal_run(Module.B, at_once)
        states = [
            planner.model.hidden(planner.model.merge(torch.tensor([[token]])), one_by_one)[0, 0]
            for token in planner.vocabulary.signals(Module.B)
        ]
    assert signals.task_specific.shape == (4, 256)
    assert signals.task_invariant.shape == (4, 256)
    assert torch.allclose(signals.joined, torch.stack(states), atol=1e-5)


def test_what_is_known_is_left_out_of_the_embeddings(planner: VitronPlanner) -> None:
    stripe = DrawnRegion(torch.eye(64, dtype=torch.bool))
    prompt = planner.processor.serialise([*ASK, UserTurn("and here?", (PICTURE.flip(0), PICTURE.flip(1)), (stripe,))])
    images = [place for place, token in enumerate(prompt.ids) if token == planner.vocabulary.tags["<image>"]]
    regions = [place for place, token in enumerate(prompt.ids) if token == planner.vocabulary.tags["<objs>"]]
    with torch.inference_mode():
        whole = planner.embed(prompt)
        for known in (1, images[0] + 3, images[15], images[15] + 1, images[20], *regions, regions[0] + 1):
            assert torch.equal(planner.embed(prompt, known), whole[:, known:]), known


def test_pictures_that_were_read_before_are_not_encoded_again(
    planner: VitronPlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Turn] = [*ASK, AssistantTurn("A star."), UserTurn("and now?", (PICTURE.flip(2),))]
    few = Settings(2)  # nothing is asked of what it says
    planner.reply(ASK, settings=few)
    planner.features.clear()
    seen = []
    encode = planner.model.encode_pictures
    monkeypatch.setattr(planner.model, "encode_pictures", lambda images: seen.append(images[0]) or encode(images))
    planner.reply(said, settings=few)
    (new,) = seen
    assert torch.equal(new, PICTURE.flip(2))


def test_no_word_waits_for_its_own_reading(planner: VitronPlanner, monkeypatch: pytest.MonkeyPatch) -> None:
    done = {"hidden": 0, "choose": 0}
    hidden, choose = planner.model.hidden, planner._choose

    def counted(name: str, work: Any) -> Any:
        def run(*given: Any) -> Any:
            done[name] += 1
            return work(*given)

        return run

    monkeypatch.setattr(planner.model, "hidden", counted("hidden", hidden))
    monkeypatch.setattr(planner, "_choose", counted("choose", choose))
    pieces = list[str]()
    for piece in planner.stream(ASK, (), Settings(12, temperature=2.0, seed=1)):
        pieces.append(piece)
        assert done["hidden"] == done["choose"]  # what was written last is read when the next id is wanted
    assert len(pieces) > 3


def called(planner: VitronPlanner, modules: set[Module]) -> tuple[int, object]:
    """The first seed under which a call is made, and the reply."""
    for seed in range(300):
        output = planner.reply(ASK, modules, Settings(60, temperature=4.0, seed=seed))
        if output.invocations:
            return seed, output
    raise AssertionError("no seed made a call")


def test_signals_belong_to_the_call_and_its_context(planner: VitronPlanner) -> None:
    """The signals that a reply carries are those of a full recomputation of everything before them."""
    _, output = called(planner, {Module.B})
    prompt = planner.processor.serialise(ASK)
    call = render_invocation(output.invocations[0])  # type: ignore[attr-defined]
    lead = f" {output.text} " if output.text else " "  # type: ignore[attr-defined]
    ids = planner.vocabulary.encode(lead + call)
    with torch.inference_mode():
        cache = DynamicCache(config=planner.model.llava.config.text_config)
        planner.model.hidden(planner.embed(prompt), cache)
        planner.model.hidden(planner.model.merge(torch.tensor([ids])), cache)
        signals, _ = planner.signal_run(Module.B, cache)
    written = output.signals[0].joined  # type: ignore[attr-defined]
    # free text of random weights may be cut into pieces in another way than the tokenizer would: then states differ
    if len(ids) == output.new_tokens - 1:  # type: ignore[attr-defined]
        assert torch.allclose(written, signals.joined, atol=1e-4)
    assert written.shape == (8, 256)


def test_only_allowed_modules_are_called(planner: VitronPlanner) -> None:
    for seed in range(15):
        output = planner.reply(ASK, {Module.A}, Settings(50, temperature=4.0, seed=seed))
        assert {call.module for call in output.invocations} <= {Module.A}
        without_picture: list[Turn] = [UserTurn("segment it")]
        assert (
            planner.reply(without_picture, {Module.B, Module.C}, Settings(50, temperature=4.0, seed=seed)).invocations
            == ()
        )


def test_the_same_seed_writes_the_same(planner: VitronPlanner) -> None:
    first, second, other = (planner.reply(ASK, Module, Settings(40, temperature=2.0, seed=s)) for s in (1, 1, 2))
    assert (first.text, first.invocations) == (second.text, second.invocations)
    assert (first.text, first.invocations) != (other.text, other.invocations)


def test_streamed_pieces_make_the_text(planner: VitronPlanner) -> None:
    for seed in range(6):
        pieces: list[str] = []
        output = planner.reply(ASK, (), Settings(40, temperature=2.0, seed=seed), pieces.append)
        assert output.text.startswith("".join(pieces).rstrip("\ufffd"))
        assert len(output.text.rstrip("\ufffd")) - len("".join(pieces)) <= 1
        assert output.finish in ("stop", "length")


def test_a_reply_that_was_cut_short_says_so(planner: VitronPlanner) -> None:
    outputs = [planner.reply(ASK, (), Settings(4, temperature=3.0, seed=seed)) for seed in range(8)]
    assert {output.finish for output in outputs if output.new_tokens == 4} == {"length"}
    assert {output.finish for output in outputs if output.new_tokens < 4} <= {"stop"}


@pytest.mark.parametrize("temperature", [1e-40, 1e-300])
def test_the_coldest_sampling_takes_the_most_likely(planner: VitronPlanner, temperature: float) -> None:
    cold, sure = (planner.reply(ASK, (), Settings(8, temperature=t)) for t in (temperature, 0.0))
    assert cold.text == sure.text


def test_a_reply_that_would_call_and_may_not_ends_there(
    planner: VitronPlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = planner.vocabulary.encode("It is a")
    wanted = iter([*words, planner.vocabulary.tags["<module>"], *words])

    def logits(state: torch.Tensor) -> torch.Tensor:
        second, first = (
            torch.nn.functional.one_hot(torch.tensor(i), planner.table.size) for i in (words[0], next(wanted))
        )
        return (second + 2 * first).float()

    monkeypatch.setattr(planner.model, "logits", logits)
    output = planner.reply(ASK, (), Settings(40))
    assert (output.text, output.finish) == ("It is a", "stop")


def test_a_stop_text_ends_the_reply_and_is_cut_off(planner: VitronPlanner) -> None:
    whole = planner.reply(ASK, (), Settings(40, temperature=2.0, seed=3)).text
    stop = whole[len(whole) // 2 :][:3]
    pieces: list[str] = []
    output = planner.reply(ASK, (), Settings(40, (stop,), 2.0, 3), pieces.append)
    assert output.text == whole[: whole.index(stop)].rstrip()
    assert stop not in "".join(pieces)
    assert output.finish == "stop"


def test_a_picture_and_a_region_change_what_is_read(planner: VitronPlanner) -> None:
    box = DrawnRegion(Region.from_box(0.1, 0.1, 0.2, 0.2).to_mask(64, 64))
    other: list[Turn] = [UserTurn("what is it?", (PICTURE.flip(0),), (ASK[0].regions[0],))]  # type: ignore[union-attr]
    moved: list[Turn] = [UserTurn("what is it?", (PICTURE,), (box,))]
    with torch.inference_mode():
        states = [
            planner.model.hidden(planner.embed(planner.processor.serialise(t)))[0, -1] for t in (ASK, other, moved)
        ]
    assert not torch.allclose(states[0], states[1], atol=1e-3)
    assert not torch.allclose(states[0], states[2], atol=1e-4)


def test_a_video_is_its_mean_and_its_frames_in_order(planner: VitronPlanner) -> None:
    model = planner.model
    video = torch.stack([PICTURE.roll(5 * shift, 2) for shift in range(9)])
    with torch.inference_mode():
        forward, backward, still = (
            planner.features.encode(clip).tokens[0].view(5, 16, 256) for clip in (video, video.flip(0), video[:1])
        )
        pictures = model.encode_pictures(video[[0, 3, 5, 8]]).tokens
        assert model.video_tokens == 80
        marks = model.adapter.video_time
        patches = model.encode_pictures(video[[0, 3, 5, 8]]).patches[None, ..., : model.d_vision]
        motion = 0 if model.motion is None else model.motion(patches, model.pool)[0]
        assert torch.allclose(forward[1:], pictures + motion + marks[1:, None], atol=1e-5)
        assert torch.allclose(forward[0], pictures.mean(0) + marks[0], atol=1e-5)
        assert not torch.allclose(forward[1], backward[1], atol=1e-3)  # the order can be told from the frames
        assert torch.allclose(still[1] - marks[1], still[4] - marks[4], atol=1e-5)  # one frame, four times
        states = [
            model.hidden(planner.embed(planner.processor.serialise([UserTurn("what happens?", videos=(clip,))])))
            for clip in (video, video.flip(0))
        ]
    assert not torch.allclose(states[0][0, -1], states[1][0, -1], atol=1e-4)


def test_what_follows_a_video_is_told_from_a_prefix(planner: VitronPlanner) -> None:
    video = torch.stack([PICTURE, PICTURE.flip(1)])
    first: list[Turn] = [UserTurn("what happens?", videos=(video,))]
    output = planner.reply(first, (), Settings(12))
    turns: list[Turn] = [*first, AssistantTurn(output.text), UserTurn("and then?")]
    again = VitronPlanner(planner.model, planner.vocabulary, prefix_bytes=0)
    assert planner.reply(turns, (), Settings(12)).text == again.reply(turns, (), Settings(12)).text


def test_cancelling_stops_at_once(planner: VitronPlanner) -> None:
    with pytest.raises(Cancelled):
        planner.reply(ASK, Module, Settings(50, cancelled=lambda: True))


def test_settings_and_conversations_that_cannot_be(planner: VitronPlanner) -> None:
    with pytest.raises(InputError, match="max_new_tokens is 0"):
        Settings(0)
    with pytest.raises(InputError, match="temperature is -1"):
        Settings(temperature=-1)
    with pytest.raises(InputError, match="temperature is nan"):
        Settings(temperature=math.nan)
    with pytest.raises(InputError, match="seed is 18446744073709551616"):
        Settings(seed=2**64)
    with pytest.raises(InputError, match="must end with .* not with nothing"):
        planner.reply([])
    with pytest.raises(InputError, match="must end with .* not with a reply"):
        planner.reply([UserTurn("hi"), AssistantTurn("Hello.")])


@pytest.fixture(scope="module")
def folder(model: PlannerModel, vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planner on disk, in half precision."""
    path = tmp_path_factory.mktemp("planner")
    half = PlannerModel.new(model.llava.config)
    half.load_state_dict(model.state_dict())
    half.half().save(path)
    vocabulary.tokenizer.save_pretrained(path)
    return path


def test_a_saved_planner_loads_as_it_was(planner: VitronPlanner, folder: Path) -> None:
    again = VitronPlanner.from_pretrained(folder)
    wanted = planner.model.state_dict()
    for name, value in again.model.state_dict().items():
        assert value.dtype is torch.float32
        assert torch.equal(value, wanted[name].half().float()), name
    assert again.vocabulary.tags == planner.vocabulary.tags


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "extra.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_damaged_folder_is_named(folder: Path, tmp_path: Path, name: str, damage: str) -> None:
    broken = tmp_path / "planner"
    shutil.copytree(folder, broken)
    if damage == "missing":
        (broken / name).unlink()
    else:
        data = (broken / name).read_bytes()
        (broken / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=re.escape(str(broken / name)) + ".*(restore|train)"):
        VitronPlanner.from_pretrained(broken)


@pytest.mark.parametrize(
    ("part", "field", "value"), [("text_config", "hidden_size", 128), ("vision_config", "num_hidden_layers", 5)]
)
def test_weights_of_another_shape_are_named(folder: Path, tmp_path: Path, part: str, field: str, value: int) -> None:
    broken = tmp_path / "planner"
    shutil.copytree(folder, broken)
    config = json.loads((broken / "config.json").read_text())
    config[part][field] = value
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="model.safetensors"):
        VitronPlanner.from_pretrained(broken)


def test_a_foreign_tokenizer_is_named(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "planner"
    shutil.copytree(folder, broken)
    other = PlannerModel.new(tiny_planner_config(700, 10, 11))
    other.save(broken)
    with pytest.raises(CheckpointError, match="tokenizer.json has .* tokens, the weights 700"):
        VitronPlanner.from_pretrained(broken)


def test_the_mean_over_time_alone_can_be_shown(planner: VitronPlanner) -> None:
    """The paper's way, over the same weights; the planner itself goes on seeing frames."""
    clip = torch.stack([PICTURE, PICTURE.flip(-1), PICTURE.flip(-2), PICTURE.flip(0)])
    mean = planner.without_frames()
    whole, alone = planner.features.encode(clip), mean.features.encode(clip)
    count = planner.model.image_tokens
    assert (mean.processor.video_tokens, planner.processor.video_tokens) == (count, planner.model.video_tokens)
    assert planner.model.video_tokens > count
    assert torch.equal(alone.tokens, whole.tokens[:, :count])
    assert torch.equal(alone.patches, whole.patches)
    assert mean.model.language_model is planner.model.language_model
    output = mean.reply([UserTurn("what moves?", videos=(clip,))], settings=Settings(8))
    assert output.prompt_tokens == len(mean.processor.serialise([UserTurn("what moves?", videos=(clip,))]).ids)


def test_the_same_picture_is_told_apart_by_its_number(planner: VitronPlanner) -> None:
    """What a picture shows is known once; where it stands in the conversation is added each time."""
    adapter = planner.model.adapter
    assert adapter is not None
    with torch.inference_mode():
        before = adapter.number.clone()
        adapter.number.copy_(torch.arange(float(len(before)))[:, None].expand_as(before))
        try:
            once = planner.features.encode(PICTURE).tokens[0]
            for number in (1, 2, len(before), len(before) + 3):
                turns = [UserTurn("look", (PICTURE,)) for _ in range(number)]
                prompt = planner.processor.serialise([turn for each in turns for turn in (each, AssistantTurn("Yes."))])
                places = [i for i, token in enumerate(prompt.ids) if token == planner.vocabulary.tags["<image>"]]
                told = planner.embed(prompt)[0, places[-16:]]
                assert torch.allclose(told, once + min(number, len(before)) - 1, atol=1e-5), number
        finally:
            adapter.number.copy_(before)


def test_what_is_forgotten_keeps_its_number(planner: VitronPlanner) -> None:
    turns = [UserTurn("look", (PICTURE,)), AssistantTurn("Yes."), UserTurn("and here?", (PICTURE, PICTURE))]
    assert [shown.number for shown in planner.processor.serialise(turns).media] == [1, 2, 3]
    assert [shown.number for shown in planner.processor.serialise(turns, forgotten=2).media] == [1, 2, 3]
