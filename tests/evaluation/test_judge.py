from dataclasses import replace

import pytest

from tests.evaluation.clips import CLIP
from tests.evaluation.clips import GREEN as GREEN_CLIP
from vitron_agent.evaluation.answers import Answer
from vitron_agent.evaluation.areas import mask_of
from vitron_agent.evaluation.cases import Case, Change, ClipChange, MadeFilm, Step, Target, Turn, scene_object
from vitron_agent.evaluation.drive import CallRecord, CaseRecord, TurnRecord, picture_of
from vitron_agent.evaluation.judge import judge
from vitron_agent.invocation import Invocation, Module
from vitron_agent.shapes.check import Wanted, WantedObject
from vitron_agent.shapes.clip import Clip, frames_of, render_clip
from vitron_agent.shapes.scene import Scene, recoloured

RED, BLUE = scene_object("circle", "red", 0.3, 0.3, 0.18), scene_object("star", "blue", 0.72, 0.7, 0.12)
SCENE = Scene("gray", (RED, BLUE))
GREEN = Scene("gray", (recoloured(RED, "green"), BLUE))
PAINT = ClipChange(Invocation(module=Module.F, command="replace the red circle with a green circle"))
FOLLOW = Target(call=Invocation(module=Module.E, command="the circle"))
RECOLOUR = Invocation(module=Module.C, command="replace the red circle with a green circle")


def _record(*calls: CallRecord, text: str = "Done.") -> CaseRecord:
    return CaseRecord((TurnRecord(text, text, calls, 0.1, (picture_of(SCENE),), ("user",)),))


def _made(scene: Scene, source: str | None = "user", letter: str = "C") -> CallRecord:
    return CallRecord(letter, {}, True, "", source=source, handle="new", image=picture_of(scene))


def _case(*steps: Step, answer: Answer | None = None, lenient: bool = False) -> Case:
    return Case("case", "kind", (Turn("do it", (SCENE,), ways=(steps,), answer=answer, lenient=lenient),))


EDIT = _case(Step("C", change=Change(call=RECOLOUR)))


def test_a_right_edit() -> None:
    verdict = judge(EDIT, _record(_made(GREEN)))
    assert verdict.right
    assert verdict.turns[0].steps[0].psnr_outside == 99.0


@pytest.mark.parametrize(
    "call",
    [
        _made(SCENE),  # nothing changed
        _made(Scene("gray", (GREEN.objects[0], recoloured(BLUE, "white")))),  # the other one changed, too
        _made(GREEN, source="other"),  # another picture was edited
        _made(GREEN, letter="A"),  # drawn anew instead
        replace(_made(GREEN), done=False, image=None, handle=None),
    ],
)
def test_wrong_edits(call: CallRecord) -> None:
    assert not judge(EDIT, _record(call)).right


def test_damage_outside_the_region_is_measured() -> None:
    image = picture_of(GREEN)
    image[:, 60:] += 3
    outside = judge(EDIT, _record(replace(_made(GREEN), image=image))).turns[0].steps[0].psnr_outside
    assert outside is not None
    assert 40 < outside < 60


def test_a_new_background_may_change_everything_but_the_objects() -> None:
    case = _case(Step("C", change=Change(background="sky")))
    sky = Scene("sky", SCENE.objects)
    step = judge(case, _record(_made(sky))).turns[0].steps[0]
    assert step.right
    assert step.psnr_outside is not None
    assert step.psnr_outside > 40


def test_an_added_object_may_be_anywhere_unless_a_place_was_asked_for() -> None:
    added = Scene("gray", (*SCENE.objects, scene_object("cross", "white", 0.75, 0.2, 0.11)))
    for place, right in ((None, True), ("top right", True), ("bottom left", False)):
        case = _case(Step("C", change=Change(adds=WantedObject("cross", "white", place=place))))
        assert judge(case, _record(_made(added))).right is right


