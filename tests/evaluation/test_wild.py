"""The hand-written suite is large, sound, and out of training's reach."""

import ast
from collections import Counter
from itertools import combinations
from pathlib import Path

from vitron_agent.evaluation.suites import SUITES
from vitron_agent.evaluation.wild import wild_cases
from vitron_agent.shapes.scene import COLOURS, SHAPES, apart, clashes

ROOT = Path(__file__).resolve().parents[2]


def test_there_are_many_requests_of_many_kinds() -> None:
    cases = wild_cases()
    assert len(cases) >= 120
    assert len({turn.say for case in cases for turn in case.turns}) >= 120
    letters = Counter(step.letter for case in cases for turn in case.turns for way in turn.ways for step in way)
    assert min(letters[module] for module in "ABC") >= 20
    assert sum(turn.ways == ((),) for case in cases for turn in case.turns) >= 40


def test_pictures_are_scenes_of_the_small_world() -> None:
    scenes = {scene for case in wild_cases() for turn in case.turns for scene in turn.scenes}
    assert len(scenes) >= 10
    for scene in scenes:
        assert all(obj.shape in SHAPES and obj.colour in COLOURS for obj in scene.objects)
        assert all(min(obj.x, obj.y) - obj.r >= 0 and max(obj.x, obj.y) + obj.r <= 1 for obj in scene.objects)
        assert not any(clashes(obj.colour, scene.background) for obj in scene.objects)
        assert all(apart(a, b, 0.03) for a, b in combinations(scene.objects, 2))


def test_what_is_asked_can_be_done() -> None:
    for case in wild_cases():
        scene = case.turns[0].scenes[-1] if case.turns[0].scenes else None
        for way in case.turns[0].ways:
            for step in way:
                if step.change is not None and scene is not None:
                    assert step.change.result(scene) != scene
                if step.target is not None and scene is not None and step.target.like is None:
                    assert step.target.find(scene)


def test_nothing_that_trains_can_see_it() -> None:
    for folder in ("training", "planner", "specialists", "shapes"):
        for path in (ROOT / "vitron_agent" / folder).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            assert "wild.json" not in source, path
            for node in ast.walk(ast.parse(source)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not any(name.startswith("vitron_agent.evaluation") for name in names), path


def test_a_few_of_them_are_of_several_kinds() -> None:
    few = SUITES["wild"].cases(24, 0)
    assert len({case.kind for case in few}) >= 8
    assert [case.name for case in few] == [case.name for case in SUITES["wild"].cases(24, 0)]


def test_the_file_says_what_it_is_for() -> None:
    text = (ROOT / "vitron_agent" / "evaluation" / "wild.json").read_text(encoding="utf-8")
    assert "never train on this file" in text
