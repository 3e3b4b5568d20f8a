"""What a conversation says must be true: by the scenes in its facts, checked here without the code that made it."""

import random
import re
from functools import cache

import pytest

from vitron_agent.invocation import Module, parse_edit, parse_reply, render_invocation
from vitron_agent.media import Region, RegionKind
from vitron_agent.shapes.language import REGION_MARK, heldout_ids
from vitron_agent.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, Obj, Scene, sample_scene
from vitron_agent.shapes.tasks import FILM_TASKS, TASKS, VIDEO_TASKS, apply, resolve, sample_conversation
from vitron_agent.shapes.tasks_layout import all_wishes, free_place, layout
from vitron_agent.shapes.tasks_refer import at_place, hit, is_background, phrase_for, read_words, target_of
from vitron_agent.shapes.tasks_words import drawn_around

TASK_NAMES = tuple(task for task in TASKS if task not in (*VIDEO_TASKS, *FILM_TASKS))
"""Those about pictures; test_tasks_video.py and test_tasks_video_make.py judge the others."""
CORNERS = "left right top bottom centre"


@cache
def samples(task, split="train", count=150):
    rng = random.Random(f"{task} {split}")
    return tuple(sample_conversation(rng, split, task) for _ in range(count))


def everything(split="train"):
    return [
        conversation for task in TASK_NAMES for conversation in samples(task, split, 150 if split == "train" else 40)
    ]


def obj(shape="circle", colour="red", size="large", x=0.5, y=0.5, r=0.18):
    return Obj(shape, colour, size, x, y, r, COLOURS[colour])


TWO = Scene("gray", (obj(x=0.25), obj("star", "blue", "small", 0.75, 0.5, 0.1)))


# Values


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("the red circle", (0,)),
        ("circle", (0,)),
        ("the object", (0, 1)),
        ("small object", (1,)),
        ("the small blue star", (1,)),
        ("the green circle", ()),
        ("the object on the left", (0,)),
        ("rightmost object", (1,)),
        ("largest object", (0,)),
        ("smallest thing", (1,)),
        ("the star right of the red circle", (1,)),
        ("object above the star", ()),
        ("everything", (0, 1)),
        ("the background", ()),
    ],
)
def test_resolve(phrase, wanted):
    assert resolve(TWO, phrase) == wanted


def test_an_unknown_word_is_an_error():
    with pytest.raises(ValueError, match="'cat'"):
        resolve(TWO, "the cat")


def test_a_side_means_exactly_there_before_it_means_that_half():
    scene = Scene("gray", (obj(x=0.2, y=0.2, r=0.1), obj("star", x=0.2, y=0.5, r=0.1)))
    assert resolve(scene, "object on the left") == (1,)
    assert resolve(Scene("gray", scene.objects[:1]), "object on the left") == (0,)


def call(text):
    return parse_reply(text).invocations[0]


def edit(command, region=""):
    return call(f"<module>C</module> <instruction>edit: {command}</instruction>{region}")


def test_apply_replaces_only_what_is_named():
    after = apply(TWO, edit("replace the red circle with a green square"))
    assert (after.objects[0].shape, after.objects[0].colour, after.objects[0].r) == ("square", "green", 0.18)
    assert after.objects[1] == TWO.objects[1]
    assert after.background == "gray"


def test_apply_resizes_and_stays_inside():
    after = apply(
        Scene("gray", (obj("star", "blue", "small", 0.9, 0.5, 0.09),)), edit("replace the star with a large blue star")
    )
    assert after.objects[0].size == "large"
    assert after.objects[0].x + after.objects[0].r <= 0.99


def test_apply_removes_adds_and_changes_the_background():
    assert [o.shape for o in apply(TWO, edit("remove the star")).objects] == ["circle"]
    added = apply(TWO, edit("add a white cross", " <region>(0.40, 0.02, 0.60, 0.22)</region>"))
    assert (added.objects[2].shape, round(added.objects[2].x, 3), round(added.objects[2].r, 3)) == ("cross", 0.5, 0.1)
    assert apply(TWO, edit("change the background to navy")).background == "navy"


def test_apply_takes_the_drawn_region():
    drawn = Region(kind=RegionKind.CLICK, points=((0.76, 0.5),))
    after = apply(TWO, edit("remove the object", " <region><objs></region>"), drawn)
    assert [o.shape for o in after.objects] == ["circle"]


@pytest.mark.parametrize("command", ["remove the square", "remove the object", "change the background to red"])
def test_apply_refuses_what_is_not_one_thing(command):
    with pytest.raises(ValueError, match="means|no background"):
        apply(TWO, edit(command))