def test_masks_are_compared_with_the_scene_that_was_segmented() -> None:
    case = _case(Step("B", target=Target(like=WantedObject(colour="red"))))
    truth = mask_of(SCENE, Target(indices=(0,)))
    good = judge(case, _record(CallRecord("B", {}, True, "", source="user", mask=truth)))
    assert good.right
    assert good.turns[0].steps[0].overlap == (truth.float().mean(), truth.float().mean())
    other = mask_of(SCENE, Target(indices=(1,)))
    assert not judge(case, _record(CallRecord("B", {}, True, "", source="user", mask=other))).right


def test_a_chain_goes_on_from_what_was_really_made() -> None:
    show = Wanted((WantedObject("circle", "red"), WantedObject("star", "blue")))
    cut = Invocation(module=Module.B, command="the blue star")
    case = Case(
        "chain", "chain", (Turn("draw, then cut", ways=((Step("A", show), Step("B", target=Target(call=cut))),)),)
    )
    mask = mask_of(SCENE, Target(indices=(1,)))
    calls = (_made(SCENE, None, "A"), CallRecord("B", {}, True, "", source="new", mask=mask))
    assert judge(case, CaseRecord((TurnRecord("x", "x", calls, 0.1),))).right
    assert not judge(case, CaseRecord((TurnRecord("x", "x", calls[:1], 0.1),))).right
    assert not judge(case, CaseRecord((TurnRecord("x", "x", calls[::-1], 0.1),))).right


def test_a_second_try_counts_and_a_needless_call_does_not() -> None:
    failed = CallRecord("C", {}, False, "not found")
    assert judge(EDIT, _record(failed, _made(GREEN))).right
    no_call = _case(answer=Answer(number=2))
    assert judge(no_call, _record(text="There are two.")).right
    assert not judge(no_call, _record(failed, text="There are two.")).right
    assert not judge(no_call, _record(text="There are three.")).right
    assert judge(_case(lenient=True), _record(failed, text="It is not there.")).right


def test_a_case_that_broke_is_wrong() -> None:
    assert not judge(EDIT, CaseRecord((), "RuntimeError: x")).right


FILM_CASE = Case("film", "kind", (Turn("do it", clips=(CLIP,), ways=((Step("F", clip_change=PAINT),),)),))
TRACK_CASE = Case("track", "kind", (Turn("do it", clips=(CLIP,), ways=((Step("E", target=FOLLOW),),)),))


def _of_clip(*calls: CallRecord) -> CaseRecord:
    return CaseRecord((TurnRecord("Done.", "Done.", calls, 0.1, clips=(frames_of(CLIP),), clip_handles=("v",)),))


def _painted(clip: Clip, source: str = "v") -> CallRecord:
    return CallRecord("F", {}, True, "", source=source, handle="w", video=frames_of(clip))


def test_an_edit_of_a_video_is_judged_by_its_frames() -> None:
    verdict = judge(FILM_CASE, _of_clip(_painted(GREEN_CLIP)))
    assert verdict.right
    film = verdict.turns[0].steps[0].film
    assert film is not None
    assert film.psnr_untouched == 99.0
    assert not judge(FILM_CASE, _of_clip(_painted(CLIP))).right  # nothing changed
    assert not judge(FILM_CASE, _of_clip(_painted(GREEN_CLIP, "other"))).right
    assert not judge(FILM_CASE, _of_clip(replace(_painted(GREEN_CLIP), video=None))).right


def test_a_track_is_judged_by_its_masks() -> None:
    truth = render_clip(CLIP).masks
    right = CallRecord("E", {}, True, "", source="v", masks=truth[:, 0])
    verdict = judge(TRACK_CASE, _of_clip(right))
    assert verdict.right
    assert verdict.turns[0].steps[0].tracked == 1
    other = judge(TRACK_CASE, _of_clip(replace(right, masks=truth[:, 1])))
    assert not other.right
    assert other.turns[0].steps[0].tracked == 0
    for wrong in (replace(right, masks=truth[:5, 0]), replace(right, source="w"), replace(right, masks=None)):
        assert not judge(TRACK_CASE, _of_clip(wrong)).right


