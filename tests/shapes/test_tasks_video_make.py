"""Calls that make videos say what their facts hold and what the new videos show; numbers and wordings are right."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from vitron_agent.invocation import Invocation, Module, parse_reply, render_invocation
from vitron_agent.shapes.clip import MOTIONS, Clip, is_sound
from vitron_agent.shapes.clip_captions import motion_name
from vitron_agent.shapes.clip_words import motions_in
from vitron_agent.shapes.language import Split, heldout_ids
from vitron_agent.shapes.scene import Scene
from vitron_agent.shapes.tasks import FILM_TASKS, Conversation, Turn, apply, sample_conversation
from vitron_agent.shapes.tasks_results import apply_clip, mask_result, track_result
from vitron_agent.shapes.tasks_words import DEFAULT_COLOUR

FEW = 80


@cache
def films(task: str, split: Split = "train") -> tuple[Conversation, ...]:
    """Conversations of one task, the same ones every time."""
    return tuple(sample_conversation(random.Random(f"made {task} {split} {i}"), split, task) for i in range(FEW))


def talks() -> list[Conversation]:
    """Conversations of all four tasks on both sides of the split."""
    return [talk for task in FILM_TASKS for split in ("train", "heldout") for talk in films(task, split)]


@dataclass(frozen=True)
class Made:
    """A call with what there was before it and the turn of its result."""

    call: Invocation
    facts: dict[str, object]
    pictures: tuple[Scene, ...]
    videos: tuple[Clip, ...]
    result: Turn


def calls(conversation: Conversation) -> Iterator[Made]:
    """Every call of a conversation."""
    pictures: tuple[Scene, ...] = ()
    videos: tuple[Clip, ...] = ()
    for turn, following in zip(conversation.turns, (*conversation.turns[1:], conversation.turns[-1]), strict=True):
        if turn.invocation is not None:
            yield Made(turn.invocation, turn.facts, pictures, videos, following)
        pictures, videos = pictures + turn.scenes, videos + turn.clips


def every(module: Module) -> list[Made]:
    """All calls of a module."""
    found = [made for talk in talks() for made in calls(talk) if made.call.module is module]
    assert len(found) > FEW  # or nothing would be tested
    return found


@pytest.mark.parametrize("task", FILM_TASKS)
def test_every_call_is_read_back(task: str) -> None:
    for talk in films(task):
        for turn in talk.turns:
            if turn.invocation is not None:
                reply = parse_reply(f"{turn.text} {render_invocation(turn.invocation)}")
                assert (reply.problems, reply.repairs) == ((), ())
                assert (reply.text, reply.invocations) == (turn.text, (turn.invocation,))


def of_words() -> list[tuple[Made, Made]]:
    """The two calls of every video of words: its first frame, and what sets that in motion."""
    found = [made for talk in talks() for made in calls(talk) if made.facts["kind"] == "film"]
    assert len(found) > FEW
    return list(zip(found[::2], found[1::2], strict=True))


def test_a_video_of_words_begins_with_what_was_wished() -> None:
    for drawn, moved in of_words():
        assert (drawn.call.module, moved.call.module) == (Module.A, Module.G)
        wishes, ground = drawn.facts["objects"], drawn.facts["background"]
        (scene,), (clip,) = drawn.result.scenes, moved.result.clips
        assert clip.scene == scene
        assert moved.pictures[-1] == scene
        assert moved.call.media is None
        assert (drawn.facts, drawn.facts["clip"]) == (moved.facts, clip)
        assert scene.background == (ground or "gray")
        for wish, obj in zip(wishes, scene.objects, strict=True):  # type: ignore[call-overload]
            assert (obj.shape, obj.colour) == (wish.shape, wish.colour or DEFAULT_COLOUR[wish.shape])
            assert wish.size in (None, obj.size)
            assert wish.place in (None, obj.place)


def test_a_video_of_words_moves_as_was_said_and_its_command_says_so() -> None:
    for drawn, moved in of_words():
        (clip,) = moved.result.clips
        assert is_sound(clip)
        motions = tuple(map(motion_name, clip.motions))
        assert set(motions) != {"still"}
        assert motions_in(clip.scene, moved.call.command) == motions
        assert drawn.facts["said"] in (motions, (None,))


def test_where_nothing_is_said_of_motion_one_object_moves_to_the_right() -> None:
    unsaid = [moved for _, moved in of_words() if moved.facts["said"] == (None,)]
    assert unsaid
    for made in unsaid:
        (clip,) = made.result.clips
        assert [motion_name(motion) for motion in clip.motions] == ["right"]


def test_a_picture_that_is_set_in_motion_is_the_first_frame_and_the_command_names_what_moves() -> None:
    moving = Counter[int]()
    for made in every(Module.G):
        if made.facts["kind"] == "film":
            continue
        (clip,) = made.result.clips
        number = made.call.media or len(made.pictures)
        before = made.pictures[number - 1]
        assert (made.facts["kind"], made.facts["picture"], made.facts["before"]) == ("animate", number, before)
        assert (clip.scene, clip.motions) == (before, made.facts["motions"])
        assert is_sound(clip)
        assert motions_in(before, made.call.command) == tuple(map(motion_name, clip.motions))
        moving[sum(motion is not None for motion in clip.motions)] += 1
    assert set(moving) == {1, 2}


def test_the_number_of_a_picture_is_given_only_where_it_is_not_the_latest() -> None:
    for made in every(Module.G):
        assert made.call.media is None or 1 <= made.call.media < len(made.pictures)


def test_all_other_calls_do_what_their_results_show() -> None:
    seen = Counter[str]()
    for talk in talks():
        for made in calls(talk):
            call, result = made.call, made.result
            seen[call.module.letter] += 1
            if call.module in (Module.A, Module.C):
                before = made.pictures[(call.media or len(made.pictures)) - 1] if made.pictures else None
                assert result.scenes == (apply(None if call.module is Module.A else before, call),)
            elif call.module is Module.B:
                number = call.media or len(made.pictures)
                assert result.text == mask_result(made.pictures[number - 1], call.command, number, None)
            elif call.module is Module.E:
                number = call.media or len(made.videos)
                assert result.text == track_result(made.videos[number - 1], call.command, number, None)
            elif call.module is Module.F:
                assert result.clips == (apply_clip(made.videos[(call.media or len(made.videos)) - 1], call),)
    assert set(seen) >= set("ACEFG")


@pytest.mark.parametrize(("task", "counts"), [("film", {1}), ("animate", {1}), ("chain_film", {2, 3, 4})])
def test_a_task_asks_for_so_much_in_one_turn(task: str, counts: set[int]) -> None:
    users = [[turn for turn in talk.turns if turn.role == "user"] for talk in films(task)]
    assert {len(turns) for turns in users} == {1}
    assert {len(turns[0].facts["steps"]) for turns in users} == counts


def test_a_dialogue_goes_on_after_its_video() -> None:
    counts = Counter(sum(turn.role == "user" for turn in talk.turns) for talk in films("dialogue_film"))
    assert set(counts) >= {1, 2, 3, 4}
    for talk in films("dialogue_film"):
        assert Module.G in {made.call.module for made in calls(talk)}


def test_every_motion_is_asked_for() -> None:
    for kind in ("film", "animate"):
        made = [made.result.clips[0] for made in every(Module.G) if made.facts["kind"] == kind]
        assert {motion_name(motion) for clip in made for motion in clip.motions} == {*MOTIONS, "still"}


@pytest.mark.parametrize("task", FILM_TASKS)
def test_training_never_uses_a_held_out_wording(task: str) -> None:
    assert heldout_ids().isdisjoint(name for talk in films(task) for name in talk.template_ids)
    assert all(not heldout_ids().isdisjoint(talk.template_ids) for talk in films(task, "heldout"))