def test_an_edit_without_a_picture_is_refused():
    with pytest.raises(ValueError, match="needs a picture"):
        apply(None, edit("remove the star"))


def test_phrase_for_tells_objects_apart():
    rng = random.Random(0)
    for _ in range(200):
        scene = sample_scene(rng)
        for i in range(len(scene.objects)):
            phrase = phrase_for(scene, i)
            assert phrase is None or resolve(scene, phrase) == (i,)


def test_a_drawn_region_means_its_object():
    rng = random.Random(0)
    kinds = set()
    right = 0
    for _ in range(300):
        scene = sample_scene(rng)
        region = drawn_around(scene.objects[-1], rng)
        kinds.add(region.kind)
        right += hit(scene, region) == len(scene.objects) - 1
    assert kinds == {RegionKind.CLICK, RegionKind.BOX, RegionKind.POLYGON, RegionKind.SCRIBBLE}
    assert right >= 297


def test_hit_is_none_in_empty_space():
    assert hit(TWO, Region.from_box(0.45, 0.05, 0.55, 0.15)) is None


# Layouts


def separate(boxes, gap=0.03):
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        assert min(x1, y1) >= 0.0
        assert max(x2, y2) <= 1.0
        for u1, v1, u2, v2 in boxes[:i]:
            assert max(u1 - x2, x1 - u2, v1 - y2, y1 - v2) > gap