def test_a_track_through_an_edited_video_follows_what_was_really_made() -> None:
    follow = Step("E", target=Target(call=Invocation(module=Module.E, command="the green circle")))
    case = Case("both", "kind", (Turn("do it", clips=(CLIP,), ways=((Step("F", clip_change=PAINT), follow),)),))
    masks = render_clip(CLIP).masks[:, 0]
    track = CallRecord("E", {}, True, "", source="w", masks=masks)
    assert judge(case, _of_clip(_painted(GREEN_CLIP), track)).right
    steps = judge(case, _of_clip(_painted(CLIP), track)).turns[0].steps
    assert [step.right for step in steps] == [False, False]  # nothing is green in the video that was made


WORDS = Step(
    "D", film=MadeFilm(Wanted((WantedObject("circle", "red"), WantedObject("star")), "gray"), ("right", "still"))
)
MOVE = Invocation(module=Module.G, command="the red circle moves right")
SET_IN_MOTION = Step("G", film=MadeFilm(call=MOVE))


def _filmed(letter: str, clip: Clip, source: str | None = None) -> CallRecord:
    return CallRecord(letter, {}, True, "", source=source, handle="film", video=frames_of(clip))


def _of_picture(*calls: CallRecord) -> CaseRecord:
    return CaseRecord((TurnRecord("Done.", "Done.", calls, 0.1, (picture_of(CLIP.scene),), ("p",)),))


def _moving(*steps: Step) -> Case:
    return Case("move", "kind", (Turn("do it", (CLIP.scene,), ways=(steps,)),))


def test_a_video_of_words_is_judged_by_its_frames() -> None:
    case = Case("film", "kind", (Turn("do it", ways=((WORDS,),)),))

    def right(call: CallRecord) -> bool:
        return judge(case, CaseRecord((TurnRecord("Done.", "Done.", (call,), 0.1),))).right

    made = _filmed("D", CLIP)
    assert right(made)
    assert not right(_filmed("D", GREEN_CLIP))
    assert not right(_filmed("D", Clip(CLIP.scene, CLIP.motions[::-1])))
    assert not right(_filmed("G", CLIP))
    assert not right(replace(made, video=None))
    assert not right(replace(made, video=frames_of(CLIP)[:5]))


def test_a_video_of_a_picture_is_judged_by_that_picture() -> None:
    verdict = judge(_moving(SET_IN_MOTION), _of_picture(_filmed("G", CLIP, "p")))
    assert verdict.right
    made = verdict.turns[0].steps[0].made
    assert made is not None
    assert made.first_psnr == 99.0
    shifted = Clip(Scene("gray", (replace(CLIP.scene.objects[0], x=0.31), CLIP.scene.objects[1])), CLIP.motions)
    for wrong in (_filmed("G", GREEN_CLIP, "p"), _filmed("G", CLIP, "other"), _filmed("G", shifted, "p")):
        assert not judge(_moving(SET_IN_MOTION), _of_picture(wrong)).right
    step = judge(_moving(SET_IN_MOTION), _of_picture(_filmed("G", shifted, "p"))).turns[0].steps[0]
    assert step.made is not None
    assert step.made.shown  # but it does not begin with the picture
    absent = Step("G", film=MadeFilm(call=Invocation(module=Module.G, command="the cross moves right")))
    assert not judge(_moving(absent), _of_picture(_filmed("G", CLIP, "p"))).right


def test_a_chain_goes_on_from_the_video_that_was_made() -> None:
    follow = Step("E", target=FOLLOW)
    paint = Step("F", clip_change=PAINT)
    masks = render_clip(CLIP).masks[:, 0]
    track = CallRecord("E", {}, True, "", source="film", masks=masks)
    edit = CallRecord("F", {}, True, "", source="film", handle="painted", video=frames_of(GREEN_CLIP))
    for made, step in ((_filmed("D", CLIP), WORDS), (_filmed("G", CLIP, "p"), SET_IN_MOTION)):
        case = _moving(step, follow, paint, follow)
        again = replace(track, source="painted")
        assert judge(case, _of_picture(made, track, edit, again)).right
        still = replace(made, video=frames_of(Clip(CLIP.scene, (None, None))))
        steps = judge(case, _of_picture(still, track, edit, again)).turns[0].steps
        assert [s.right for s in steps][:2] == [False, False]  # the masks move, the circle does not
