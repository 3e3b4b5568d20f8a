"""Seconds per planner turn, picture, mask, edit and request, with the packaged weights, against the design's budgets.

The budgets are for two CPU cores; torch runs with one thread here, as it does by default in this project. A turn of the
whole agent is two planner turns and what its tools take.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from vitron_agent.build import build_agent, build_specialist
from vitron_agent.evaluation.cases import Case, Turn
from vitron_agent.evaluation.drive import drive, picture_of
from vitron_agent.graphs.agent import Agent
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import MediaStore, Region
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Scene, sample_scene
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.tools import edit_plan

PROFILE = "tiny"
PLANNER, PICTURE, MASK = 1.0, 3.0, 0.3
SCENES = [sample_scene(random.Random(f"benchmark {i}"), 2) for i in range(12)]


@pytest.fixture(scope="module")
def store(media_folder: Path) -> MediaStore:
    return MediaStore(media_folder)


@pytest.fixture(scope="module")
def agent(store: MediaStore) -> Agent:
    return build_agent(PROFILE, store=store)


def _case(index: int, say: str, scene: Scene | None) -> Case:
    return Case("benchmark", "benchmark", (Turn(say, (scene,) if scene else ()),), seed=index)


def _name(scene: Scene, index: int = 0) -> str:
    return f"{scene.objects[index].colour} {scene.objects[index].shape}"


def test_planner_turn_to_a_call(agent: Agent, store: MediaStore, measure: Any) -> None:
    def turn(index: int) -> None:
        scene = SCENES[index]
        say = f"Draw a {_name(scene)} and a {_name(scene, 1)} on {scene.background}."
        assert drive(agent, store, _case(index, say, None), plan_only=True).error is None

    assert measure("planner turn, to a call", PLANNER, turn) <= PLANNER


def test_planner_turn_to_an_answer(agent: Agent, store: MediaStore, measure: Any) -> None:
    def turn(index: int) -> None:
        case = _case(index, "How many objects are there?", SCENES[index])
        assert drive(agent, store, case, plan_only=True).error is None

    assert measure("planner turn, to an answer", PLANNER, turn) <= PLANNER


def test_picture(measure: Any) -> None:
    gligen = build_specialist("gligen", PROFILE)

    def picture(index: int) -> None:
        scene = SCENES[index]
        layout = tuple(GroundedPhrase(phrase=f"{o.colour} {o.shape}", box=o.box) for o in scene.objects)
        words = f"a {_name(scene)} and a {_name(scene, 1)} on a {scene.background} background"
        assert gligen.run(SpecialistRequest(words, layout=layout, seed=index)).image is not None

    assert measure("picture", PICTURE, picture) <= PICTURE


def test_mask_by_words_and_by_region(measure: Any) -> None:
    seem = build_specialist("seem", PROFILE)

    def words(index: int) -> None:
        seem.run(SpecialistRequest(f"the {_name(SCENES[index])}", image=picture_of(SCENES[index])))

    def region(index: int) -> None:
        box = Region.from_box(*SCENES[index].objects[0].box)
        image = picture_of(SCENES[index])
        seem.run(SpecialistRequest("the object", image=image, region=box, mask=box.to_mask(64, 64)))

    assert measure("mask, by words", MASK, words) <= MASK
    assert measure("mask, by region", MASK, region) <= MASK


def test_edit(measure: Any) -> None:
    editor = build_specialist("gligen_inpaint", PROFILE)

    def edit(index: int) -> None:
        scene = SCENES[index]
        plan = edit_plan.replacement(render([scene]).masks[0, 0], "green star")
        words = f"replace the {_name(scene)} with a green star"
        request = SpecialistRequest(words, image=picture_of(scene), layout=plan.layout, mask=plan.mask, seed=index)
        assert editor.run(request).image is not None

    assert measure("edit", PICTURE, edit) <= PICTURE


def test_whole_request(agent: Agent, store: MediaStore, measure: Any) -> None:
    budget = 2 * PLANNER + PICTURE

    def turn(index: int) -> None:
        scene = SCENES[index]
        record = drive(agent, store, _case(index, f"Draw a {_name(scene)} on {scene.background}.", None))
        assert record.error is None

    assert measure("whole request: draw", budget, turn) <= budget