@pytest.mark.parametrize("word", ["left of", "right of", "above", "below"])
def test_a_relation_is_clear(word):
    boxes = layout((None, None), (None, None), ((0, word, 1),))
    separate(boxes)
    (ax, ay), (bx, by) = [((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in boxes]
    distance = {"left of": bx - ax, "right of": ax - bx, "above": by - ay, "below": ay - by}[word]
    assert distance >= 0.15


def test_impossible_wishes_have_no_layout():
    assert layout(("large",) * 3, ("left", "centre", "right")) is None
    assert layout((None, None), ("centre", "centre")) is None


def test_pairs_of_places_exist():
    assert len(all_wishes()) >= 56


def test_a_free_place_is_free():
    rng = random.Random(0)
    found = 0
    for _ in range(200):
        scene = sample_scene(rng, 2)
        box = free_place(scene, None)
        if box is not None:
            found += 1
            separate([box, *(o.box for o in scene.objects)])
    assert found > 150


def test_a_free_place_beside_keeps_the_relation():
    box = free_place(TWO, "small", beside=("above", TWO.objects[1]))
    assert box is not None
    assert box[3] <= TWO.objects[1].box[1]
    assert abs((box[0] + box[2]) / 2 - 0.75) < 0.06


# Conversations


@pytest.mark.parametrize("task", TASK_NAMES)
def test_every_call_survives_the_template(task):
    for conversation in samples(task):
        for turn in conversation.turns:
            if turn.invocation is None:
                continue
            reply = parse_reply(f"{turn.text} {render_invocation(turn.invocation)}")
            assert reply.problems == ()
            assert reply.repairs == ()
            assert reply.text == turn.text
            assert reply.invocations == (turn.invocation,)


@pytest.mark.parametrize("task", tuple(TASKS))
def test_turns_follow_each_other(task):
    for conversation in samples(task):
        roles = [turn.role for turn in conversation.turns]
        assert roles[0] == "user"
        assert roles[-1] == "assistant"
        for turn, following in zip(conversation.turns, [*conversation.turns[1:], None], strict=True):
            if turn.role == "assistant" and turn.invocation is not None:
                assert following is not None
                assert following.role == "result"
            elif turn.role == "assistant":
                assert following is None or following.role == "user"
                assert turn.text
            else:
                assert following is not None
                assert following.role == "assistant"
            assert turn.text.count(REGION_MARK) == (len(turn.regions) if turn.role == "user" else 0)


def test_training_and_held_out_templates_are_disjoint():
    used = {name for conversation in everything() for name in conversation.template_ids}
    assert used
    assert heldout_ids().isdisjoint(used)
    for conversation in everything("heldout"):
        assert not heldout_ids().isdisjoint(conversation.template_ids)


def test_wordings_hardly_repeat():
    texts = [
        turn.text.lower() for task in ("draw", "edit", "segment", "ask") for c in samples(task) for turn in c.turns[:1]
    ]
    assert len(set(texts)) > 0.97 * len(texts)


def test_the_same_seed_gives_the_same_conversation():
    assert sample_conversation(random.Random(7), "train") == sample_conversation(random.Random(7), "train")


def steps_of(kind, split="train"):
    """(facts, assistant turns with that step's calls) of every step of a kind."""
    for conversation in everything(split):
        for turn in conversation.turns:
            if turn.role == "assistant" and turn.facts["kind"] == kind:
                yield turn.facts, turn


def test_every_layout_satisfies_its_request():
    seen = 0
    for facts, turn in (pair for split in ("train", "heldout") for pair in steps_of("draw", split)):
        if turn.invocation is None:
            continue
        seen += 1
        entries = turn.invocation.layout
        separate([entry.box for entry in entries])
        assert len(entries) == len(facts["objects"])
        centres = []
        for entry, wish in zip(entries, facts["objects"], strict=True):
            words = read_words(entry.phrase)
            x1, y1, x2, y2 = entry.box
            x, y, r = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2
            centres.append((x, y))
            assert words.shape == wish.shape
            assert words.colour == wish.colour or wish.colour is None
            assert words.size == wish.size
            assert wish.place is None or at_place(obj(x=x, y=y, r=r), wish.place)
            assert wish.size != "small" or 0.09 <= r <= 0.13
            assert wish.size != "large" or 0.15 <= r <= 0.22
            assert f" {entry.phrase}" in turn.invocation.command
        for a, word, b in facts["relations"]:
            dx, dy = centres[b][0] - centres[a][0], centres[b][1] - centres[a][1]
            assert {"left of": dx, "right of": -dx, "above": dy, "below": -dy}[word] >= 0.15
        ground = facts["scene"].background
        assert ground == (facts["background"] or ("navy" if "star on a navy" in turn.invocation.command else "gray"))
        assert turn.invocation.command.endswith(f" {ground} background")
    assert seen > 300


def replayed(conversation):
    """Carry out every call on the scenes so far; yield (call, scene before, drawn region, result turn)."""
    pictures, drawn = [], None
    turns = conversation.turns
    for turn, following in zip(turns, [*turns[1:], None], strict=True):
        if turn.role == "user":
            drawn = turn.regions[-1] if turn.regions else None
        if turn.invocation is not None:
            number = turn.invocation.media or len(pictures)
            yield turn.invocation, pictures[number - 1] if number else None, drawn, following, number
        pictures += turn.scenes


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_every_call_does_what_its_result_shows(split):
    modules = set()
    for conversation in everything(split):
        for invocation, before, drawn, result, _ in replayed(conversation):
            modules.add(invocation.module)
            region = drawn if invocation.uses_drawn_region else None
            after = apply(before, invocation, region)
            assert result.scenes == (() if invocation.module is Module.B else (after,))
            separate([o.box for o in after.objects], gap=0.0 if region is not None else 0.03)  # people draw roughly
            assert len(after.objects) <= 3
    assert modules == {Module.A, Module.B, Module.C}


def test_every_target_is_one_object():
    for conversation in everything():
        for invocation, before, drawn, _, _ in replayed(conversation):
            if invocation.module is Module.A:
                continue
            phrase = invocation.command
            if invocation.module is Module.C:
                phrase = parse_edit(invocation.command).target
            if phrase and not is_background(phrase) and phrase != "everything":
                target_of(before, phrase, drawn if invocation.uses_drawn_region else None)


def test_masks_are_of_what_was_asked():
    seen = set()
    for facts, turn in steps_of("segment"):
        if turn.invocation is None:
            continue
        targets = facts["targets"]
        seen.add(targets if isinstance(targets, str) else "object")
        if targets == "background":
            assert is_background(turn.invocation.command)
        elif targets == "everything":
            assert turn.invocation.command == "everything"
        elif not turn.invocation.uses_drawn_region:
            assert set(resolve(facts["scene"], turn.invocation.command)) <= set(targets)
    assert seen == {"background", "everything", "object"}


def test_results_name_the_picture_and_the_box():
    for conversation in samples("segment"):
        for invocation, before, _, result, number in replayed(conversation):
            assert f"picture {number}" in result.text
            if invocation.command not in ("everything", "the background"):
                index = target_of(before, invocation.command)
                box = ", ".join(f"{side:.2f}" for side in before.objects[index].box)
                assert f"{invocation.command} at ({box})" in result.text


def test_the_number_of_a_picture_is_given_only_where_it_is_not_the_latest():
    numbered = 0
    for conversation in everything():
        count = 0
        for turn in conversation.turns:
            if turn.invocation is not None and turn.invocation.media is not None:
                numbered += 1
                assert 1 <= turn.invocation.media < count
            count += len(turn.scenes)
    assert numbered > 20


def test_chains_have_several_steps_in_one_turn():
    counts = [len(conversation.turns[0].facts["steps"]) for conversation in samples("chain")]
    assert set(counts) == {2, 3, 4}
    for conversation in samples("chain"):
        assert sum(turn.role == "user" for turn in conversation.turns) == 1


# Answers, judged from the scene alone


def asked(question):
    found = [(facts, facts["answer"]) for facts, _ in steps_of("ask") if facts["question"] == question]
    assert found, question
    return found


def described(scene, text):
    """Indices of the objects that a noun phrase of an answer means."""
    return resolve(scene, text.removeprefix("The ").removeprefix("the "))


def test_every_answer_holds_its_words():
    questions = set()
    for facts, turn in steps_of("ask"):
        questions.add(facts["question"])
        assert facts["must"]
        if turn.invocation is None:
            for word in facts["must"]:
                assert re.search(rf"\b{word}\b", turn.text, re.IGNORECASE), (word, turn.text)
    assert len(questions) >= 20


def test_counts_are_right():
    for facts, text in asked("count"):
        match = re.search(r"[Tt]here (?:is|are) (\d+|no) (.+?)\.", text)
        words = match[2].split()
        assert text.count("the ") == (0 if text.startswith("There") or match[1] == "no" else int(match[1]))
        singular = {"crosses": "cross", **{f"{shape}s": shape for shape in (*SHAPES, "object")}}
        wanted = read_words(" ".join([*words[:-1], singular.get(words[-1], words[-1])]))
        total = sum(
            wanted.shape in (None, o.shape) and wanted.colour in (None, o.colour) and wanted.size in (None, o.size)
            for o in facts["scene"].objects
        )
        assert match[1] == (str(total) if total else "no")


@pytest.mark.parametrize("question", ["colour", "shape", "size"])
def test_attributes_are_right(question):
    for facts, text in asked(question):
        found = re.search(r"(The .+|It) is (?:an? )?(?:(\w+) )?(\w+)\.$", text)
        scene = facts["scene"]
        candidates = range(len(scene.objects)) if found[1] == "It" else described(scene, found[1])
        values = {getattr(scene.objects[i], question) for i in candidates}
        assert found[3] in values
        assert found[1] == "It" or len(values) == 1 or question == "colour"
        if found[2]:  # a shape is said with its colour
            assert any((scene.objects[i].colour, scene.objects[i].shape) == found.group(2, 3) for i in candidates)


def test_a_shape_is_said_with_its_colour():
    for _, text in asked("shape"):
        assert any(word in COLOURS for word in re.findall(r"\w+", text))


def test_what_is_true_of_the_object_asked_about_is_kept():
    for question in ("colour", "shape", "size", "where"):
        for facts, _ in asked(question):
            assert any(facts["true"].startswith(f"{o.phrase} ") for o in facts["scene"].objects)
            assert set(facts["must"]) <= set(facts["true"].split())


def test_existence_is_right():
    for facts, text in asked("exists"):
        match = re.fullmatch(r"An? (.+?) is (not )?in the picture: (yes|no)\.", text)
        assert (match[3] == "yes") == bool(resolve(facts["scene"], match[1])) == (match[2] is None)


def test_comparisons_are_right():
    for facts, text in asked("compare"):
        match = re.fullmatch(r"(The .+?) is (larger|smaller) than (the .+), so (yes|no)\.", text)
        a, b = (facts["scene"].objects[described(facts["scene"], words)[0]] for words in (match[1], match[3]))
        assert (a.r > b.r) == (match[2] == "larger")
        assert facts["must"] == (match[4],)
        assert abs(a.r - b.r) >= 0.04


def test_relations_are_right():
    for facts, text in asked("related"):
        match = re.fullmatch(r"(The .+?) is (left of|right of|above|below) (the .+), so (yes|no)\.", text)
        a, b = (facts["scene"].objects[described(facts["scene"], words)[0]] for words in (match[1], match[3]))
        difference = {"left of": b.x - a.x, "right of": a.x - b.x, "above": b.y - a.y, "below": a.y - b.y}[match[2]]
        assert difference >= 0.1


def test_sides_are_right():
    for facts, text in asked("which side"):
        match = re.search(r"(The .+?) is (left of|right of|above|below) (the .+)\.", text)
        a, b = (facts["scene"].objects[described(facts["scene"], words)[0]] for words in (match[1], match[3]))
        assert {"left of": b.x - a.x, "right of": a.x - b.x, "above": b.y - a.y, "below": a.y - b.y}[match[2]] >= 0.1


def turns_with_calls(task):
    """(reply, number of the latest picture then) of each assistant turn that calls, in conversations of a task."""
    for conversation in everything("train"):
        if conversation.task == task:
            pictures = 0
            for turn in conversation.turns:
                pictures += len(turn.scenes)
                if turn.invocation is not None:
                    yield turn, pictures


def test_an_earlier_picture_is_named_before_it_is_worked_on():
    named = 0
    for turn, _ in turns_with_calls("dialogue"):
        number = turn.invocation.media
        if number is not None and not turn.text.endswith("Next."):
            assert f"n picture {number}, " in turn.text
            named += 1
        elif match := re.search(r"[Ii]n picture (\d+),", turn.text):
            assert number in (None, int(match[1]))
    assert named > 5


def test_questions_about_an_earlier_picture_say_which():
    named = 0
    for conversation in everything("train"):
        scenes = []
        for turn in conversation.turns:
            scenes += turn.scenes
            match = re.match(r"In picture (\d+), (?!.*I will)", turn.text) if turn.role == "assistant" else None
            if match and turn.facts["kind"] == "ask":
                assert scenes[int(match[1]) - 1] == turn.facts["scene"]
                named += 1
    assert named > 5


@pytest.mark.parametrize("operation", ["recolour all", "recolour some", "swap colours", "remove some"])
def test_all_that_will_change_is_named_first(operation):
    found = 0
    for conversation in everything("train"):
        replies = [t for t in conversation.turns if t.role == "assistant" and t.facts.get("operation") == operation]
        calls = [turn.invocation for turn in replies if turn.invocation]
        if len({turn.facts["before"] for turn in replies}) != 1 or len(calls) < 2:
            continue
        targets = [parse_edit(call.command).target for call in calls]
        assert all(f"he {target}" in replies[0].text for target in targets)
        assert replies[0].text.endswith("I will edit them.")
        found += 1
    assert found


def test_all_of_one_colour_is_right():
    for facts, text in asked("all colour"):
        colours = {o.colour for o in facts["scene"].objects}
        assert bool(re.search(r"\byes\b", text, re.I)) == (len(colours) == 1)
        match = re.fullmatch(r"The objects are (.+), so (yes|no)\.", text)
        assert set(re.split(r", | and ", match[1])) == colours


def test_places_and_boxes_are_right():
    for facts, text in asked("where"):
        match = re.search(r"(The .+?) is ((?:on|at|in) the [\w ]+): \((.+)\)\.", text)
        index = described(facts["scene"], match[1])[0]
        target = facts["scene"].objects[index]
        assert [float(side) for side in match[3].split(",")] == pytest.approx(target.box, abs=0.0051)
        assert all(word in match[2] for word in target.place.split())


def test_backgrounds_are_right():
    for facts, text in asked("background"):
        assert text.endswith(f"The background is {facts['scene'].background}.")


def test_descriptions_name_everything():
    for facts, text in asked("describe"):
        scene = facts["scene"]
        assert scene.background in text
        for o in scene.objects:
            assert o.phrase in text


def test_extremes_are_right():
    keys = {
        "largest": lambda o: o.r,
        "smallest": lambda o: -o.r,
        "leftmost": lambda o: -o.x,
        "rightmost": lambda o: o.x,
        "topmost": lambda o: -o.y,
        "lowest": lambda o: o.y,
    }
    for facts, text in asked("extreme"):
        match = re.search(r"The (\w+) object is the (\w+) (\w+)\.", text)
        best = max(facts["scene"].objects, key=keys[match[1]])
        assert (best.colour, best.shape) == (match[2], match[3])


def test_regions_are_right():
    for facts, text in asked("region"):
        words = read_words(text.removeprefix("It is ").rstrip("."))
        assert any(
            (o.shape, o.colour, o.size) == (words.shape, words.colour, words.size) for o in facts["scene"].objects
        )


def test_refusals_call_nothing():
    reasons = set()
    for conversation in samples("refuse", "train", 400):
        assert all(turn.invocation is None for turn in conversation.turns)
        reasons.add(conversation.turns[-1].facts["reason"])
        if conversation.turns[-1].facts["reason"] == "no picture":
            assert not conversation.turns[0].scenes
    assert {
        "no picture",
        "no video",
        "no region",
        "video",
        "missing object",
        "ambiguous",
        "cannot",
        "too.many",
    } <= reasons


def test_names_are_those_of_the_world():
    for conversation in everything():
        for turn in conversation.turns:
            for scene in turn.scenes:
                assert scene.background in BACKGROUNDS
                assert all(o.shape in SHAPES and o.colour in COLOURS for o in scene.objects)
