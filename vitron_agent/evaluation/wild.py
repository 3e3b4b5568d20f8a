"""Reads the hand-written suite: free requests, worded without looking at any template.

It is for evaluation only. Nothing that trains may import this file or read `wild.json`; a test holds that.
"""

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

from vitron_agent.evaluation.answers import Answer
from vitron_agent.evaluation.cases import Case, Change, MadeFilm, Step, Target, Turn, scene_object
from vitron_agent.media import Region
from vitron_agent.shapes.check import Wanted, WantedObject
from vitron_agent.shapes.scene import Scene

REFUSALS = {
    "missing input": r"\b(picture|image|photo)\b",
    "video": r"\b(videos?|animat\w*|clips?|movies?)\b",
    "absent object": r"\b(no|not|only|cannot|find|see|there)\b|n.t\b",
}
"""What a refusal must speak of, by kind."""


def wild_cases() -> list[Case]:
    """All requests of the suite, in the file's order."""
    data = json.loads((files("vitron_agent.evaluation") / "wild.json").read_text(encoding="utf-8"))
    scenes = {name: _scene(entry) for name, entry in data["scenes"].items()}
    return [_case(index, item, scenes) for index, item in enumerate(data["items"])]


def _scene(entry: dict[str, Any]) -> Scene:
    return Scene(entry["background"], tuple(scene_object(*numbers) for numbers in entry["objects"]))


def _case(index: int, item: dict[str, Any], scenes: dict[str, Scene]) -> Case:
    region = Region.parse(item["region"]) if "region" in item else None
    first, *more = (_turn(turn, item["kind"]) for turn in item["turns"])
    shown = (scenes[item["scene"]],) if "scene" in item else ()
    return Case(f"wild-{index:03d}", item["kind"], (replace(first, scenes=shown, region=region), *more), seed=index)


def _turn(turn: dict[str, Any], kind: str) -> Turn:
    ways = tuple(_way(letters, turn) for letters in turn.get("calls", "").split("|"))
    answer = None
    if "answer" in turn:
        facts = dict(turn["answer"])
        facts["mentions"] = tuple(facts.get("mentions", ()))
        answer = Answer(**facts)
    elif kind in REFUSALS:
        answer = Answer(pattern=REFUSALS[kind])
    return Turn(turn["say"], ways=ways, answer=answer, lenient=kind in ("absent object", "video"))


def _way(letters: str, turn: dict[str, Any]) -> tuple[Step, ...]:
    """Conditions go to the last call that can meet them: a mask to the last B, a picture to the last A or C.

    A video is asked of the very last call.
    """
    steps = [Step(letter) for letter in letters]
    if "mask" in turn:
        mask = turn["mask"]
        target = Target(tuple(mask)) if isinstance(mask, list) else Target(like=WantedObject(**mask))
        steps[letters.rindex("B")] = Step("B", target=target)
    if "change" in turn:
        steps[letters.rindex("C")] = Step("C", change=_change(turn["change"]))
    if "show" in turn:
        last = max(letters.rfind("A"), letters.rfind("C"))
        steps[last] = Step(letters[last], show=_wanted(turn["show"]))
    if "film" in turn:
        film = turn["film"]
        steps[-1] = Step(letters[-1], film=MadeFilm(_wanted(film), tuple(film["motions"])))
    return tuple(steps)


def _wanted(entry: dict[str, Any]) -> Wanted:
    relations = tuple((i, word, j) for i, word, j in entry.get("relations", ()))
    return Wanted(tuple(WantedObject(**obj) for obj in entry["objects"]), entry.get("background"), relations)


def _change(entry: dict[str, Any]) -> Change:
    into = {key: entry[key] for key in ("colour", "shape", "size") if key in entry}
    old = entry.get("of") or entry.get("remove")
    return Change(
        of=WantedObject(**old) if old else None,
        into=WantedObject(**into) if into else None,
        removes="remove" in entry,
        adds=WantedObject(**entry["add"]) if "add" in entry else None,
        background=entry.get("background"),
        picture=entry.get("picture"),
    )
