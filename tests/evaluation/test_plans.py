import pytest

from vitron_agent.evaluation.cases import Case, Change, ClipChange, MadeFilm, Step, Target, Turn, scene_object
from vitron_agent.evaluation.drive import CallRecord, CaseRecord, TurnRecord
from vitron_agent.evaluation.plans import PlanVerdict, judge_plan
from vitron_agent.invocation import Invocation, Module
from vitron_agent.shapes.check import Wanted, WantedObject
from vitron_agent.shapes.clip import Clip
from vitron_agent.shapes.scene import Scene

SCENE = Scene("gray", (scene_object("circle", "red", 0.3, 0.3, 0.18), scene_object("star", "blue", 0.72, 0.7, 0.12)))
DRAW = Step("A", show=Wanted((WantedObject("star", "blue", place="left"),), "sky"))
CUT = Step("B", target=Target(call=Invocation(module=Module.B, command="the star")))
RECOLOUR = Step("C", change=Change(call=Invocation(module=Module.C, command="replace the star with a green star")))
CLIP, OTHER_CLIP = (Clip(scene, (None,) * 2) for scene in (SCENE, Scene("sky", SCENE.objects)))
TRACK = Step("E", target=Target(call=Invocation(module=Module.E, command="the star")))
PAINT = Step(
    "F",
    clip_change=ClipChange(
        Invocation(
            module=Module.F, command="replace the star with a green star", background="change the background to sand"
        )
    ),
)
FILM = Step(
    "D",
    film=MadeFilm(Wanted((WantedObject("star", "blue", "small"), WantedObject("circle")), "sky"), ("left", "still")),
)
ANY = Step("D", film=MadeFilm(Wanted((WantedObject("star"),))))
MOVE = Step("G", film=MadeFilm(call=Invocation(module=Module.G, command="the star moves left")))
FIRST = Step("G", film=MadeFilm(call=Invocation(module=Module.G, command="the star moves left", media=1)))
LAYOUT = [{"phrase": "blue star", "box": [0.1, 0.3, 0.4, 0.6]}]
SAND = {"background": "change the background to sand"}
GOES = "a small blue star moves left"
SKY = "a blue star on a sky background"


def _judge(step: Step | None, call: tuple[str, dict[str, object]] | None) -> PlanVerdict:
    ways = ((step,),) if step else ((),)
    scenes = () if step in (DRAW, TRACK, PAINT, FILM, ANY) else (SCENE,)
    clips = (OTHER_CLIP, CLIP) if step in (TRACK, PAINT) else ()
    calls = (CallRecord(call[0], call[1], False, ""),) if call else ()
    record = CaseRecord((TurnRecord("text", "text", calls, 0.1),))
    return judge_plan(Case("case", "kind", (Turn("do it", scenes, ways=ways, clips=clips),)), record)


