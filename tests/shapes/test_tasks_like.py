"""Requests by example: the truth is the example's own value; the right call says less, and means the target."""

import random

import pytest

from vitron_agent.invocation import Module
from vitron_agent.shapes.check import Wanted, same_objects
from vitron_agent.shapes.language import heldout_ids
from vitron_agent.shapes.scene import COLOURS
from vitron_agent.shapes.tasks_like import LIKE_TASKS, sample_like
from vitron_agent.shapes.tasks_refer import apply, hit


def drawn(kind, number=12, split="train"):
    return [sample_like(random.Random(f"{kind} {i}"), split, kind) for i in range(number)]


@pytest.mark.parametrize("kind", LIKE_TASKS)
def test_a_request_a_call_its_result_and_closing_words(kind):
    for talk in drawn(kind, 5):
        assert [turn.role for turn in talk.turns] == ["user", "assistant", "result", "assistant"]
        facts = talk.turns[0].facts["steps"][0]
        assert facts is talk.turns[1].facts
        assert facts["measure"] == kind
        assert talk.turns[0].text.count("<objs>") == len(talk.turns[0].regions)


@pytest.mark.parametrize("kind", LIKE_TASKS)
def test_held_out_wordings_never_occur_in_training(kind):
    assert all(heldout_ids().isdisjoint(talk.template_ids) for talk in drawn(kind))
    assert all(not heldout_ids().isdisjoint(talk.template_ids) for talk in drawn(kind, split="heldout"))


@pytest.mark.parametrize("kind", ["shade", "size", "picture"])
def test_the_call_names_the_right_outcome_and_nothing_more(kind):
    for talk in drawn(kind):
        facts, call = talk.turns[1].facts, talk.turns[1].invocation
        named = apply(facts["before"], call)
        assert same_objects(named, Wanted.of(facts["after"])).all_ok
        assert talk.turns[2].scenes == (facts["after"],)


def test_the_shade_is_that_of_what_was_marked_and_no_base_colour():
    for talk in drawn("shade"):
        facts, (region,) = talk.turns[1].facts, talk.turns[0].regions
        example = facts["before"].objects[hit(facts["before"], region)]
        assert facts["wanted"].rgb == example.rgb
        assert example is not facts["before"].objects[facts["target"]]
        assert facts["wanted"].rgb not in COLOURS.values()


def test_the_size_is_that_of_what_was_marked_and_another_than_before():
    for talk in drawn("size"):
        facts, (region,) = talk.turns[1].facts, talk.turns[0].regions
        assert facts["wanted"].r == facts["before"].objects[hit(facts["before"], region)].r
        assert facts["wanted"].size != facts["before"].objects[facts["target"]].size


def test_a_click_is_where_the_new_object_goes():
    for talk in drawn("place"):
        facts, ((x, y),) = talk.turns[1].facts, talk.turns[0].regions[0].points
        assert (x, y) == (facts["wanted"].x, facts["wanted"].y)
        assert talk.turns[1].invocation.uses_drawn_region


def test_the_same_as_in_a_picture_is_its_only_object():
    for talk in drawn("picture"):
        example, second = talk.turns[0].scenes
        assert talk.turns[1].facts["wanted"] == example.objects[0]
        assert talk.turns[1].facts["before"] == second


def test_the_speed_is_that_of_the_clip_in_the_way_that_was_asked_for():
    for talk in drawn("speed"):
        facts, call = talk.turns[1].facts, talk.turns[1].invocation
        (motion,) = facts["example"].motions
        own = facts["clip"].motions[facts["target"]]
        assert own.amount == motion.amount
        assert call.module is Module.G
        assert call.command.endswith(own.name)
        assert talk.turns[0].clips == (facts["example"],)


def test_who_moves_to_a_click_ends_there_by_a_call_that_does_not_say_how_far():
    for talk in drawn("reach"):
        facts, call, ((x, y),) = talk.turns[1].facts, talk.turns[1].invocation, talk.turns[0].regions[0].points
        end = facts["clip"].scenes[-1].objects[facts["target"]]
        assert (end.x, end.y) == pytest.approx((x, y))
        assert call.module is Module.G
        assert call.command.endswith(facts["clip"].motions[facts["target"]].name)
        assert call.region is None
        assert not call.uses_drawn_region
