"""What is said about a video must be true of its clip, judged here from the objects' boxes."""

import random
import re
from collections.abc import Iterator

import pytest

from tests.shapes.conversations import video_talks
from vitron_agent.shapes.clip import FRAMES, MOTIONS, Clip, sample_clip
from vitron_agent.shapes.language import Writer
from vitron_agent.shapes.tasks_refer import resolve, target_of
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Facts
from vitron_agent.shapes.tasks_video_ask import point_in_clip
from vitron_agent.shapes.tasks_words import Reference


def does(clip: Clip, index: int) -> str:
    """What an object does, from its boxes in the first and the last frame."""
    first, last = clip.at(0).objects[index], clip.at(FRAMES - 1).objects[index]
    if abs(last.r - first.r) > 0.01:
        return "grows" if last.r > first.r else "shrinks"
    dx, dy = last.x - first.x, last.y - first.y
    if max(abs(dx), abs(dy)) < 0.01:
        return "stands still"
    return f"moves {('left' if dx < 0 else 'right') if abs(dx) > abs(dy) else ('up' if dy < 0 else 'down')}"


def movers(clip: Clip) -> list[str]:
    """Colour and shape of all objects that change their place."""
    return sorted(
        f"{o.colour} {o.shape}" for i, o in enumerate(clip.scene.objects) if does(clip, i).startswith("moves")
    )


def asked(question: str) -> Iterator[tuple[Clip, str, Facts]]:
    """Clip, answer and facts of every question of a kind; at least twenty of them."""
    seen = 0
    for conversation in video_talks():
        for turn in conversation.turns:
            for facts in turn.facts.get("steps", ()):
                if facts.get("question") == question:
                    seen += 1
                    yield facts["clip"], facts["answer"], facts
    assert seen >= 20, question


def only(clip: Clip, phrase: str) -> int:
    """The one object of the first frame that an answer speaks of."""
    return target_of(clip.scene, phrase[0].lower() + phrase[1:])


def test_every_answer_is_said_and_holds_its_words() -> None:
    for conversation in video_talks():
        said = " ".join(turn.text for turn in conversation.turns if turn.role == "assistant")
        for turn in conversation.turns:
            for facts in turn.facts.get("steps", ()):
                if facts["kind"] == "ask":
                    assert facts["answer"][1:] in said  # behind "In video 1," it begins with a small letter
                    assert facts["must"]
                    for word in facts["must"]:
                        assert re.search(rf"\b{word}\b", facts["answer"], re.IGNORECASE), facts


def test_ways_are_right() -> None:
    ways = set()
    for clip, answer, _ in asked("way"):
        found = re.fullmatch(r"(The .+?) (moves \w+|grows|shrinks|stands still)\.", answer)
        assert found
        assert found[2] == does(clip, only(clip, found[1]))
        ways.add(found[2])
    assert len(ways) == 7


@pytest.mark.parametrize("question", ["does move", "does go"])
def test_yes_and_no_are_right(question: str) -> None:
    said = set()
    for clip, answer, facts in asked(question):
        found = re.fullmatch(r"(The .+?) (moves \w+|grows|shrinks|stands still), so (yes|no)\.", answer)
        assert found
        real = does(clip, only(clip, found[1]))
        assert found[2] == real
        if question == "does move":
            assert (found[3] == "yes") == real.startswith("moves")
        assert facts["must"] == (found[3],)
        said.add(found[3])
    assert said == {"yes", "no"}


def test_who_moves_is_right() -> None:
    for clip, answer, _ in asked("which moves"):
        assert sorted(re.findall(r"the (\w+ \w+)", answer)) == movers(clip)
        assert bool(movers(clip)) != (answer == "What moves: nothing.")
        assert answer.startswith("What moves: ")


def test_what_does_one_thing_is_right() -> None:
    for clip, answer, facts in asked("what goes"):
        motion = facts["motion"]
        verb = {"grow": "grows", "shrink": "shrinks", "still": "stands still"}.get(motion, f"moves {motion}")
        wanted = [f"{o.colour} {o.shape}" for i, o in enumerate(clip.scene.objects) if does(clip, i) == verb]
        assert sorted(re.findall(r"the (\w+ \w+)", answer)) == sorted(wanted)
        assert answer.startswith(f"What {verb}: ")


