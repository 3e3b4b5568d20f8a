"""Calls about videos do what their results show, refusals call nothing, and wordings are wide and split."""

import random
import re
from collections.abc import Iterator

import pytest

from tests.shapes.conversations import samples, video_talks
from vitron_agent.invocation import Invocation, Module, parse_edit, parse_reply, render_invocation
from vitron_agent.media import Region
from vitron_agent.shapes.clip import FRAMES, Clip, is_sound
from vitron_agent.shapes.language import Split, heldout_ids, phrasebook
from vitron_agent.shapes.scene import clashes
from vitron_agent.shapes.tasks import TASKS, TRACK_ALIKE, VIDEO_TASKS, Conversation, Turn, sample_conversation
from vitron_agent.shapes.tasks_refer import fits, read_words, resolve, target_of

NO_VIDEO = "There is no video in this conversation yet: please send one."


def replayed(conversation: Conversation) -> Iterator[tuple[Invocation, Clip, int, Region | None, Turn]]:
    """Every call about a video with that video, its number, the drawn region and the result's turn."""
    videos: list[Clip] = []
    drawn = None
    for turn, following in zip(conversation.turns, [*conversation.turns[1:], conversation.turns[-1]], strict=True):
        if turn.role == "user":
            drawn = turn.regions[-1] if turn.regions else None
        if turn.invocation is not None and turn.invocation.module in (Module.E, Module.F):
            number = turn.invocation.media or len(videos)
            region = drawn if turn.invocation.uses_drawn_region else None
            yield turn.invocation, videos[number - 1], number, region, following
        videos += turn.clips


@pytest.mark.parametrize("task", VIDEO_TASKS)
def test_every_call_is_read_back(task: str) -> None:
    for conversation in samples(task):
        for turn in conversation.turns:
            if turn.invocation is not None:
                reply = parse_reply(f"{turn.text} {render_invocation(turn.invocation)}")
                assert (reply.problems, reply.repairs) == ((), ())
                assert (reply.text, reply.invocations) == (turn.text, (turn.invocation,))


def test_every_track_follows_one_object_to_its_last_place() -> None:
    regions = earlier = 0
    for conversation in video_talks():
        for call, clip, number, drawn, result in replayed(conversation):
            if call.module is not Module.E:
                continue
            index = target_of(clip.scene, call.command, drawn)
            boxes = [clip.at(frame).objects[index].box for frame in (0, FRAMES - 1)]
            first, last = (f"({', '.join(f'{side:.2f}' for side in box)})" for box in boxes)
            assert result.text == f"Result: {call.command} in video {number}, from {first} to {last}."
            assert not result.clips
            regions += drawn is not None
            earlier += call.media is not None
    assert regions > 30
    assert earlier > 5


def test_every_edit_does_what_its_new_video_shows() -> None:
    kinds = set()
    for conversation in video_talks():
        for call, clip, _, _, result in replayed(conversation):
            if call.module is not Module.F:
                continue
            kinds.add((bool(call.command), call.background is not None))
            assert result.text == "Result: done."
            (after,) = result.clips
            assert (after.motions, is_sound(after)) == (clip.motions, True)
            objects = list(clip.scene.objects)
            if call.command:
                edit = parse_edit(call.command)
                assert edit.target is not None
                assert edit.new is not None
                index, wanted = target_of(clip.scene, edit.target), read_words(edit.new)
                assert fits(after.scene.objects[index], wanted)
                assert not fits(objects[index], wanted)
                objects[index] = after.scene.objects[index]
            assert tuple(objects) == after.scene.objects
            ground = parse_edit(call.background).new if call.background else clip.scene.background
            assert after.scene.background == ground
            if call.background:
                assert ground != clip.scene.background
                assert not any(clashes(o.colour, after.scene.background) for o in after.scene.objects)
    assert kinds == {(True, False), (False, True), (True, True)}


def test_facts_are_those_of_the_calls() -> None:
    for conversation in video_talks():
        calls = [
            turn.facts for turn in conversation.turns if turn.invocation and turn.invocation.module is not Module.A
        ]
        for facts, (call, clip, number, drawn, result) in zip(calls, replayed(conversation), strict=True):
            assert facts["video"] == number
            if call.module is Module.E:
                assert (facts["kind"], facts["clip"]) == ("track", clip)
                assert facts["target"] == target_of(clip.scene, call.command, drawn)
            else:
                assert (facts["kind"], facts["before"], (facts["after"],)) == ("edit_video", clip, result.clips)
                fields = {"replace": (True, False), "background": (False, True), "both": (True, True)}
                assert fields[facts["operation"]] == (bool(call.command), call.background is not None)