@pytest.mark.parametrize(
    ("step", "call", "verdict"),
    [
        (DRAW, ("A", {"command": SKY, "layout": LAYOUT}), PlanVerdict(True, True, True)),
        (
            DRAW,
            ("A", {"command": "a blue star on a gray background", "layout": LAYOUT}),
            PlanVerdict(True, True, False),
        ),
        (DRAW, ("A", {"command": SKY}), PlanVerdict(True, True, False)),  # no layout: nothing would be drawn
        (CUT, ("B", {"command": "the blue star"}), PlanVerdict(True, True, True)),  # other words, same object
        (CUT, ("B", {"command": "the rightmost thing"}), PlanVerdict(True, True, True)),
        (CUT, ("B", {"command": "the circle"}), PlanVerdict(True, True, False)),
        (CUT, ("B", {"command": "the flibbet"}), PlanVerdict(True, True, False)),
        (CUT, ("C", {"command": "remove the star"}), PlanVerdict(True, False, False)),
        (CUT, None, PlanVerdict(True, False, False)),
        (RECOLOUR, ("C", {"command": "replace the blue star with a green star"}), PlanVerdict(True, True, True)),
        (RECOLOUR, ("C", {"command": "replace the red circle with a green star"}), PlanVerdict(True, True, False)),
        (
            RECOLOUR,
            ("C", {"command": "replace the star with a green star", "region": [2, 0, 1, 1]}),
            PlanVerdict(False, True, False),
        ),
        (TRACK, ("E", {"command": "the blue star"}), PlanVerdict(True, True, True)),
        (TRACK, ("E", {"command": "the star", "video": 2}), PlanVerdict(True, True, True)),  # the latest, by its number
        (TRACK, ("E", {"command": "the star", "video": 1}), PlanVerdict(True, True, False)),
        (TRACK, ("E", {"command": "the star", "video": 3}), PlanVerdict(True, True, False)),
        (TRACK, ("E", {"command": "the circle"}), PlanVerdict(True, True, False)),
        (TRACK, ("E", {"command": "the flibbet"}), PlanVerdict(True, True, False)),
        (PAINT, ("F", {"command": "replace the blue star with a green star", **SAND}), PlanVerdict(True, True, True)),
        (PAINT, ("F", {"command": "replace the star with a green star"}), PlanVerdict(True, True, False)),
        (PAINT, ("F", SAND), PlanVerdict(True, True, False)),
        (PAINT, ("F", {"command": "remove the star", **SAND}), PlanVerdict(True, True, False)),
        (PAINT, ("F", {"command": "x", "region": [2, 0, 1, 1]}), PlanVerdict(False, True, False)),
        (PAINT, ("E", {"command": "the star"}), PlanVerdict(True, False, False)),
        (
            FILM,
            ("D", {"command": f"{GOES} and a red circle stands still on a sky background"}),
            PlanVerdict(True, True, True),
        ),
        (
            FILM,
            ("D", {"command": f"a red circle stays still, {GOES} on a sky background"}),
            PlanVerdict(True, True, True),
        ),
        (
            FILM,
            ("D", {"command": f"{GOES} and a red circle grows on a sky background"}),
            PlanVerdict(True, True, False),
        ),
        (FILM, ("D", {"command": f"{GOES} and a red circle stands still"}), PlanVerdict(True, True, False)),
        (FILM, ("D", {"command": f"{GOES} on a sky background"}), PlanVerdict(True, True, False)),
        (FILM, ("D", {"command": "a cat moves left on a sky background"}), PlanVerdict(True, True, False)),
        (FILM, ("A", {"command": SKY, "layout": LAYOUT}), PlanVerdict(True, False, False)),
        (ANY, ("D", {"command": "a red star grows on a navy background"}), PlanVerdict(True, True, True)),
        (ANY, ("D", {"command": "a red cross grows"}), PlanVerdict(True, True, False)),
        (MOVE, ("G", {"command": "the blue star moves left"}), PlanVerdict(True, True, True)),
        (MOVE, ("G", {"command": "make the rightmost object slide to the left"}), PlanVerdict(True, True, True)),
        (MOVE, ("G", {"command": "the star moves right"}), PlanVerdict(True, True, False)),
        (MOVE, ("G", {"command": "the star moves left and the circle grows"}), PlanVerdict(True, True, False)),
        (MOVE, ("G", {"command": "the object moves left"}), PlanVerdict(True, True, False)),
        (MOVE, ("G", {"command": "the star moves left", "picture": 2}), PlanVerdict(True, True, False)),
        (FIRST, ("G", {"command": "the star moves left", "picture": 1}), PlanVerdict(True, True, True)),
        (FIRST, ("G", {"command": "the star moves left"}), PlanVerdict(True, True, False)),
        (None, None, PlanVerdict(True, True, None)),
        (None, ("B", {"command": "the star"}), PlanVerdict(True, False, None)),
    ],
)
def test_calls_are_judged_by_what_they_mean(
    step: Step | None, call: tuple[str, dict[str, object]] | None, verdict: PlanVerdict
) -> None:
    assert _judge(step, call) == verdict


def test_a_case_that_broke_is_wrong() -> None:
    assert judge_plan(Case("c", "k", (Turn("x", ways=((CUT,),)),)), CaseRecord(())) == PlanVerdict(False, False, False)
