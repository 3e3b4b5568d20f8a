"""Results of calls on clips: boxes, edits, and what is refused."""

import pytest

from vitron_agent.invocation import Invocation, Module
from vitron_agent.media import Region
from vitron_agent.shapes.clip import FRAMES, Clip, Motion
from vitron_agent.shapes.scene import COLOURS, Obj, Scene
from vitron_agent.shapes.tasks_results import apply_clip, track_result

CIRCLE = Obj("circle", "red", "small", 0.2, 0.5, 0.1, COLOURS["red"])
STAR = Obj("star", "blue", "small", 0.8, 0.5, 0.1, COLOURS["blue"])
CLIP = Clip(Scene("gray", (CIRCLE, STAR)), (Motion("right", 0.25), None))


def test_the_result_of_tracking_holds_the_first_and_the_last_box() -> None:
    wanted = "Result: the red circle in video 3, from (0.10, 0.40, 0.30, 0.60) to (0.35, 0.40, 0.55, 0.60)."
    assert track_result(CLIP, "the red circle", 3, None) == wanted
    drawn = Region.from_box(0.72, 0.41, 0.9, 0.6)
    assert track_result(CLIP, "the object", 1, drawn).endswith(
        "from (0.70, 0.40, 0.90, 0.60) to (0.70, 0.40, 0.90, 0.60)."
    )


def test_an_edit_changes_what_it_names_in_every_frame() -> None:
    command = "replace the red circle with a green circle"
    after = apply_clip(CLIP, Invocation(module=Module.F, command=command, background="change the background to navy"))
    assert [o.colour for o in after.at(FRAMES - 1).objects] == ["green", "blue"]
    assert {scene.background for scene in after.scenes} == {"navy"}
    assert after.motions == CLIP.motions


@pytest.mark.parametrize(
    ("module", "command", "problem"),
    [
        (Module.C, "remove the star", "edits no video"),
        (Module.F, "remove the star", "adds or removes"),
        (Module.F, "replace the object with a red star", "means 2 objects"),
    ],
)
def test_other_edits_are_refused(module: Module, command: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        apply_clip(CLIP, Invocation(module=module, command=command))
