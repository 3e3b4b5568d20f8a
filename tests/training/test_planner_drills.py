"""What the planner's drills teach is true of their pictures."""

import random

import pytest

from vitron_agent.planner import AssistantTurn, UserTurn
from vitron_agent.shapes import tasks
from vitron_agent.shapes.tasks_refer import resolve
from vitron_agent.training.planner_data import turns_of
from vitron_agent.training.planner_drills import FAILED, failing, inventory, lookup, motions, quick, several, undone


def test_an_inventory_lists_every_object_with_its_box() -> None:
    shown, answer = inventory(random.Random(2))
    assert isinstance(shown, UserTurn)
    assert isinstance(answer, AssistantTurn)
    (scene,) = shown.pictures
    assert answer.text.count("(") == len(scene.objects)
    for obj in scene.objects:
        assert f"{obj.phrase} ({obj.box[0]:.2f}, {obj.box[1]:.2f}, " in answer.text
    assert scene.background in answer.text


def test_a_lookup_names_exactly_the_objects_that_its_phrase_means() -> None:
    counts = set()
    for seed in range(60):
        turns = lookup(random.Random(seed))
        assert isinstance(turns[0], UserTurn)
        (scene,) = turns[0].pictures
        for asked, answer in zip(turns[::2], turns[1::2], strict=True):
            assert isinstance(answer, AssistantTurn)
            found = resolve(scene, asked.text.removeprefix("lookup "))
            counts.add(len(found))
            assert answer.text.startswith(str(len(found)))
            assert answer.text.count("(") == len(found)
            assert all(scene.objects[i].phrase in answer.text for i in found)
    assert counts == {0, 1, 2, 3}


def test_motions_say_what_every_object_of_a_clip_does() -> None:
    shown, answer = motions(random.Random(3))
    assert isinstance(shown, UserTurn)
    assert isinstance(answer, AssistantTurn)
    (clip,) = shown.videos
    for obj, motion in zip(clip.scene.objects, clip.motions, strict=True):
        assert f"{obj.phrase} {motion.name if motion else 'still'}" in answer.text


def test_many_requests_are_about_one_picture_and_what_becomes_of_it() -> None:
    shown = []
    for seed in range(30):
        turns = turns_of(several(random.Random(seed)))
        shown.append([len(turn.pictures) for turn in turns if isinstance(turn, UserTurn)])
        assert shown[-1][0] == 1
        assert isinstance(turns[-1], AssistantTurn)
        assert not turns[-1].invocations  # each request is played to its end
    changed = sum(sum(pictures) > 1 for pictures in shown)
    assert 0 < changed < 20


def test_what_follows_going_back_is_asked_of_the_picture_gone_back_to() -> None:
    for seed in range(10):
        turns = undone(random.Random(seed)).turns
        (back,) = (place for place, turn in enumerate(turns) if turn.facts.get("kind") == "back")
        call = next(turn.invocation for turn in turns[back:] if turn.invocation is not None)
        assert call.media == turns[back].facts["picture"]


def test_quick_questions_call_nothing() -> None:
    turns = turns_of(quick(random.Random(1)))
    replies = [turn for turn in turns if isinstance(turn, AssistantTurn)]
    assert 5 <= len(replies) <= 8
    assert not any(turn.invocations for turn in replies)


@pytest.mark.parametrize("seed", range(12))
def test_a_failed_call_ends_its_turn_in_words(seed: int) -> None:
    turns = turns_of(tasks.sample_conversation(random.Random(seed), "train", "chain"))
    cut = failing(turns, random.Random(seed))
    call = next(i for i, turn in enumerate(turns) if isinstance(turn, AssistantTurn) and turn.invocations)
    result, answer = cut[-2:]
    assert cut[: call + 1] == turns[: call + 1]
    assert isinstance(result, UserTurn)
    assert result.text.startswith("Result: not done: ")
    assert answer == AssistantTurn(FAILED) or (
        answer.text == f"The {result.text.split(chr(39))[1]} is not in the picture."
    )