def test_the_number_of_a_video_is_given_only_where_it_is_not_the_latest() -> None:
    numbered = 0
    for conversation in samples("dialogue_video"):
        count = 0
        for turn in conversation.turns:
            if turn.invocation is not None and turn.invocation.media is not None:
                numbered += 1
                assert 1 <= turn.invocation.media < count
            count += len(turn.clips)
    assert numbered > 10


def test_regions_are_drawn_only_where_a_call_means_them() -> None:
    for conversation in video_talks():
        for turn, following in zip(conversation.turns, conversation.turns[1:], strict=False):
            if turn.role == "user":
                call = following.invocation
                assert len(turn.regions) == (call is not None and call.uses_drawn_region)


def test_what_is_not_there_is_refused() -> None:
    absent = alone = 0
    for conversation in (*samples("refuse"), *samples("dialogue_video")):
        latest: Clip | None = None
        for turn in conversation.turns:
            latest = turn.clips[-1] if turn.clips else latest
            if turn.text == NO_VIDEO:
                alone += 1
                assert latest is None
                assert (turn.invocation, turn.facts["reason"]) == (None, "no video")
            elif turn.facts.get("reason") == "missing object" and latest is not None:
                absent += 1
                found = re.fullmatch(r"The (.+) is not in the video\.", turn.text)
                assert found
                assert resolve(latest.scene, found[1]) == ()
    assert alone > 20
    assert absent > 20


def test_a_dialogue_has_chains_pronouns_and_further_turns() -> None:
    users = [turn for c in samples("dialogue_video") for turn in c.turns if turn.role == "user"]
    assert sum(len(turn.facts["steps"]) == 2 for turn in users) > 60
    assert sum(bool(re.search(r"\bit\b", turn.text)) for turn in users) > 60
    counts = {sum(turn.role == "user" for turn in c.turns) for c in samples("dialogue_video")}
    assert {1, 2, 3} <= counts


def test_training_never_uses_a_held_out_wording() -> None:
    for task in VIDEO_TASKS:
        assert heldout_ids().isdisjoint(name for c in samples(task) for name in c.template_ids)
        assert all(not heldout_ids().isdisjoint(c.template_ids) for c in samples(task, "heldout"))


SPLITS: tuple[Split, ...] = ("train", "heldout")


def video_families() -> list[str]:
    """The families that only conversations about videos use."""
    names = (
        r"(track|recolour\.clip|reshape\.clip|ground\.clip|both|way|does|what\.goes|which\.moves|count\.moves|no\.video"
    )
    names += r"|where\.(end|start)|describe\.clip|moves|go|def\.mov|in\.clip)(\b|\.|es|ing)"
    return [name for name in phrasebook() if re.match(names, name)]


def test_the_wording_is_wide_and_some_is_held_out() -> None:
    templates = [t for name in video_families() for t in phrasebook()[name].templates]
    assert len(templates) > 500
    assert 0.06 < sum(t.heldout for t in templates) / len(templates) < 0.3


SLOTS = {
    **dict.fromkeys(("track", "way", "does.move", "where.end", "where.start"), ("x",)),
    "recolour.clip": ("x", "colour"),
    "reshape.clip": ("x", "shape"),
    "ground.clip": ("ground",),
    "both.clip": ("x", "colour", "ground"),
    "does.go": ("x", "go", "moves"),
    "what.goes": ("moves",),
    "def.moves": ("moves",),
    "def.moving": ("noun",),
    "in.clip.n": ("n", "nth"),
    "no.video": ("x", "colour", "shape", "shape2", "ground"),
}
"""What the makers fill in, by family; its `.full` and `.in` forms take the same."""


def test_every_template_can_be_said() -> None:
    for name in video_families():
        filled = {*SLOTS.get(name.removesuffix(".full").removesuffix(".in"), ()), *phrasebook()}
        for template in phrasebook()[name].templates:
            assert set(re.findall(r"{([^}]+)}", template.text)) <= filled, template.text


def test_every_family_is_in_use() -> None:
    used = {template.split(":")[0] for c in (*video_talks(), *samples("refuse")) for template in c.template_ids}
    assert set(video_families()) <= used


def test_alike_objects_are_played_by_name_only_and_told_apart_by_the_region() -> None:
    assert TRACK_ALIKE not in TASKS
    for seed in range(8):
        conversation = sample_conversation(random.Random(f"alike {seed}"), "heldout", TRACK_ALIKE)
        ((call, clip, _, drawn, _),) = replayed(conversation)
        assert (call.module, call.uses_drawn_region) == (Module.E, True)
        first, second = clip.scene.objects[:2]
        assert (first.shape, first.colour, first.size) == (second.shape, second.colour, second.size)
        assert target_of(clip.scene, call.command, drawn) in (0, 1)
