"""What the drills in seeing say is true of their pictures and videos."""

import random
import re
from collections import Counter

from vitron_agent.planner import AssistantTurn, UserTurn
from vitron_agent.planner.processor import Turn
from vitron_agent.shapes.captions import PLACE_WORDS
from vitron_agent.shapes.clip import FRAMES
from vitron_agent.shapes.scene import SHAPES, relation
from vitron_agent.shapes.tasks_refer import resolve
from vitron_agent.shapes.tasks_video_ask import motion_of
from vitron_agent.training.planner_facts import alike_scene, clip_facts, facts, table, tally


def both(turns: list[Turn]) -> tuple[UserTurn, AssistantTurn]:
    """The two turns of a drill."""
    shown, answer = turns
    assert isinstance(shown, UserTurn)
    assert isinstance(answer, AssistantTurn)
    return shown, answer


def pairs(turns: list[Turn]) -> tuple[UserTurn, list[tuple[str, str]]]:
    """The user's turn, and each query with its answer."""
    shown, answer = both(turns)
    queries = shown.text.removeprefix("facts ").split(", ")
    entries = answer.text.removesuffix(".").split(", ")
    assert len(queries) == len(entries)
    assert all(entry.startswith(query + " ") for query, entry in zip(queries, entries, strict=True))
    return shown, [(query, entry[len(query) + 1 :]) for query, entry in zip(queries, entries, strict=True)]


def test_facts_are_true() -> None:
    kinds = Counter[str]()
    for seed in range(80):
        turns = facts(random.Random(seed))
        kinds["earlier"] += len(turns) > 2
        for scene, query, answer in (
            (shown.pictures[0], *fact)
            for i in range(0, len(turns), 2)
            for shown, found in (pairs(turns[i : i + 2]),)
            for fact in found
        ):
            if match := re.fullmatch(r"(color|shape|size|place) of ((?:(?! to ).)+)", query):
                kinds[match[1]] += 1
                indices = resolve(scene, match[2])
                assert len(indices) == (answer != "none")
                for obj in (scene.objects[i] for i in indices):
                    values = {"color": obj.colour, "shape": obj.shape, "size": obj.size}
                    assert answer == values.get(match[1], PLACE_WORDS[obj.place][0])
            elif match := re.fullmatch(r"size of (.+) to (.+)", query):
                kinds["larger"] += 1
                a, b = (scene.objects[resolve(scene, words)[0]] for words in match.groups())
                assert answer == ("larger" if a.r > b.r else "smaller")
            elif match := re.fullmatch(r"(.+) to (.+)", query):
                kinds["related"] += 1
                a, b = (scene.objects[resolve(scene, words)[0]] for words in match.groups())
                assert all(word in relation(a, b) for word in re.findall("left of|right of|above|below", answer))
            elif match := re.fullmatch(r"(left of|right of|above|below) (.+)", query):
                kinds["beside"] += 1
                wanted = resolve(scene, f"object {match[1]} the {match[2]}")
                assert (answer == "nothing") == (not wanted)
                assert all(scene.objects[i].shape in answer for i in wanted)
            elif query == "objects":
                assert int(answer) == len(scene.objects)
            elif query == "background":
                assert answer == scene.background
            else:  # an extreme, or a place
                kinds["where"] += 1
                assert answer == "nothing" or any(f"{o.colour} {o.shape}" in answer for o in scene.objects)
    assert min(kinds.values()) > 10
    assert set(kinds) == {"color", "shape", "size", "place", "larger", "related", "beside", "where", "earlier"}


def test_facts_of_clips_are_true() -> None:
    for seed in range(60):
        shown, found = pairs(clip_facts(random.Random(seed)))
        (clip,) = shown.videos
        for query, answer in found:
            what, _, phrase = query.partition(" of ")
            if what == "way":
                indices = resolve(clip.scene, phrase)
                assert answer == (motion_of(clip, indices[0]) if indices else "none")
            elif what in ("start", "end"):
                (index,) = resolve(clip.scene, phrase)
                obj = clip.at(0 if what == "start" else FRAMES - 1).objects[index]
                assert answer == PLACE_WORDS[obj.place][0]
            elif query.startswith("who "):
                doers = [i for i in range(len(clip.motions)) if motion_of(clip, i) == query.removeprefix("who ")]
                assert (answer == "nothing") == (not doers)
                assert all(clip.scene.objects[i].colour in answer for i in doers)


def test_a_tally_counts_what_each_phrase_means() -> None:
    counts = Counter[str]()
    for seed in range(60):
        shown, answer = both(tally(random.Random(seed)))
        (scene,) = shown.pictures
        for entry in answer.text.rstrip(".").split(", "):
            phrase, count = entry.rsplit(" ", 1)
            assert phrase in shown.text
            assert int(count) == len(resolve(scene, phrase))
            counts[count] += 1
    assert 0.2 < counts["0"] / counts.total() < 0.6


def test_a_table_says_for_every_shape_what_is_there() -> None:
    kinds = Counter[str]()
    for seed in range(60):
        shown, answer = both(table(random.Random(seed)))
        (scene,) = shown.pictures
        keys = shown.text.removeprefix("table ").split(", ")
        entries = answer.text.removesuffix(".").split(", ")
        if set(keys) == set(SHAPES):
            kinds["shape"] += 1
            for key, entry in zip(keys, entries, strict=True):
                colours = [o.colour for o in sorted(scene.objects, key=lambda o: o.x) if o.shape == key]
                assert entry == f"{key} {' and '.join(colours) or 'none'}"
        else:
            kinds["other"] += 1
            assert sum(entry.endswith("none") for entry in entries) >= len(keys) - len(scene.objects)
    assert kinds["shape"] > kinds["other"] > 5


def test_alike_scenes_hold_objects_that_share_a_colour_or_a_shape() -> None:
    scenes = [alike_scene(random.Random(seed)) for seed in range(200)]
    assert sum(len({o.shape for o in s.objects}) < len(s.objects) for s in scenes) > 60
    assert sum(len({o.colour for o in s.objects}) < len(s.objects) for s in scenes) > 40