def test_the_number_of_movers_is_right() -> None:
    for clip, answer, _ in asked("count moves"):
        total = len(movers(clip))
        assert answer.endswith("so 1 object moves." if total == 1 else f"so {total or 'no'} objects move.")
        assert sorted(re.findall(r"the (\w+ \w+)", answer)) == movers(clip)


@pytest.mark.parametrize(("when", "frame"), [("start", 0), ("end", FRAMES - 1)])
def test_places_are_right(when: str, frame: int) -> None:
    for clip, answer, facts in asked(f"where {when}"):
        found = re.fullmatch(rf"(The .+) ((?:on|at|in) the [\w ]+) at the {when}\.", answer)
        assert found
        place = clip.at(frame).objects[only(clip, found[1].removesuffix(" is"))].place
        assert facts["must"] == tuple(place.split())
        assert all(word in found[2] for word in place.split())


def test_descriptions_are_whole_and_right() -> None:
    for clip, answer, _ in asked("describe video"):
        for index, obj in enumerate(clip.scene.objects):
            assert f"{obj.phrase} {does(clip, index)}" in answer
        assert answer.endswith(f" {clip.scene.background} background.")


@pytest.mark.parametrize("question", ["colour", "count", "background", "missing"])
def test_what_does_not_change_is_asked_of_the_first_frame(question: str) -> None:
    for clip, answer, facts in asked(question):
        assert facts["scene"] == clip.scene
        if question == "background":
            assert answer == f"The background is {clip.scene.background}."
        elif question == "missing":
            found = re.fullmatch(r"The (.+) is not in the video\.", answer)
            assert found
            assert resolve(clip.scene, found[1]) == ()
        elif question == "colour":
            assert facts["must"][0] in {o.colour for o in clip.scene.objects}
        elif found := re.fullmatch(r"There (?:is|are) (\d) objects?\.", answer):
            assert int(found[1]) == len(clip.scene.objects)


def test_the_size_of_what_grows_or_shrinks_is_not_asked() -> None:
    for clip, answer, _ in asked("size"):
        found = re.fullmatch(r"(The .+?) is (small|large)\.", answer)
        assert found
        index = only(clip, found[1])
        assert clip.scene.objects[index].size == found[2]
        assert does(clip, index) not in ("grows", "shrinks")


def pointed(seed: int) -> tuple[Clip, Reference, dict[str, str]] | None:
    """A reference into a clip, with the families of motions (and the noun's) that its wording used."""
    session = Session(Writer(random.Random(seed), "train"))
    session.upload_clip(sample_clip(session.writer.rng))
    found = point_in_clip(session, 0)
    families = dict(name.split(":")[0].split(".", 1) for name in session.writer.used if "." in name.split(":")[0])
    return None if found is None else (session.clip, found, families)


def test_references_by_motion_are_true_of_one_object_and_name_it_plainly() -> None:
    verbs = {"grow": "grows", "shrink": "shrinks", "still": "stands still"}
    seen: set[str] = set()
    for seed in range(2500):
        made = pointed(seed)
        if made is None:
            continue
        clip, found, families = made
        assert resolve(clip.scene, found.phrase) == (found.index,)
        others = [i for i in range(len(clip.motions)) if i != found.index]
        if motion := families.get("moves"):
            seen.add(motion)
            verb = verbs.get(motion, f"moves {motion}")
            assert does(clip, found.index) == verb
            assert all(does(clip, i) != verb for i in others)
        elif families.get("def") == "moving":
            seen.add("moving")
            shape = families.get("word")
            rivals = [i for i in others if shape in (None, clip.scene.objects[i].shape)]
            assert does(clip, found.index).startswith("moves")
            assert all(does(clip, i) == "stands still" for i in rivals)
        else:
            continue
        obj = clip.scene.objects[found.index]
        assert f"{obj.colour} {obj.shape}" in found.phrase
    assert seen == {*MOTIONS, "still", "moving"}
