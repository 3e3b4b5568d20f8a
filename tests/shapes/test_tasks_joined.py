"""Several wishes in one sentence: both are carried out, the words say both, and what the second means stays clear."""

import random
import re
from itertools import pairwise

import pytest

from vitron_agent.shapes.language import Writer
from vitron_agent.shapes.scene import Obj, Scene
from vitron_agent.shapes.tasks import resolve, sample_conversation
from vitron_agent.shapes.tasks_joined import change_two
from vitron_agent.shapes.tasks_refer import target_of
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_words import is_between, point_at


def samples(task: str, split: str = "train", count: int = 120):
    rng = random.Random(f"{task} {split}")
    return [sample_conversation(rng, split, task) for _ in range(count)]


def obj(x: float, y: float = 0.5, shape: str = "circle", colour: str = "red") -> Obj:
    return Obj(shape, colour, "small", x, y, 0.1, (200, 30, 30))


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_two_changes_are_two_calls_of_the_editor(split):
    for talk in samples("change_two", split):
        calls = [turn.invocation for turn in talk.turns if turn.invocation]
        assert [call.module.value for call in calls] == ["C", "C"]
        (user,) = (turn for turn in talk.turns if turn.role == "user")
        assert len(user.facts["steps"]) == 2


def test_every_kind_of_pair_occurs():
    operations = {tuple(f["operation"] for f in talk.turns[0].facts["steps"]) for talk in samples("change_two")}
    assert operations == {("replace", "replace"), ("replace", "background"), ("remove", "remove"), ("add", "add")}


def test_the_second_target_is_still_one_object_after_the_first_change():
    for talk in samples("change_two"):
        first, second = talk.turns[0].facts["steps"]
        assert second["before"] == first["after"]
        if second["target"] is not None:
            last = [turn.invocation for turn in talk.turns if turn.invocation][-1]
            words = last.command.removeprefix("replace ").removeprefix("remove ").split(" with ")[0]
            assert target_of(second["before"], words) == second["target"]


def test_each_of_two_changes_can_be_taken_back():
    played = 0
    for seed in range(40):
        session = Session(Writer(random.Random(seed), "train"))
        session.upload(Scene("gray", (obj(0.25), obj(0.75, shape="star", colour="blue"))))
        if change_two(session):
            played += 1
            assert (session.current, session.trail) == (3, [1, 2])
    assert played > 5


def test_two_questions_get_two_different_answers_in_their_order():
    for task in ("ask_twice", "ask_twice_video"):
        for talk in samples(task, count=60):
            user, reply = talk.turns
            first, second = user.facts["steps"]
            assert reply.text == f"(1 of 2) {first['answer']} (2 of 2) {second['answer']}"
            assert first["answer"] != second["answer"]


def test_a_request_made_again_does_the_same_to_another_object():
    for talk in samples("same_again", count=200):
        users = [turn for turn in talk.turns if turn.role == "user"]
        first, second = (turn.facts["steps"][0] for turn in users[:2])
        assert first["kind"] == second["kind"]
        if first["kind"] == "segment":
            assert first["targets"] != second["targets"]
        elif first["kind"] == "ask":
            assert first["question"] == second["question"]
        else:
            assert first["operation"] == second["operation"]
            assert second["before"] == first["after"]
        if first.get("operation") == "replace":
            its, mine = (facts["after"].objects[facts["target"]] for facts in (first, second))
            assert any(getattr(its, name) == getattr(mine, name) for name in ("colour", "shape", "size"))


def test_the_other_one_is_told_apart_from_the_one_before():
    told = 0
    for talk in samples("same_again", count=200):
        for before, turn in pairwise(talk.turns):
            match = re.match(r"Besides the (.+) there is the ([^:]+):", turn.text)
            if turn.role == "assistant" and match:
                scene = [scene for said in talk.turns[: talk.turns.index(turn)] for scene in said.scenes][-1]
                assert [len(resolve(scene, words)) for words in match.groups()] == [1, 1]
                assert resolve(scene, match[1]) != resolve(scene, match[2])
                assert before.role == "user"
                told += 1
    assert told > 20


def test_objects_called_ones_stand_where_it_was_said():
    drawn = [talk for talk in samples("draw", count=1500) if any(i.startswith("ones.") for i in talk.template_ids)]
    assert len(drawn) > 20
    for talk in drawn:
        wishes, scene = talk.turns[0].facts["steps"][0]["objects"], talk.turns[0].facts["steps"][0]["scene"]
        assert len({wish.shape for wish in wishes}) == 1
        assert len({wish.colour for wish in wishes}) == len(wishes) == len(scene.objects)
        assert all(wish.place for wish in wishes)


@pytest.mark.parametrize(
    ("xs", "ys", "middle"),
    [
        ((0.2, 0.5, 0.8), (0.5, 0.5, 0.5), 1),
        ((0.8, 0.2, 0.5), (0.5, 0.5, 0.5), 2),
        ((0.2, 0.25, 0.8), (0.5, 0.5, 0.5), None),  # too near the first
        ((0.2, 0.5, 0.8), (0.2, 0.5, 0.8), None),  # on a slant
        ((0.2, 0.8), (0.5, 0.5), None),
    ],
)
def test_only_the_second_of_three_in_a_row_is_the_middle_one(xs, ys, middle):
    scene = Scene("gray", tuple(obj(x, y) for x, y in zip(xs, ys, strict=True)))
    assert [i for i in range(len(xs)) if is_between(scene, i)] == ([] if middle is None else [middle])


def test_the_middle_one_is_named_in_the_command():
    row = Scene("gray", (obj(0.2), obj(0.5, shape="star"), obj(0.8, colour="blue")))
    found = []
    for seed in range(60):
        session = Session(Writer(random.Random(seed), "train"))
        session.upload(row)
        target = point_at(session, 1)
        if target is not None and any(name.startswith("def.middle") for name in session.writer.used):
            found.append(target)
    assert len(found) > 5
    assert all(resolve(row, target.phrase.removeprefix("the ")) == (1,) for target in found)
