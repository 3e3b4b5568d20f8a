from dataclasses import replace

import numpy as np
import torch

from tests.evaluation.clips import CLIP, GREEN
from vitron_agent.evaluation.cases import Case, Turn
from vitron_agent.evaluation.drive import CallRecord, CaseRecord, TurnRecord, picture_of
from vitron_agent.evaluation.samples import account_of, sample_of
from vitron_agent.evaluation.sheets import moments, over, shown
from vitron_agent.shapes.clip import frames_of, render_clip

VIDEO, MASKS = frames_of(CLIP), render_clip(CLIP).masks[:, 0]
CASE = Case("one", "x", (Turn("track it", clips=(CLIP,)),))


def _record(*calls: CallRecord) -> CaseRecord:
    return CaseRecord((TurnRecord("Here it is.", "Here it is.", calls, 0.1, clips=(VIDEO,), clip_handles=("v",)),))


def test_a_video_is_shown_by_three_frames_and_a_track_over_its_video() -> None:
    sample = sample_of(CASE, _record(CallRecord("E", {}, True, "", source="v", masks=MASKS)), True)
    expected = [*moments(VIDEO), *moments(over(VIDEO, MASKS[:, None]))]
    assert len(sample.pictures) == 6
    assert all(np.array_equal(tile, wanted) for tile, wanted in zip(sample.pictures, expected, strict=True))
    assert sample.title == "track it -> Here it is."


def test_an_edited_video_is_shown_behind_the_users() -> None:
    edited = frames_of(GREEN)
    sample = sample_of(CASE, _record(CallRecord("F", {}, True, "", source="v", handle="w", video=edited)), False)
    assert [
        np.array_equal(tile, wanted) for tile, wanted in zip(sample.pictures[3:], moments(edited), strict=True)
    ] == [True] * 3


def test_a_made_video_is_shown_by_three_frames_behind_its_picture() -> None:
    scene, made = CLIP.scene, frames_of(GREEN)
    call = CallRecord("G", {}, True, "", source="p", handle="w", video=made)
    turn = TurnRecord("x", "x", (call,), 0.1, (picture_of(scene),), ("p",))
    tiles = sample_of(Case("one", "x", (Turn("animate it", (scene,)),)), CaseRecord((turn,)), True).pictures
    expected = (shown(picture_of(scene)), *moments(made))
    assert all(np.array_equal(tile, wanted) for tile, wanted in zip(tiles, expected, strict=True))
    of_words = replace(call, letter="D", source=None)
    tiles = sample_of(CASE, CaseRecord((TurnRecord("x", "x", (of_words,), 0.1),)), True).pictures
    assert all(np.array_equal(tile, wanted) for tile, wanted in zip(tiles, moments(made), strict=True))


def test_an_account_says_what_was_called() -> None:
    account = account_of(CASE, _record(CallRecord("E", {"command": "the circle"}, True, "Result: it.")), True)
    (turn,) = account["turns"]  # type: ignore[misc]
    assert (turn["say"], turn["text"]) == ("track it", "Here it is.")
    assert turn["calls"] == [{"module": "E", "command": "the circle", "done": True, "result": "Result: it."}]


def test_masks_over_a_video_fade_each_frame_by_its_own() -> None:
    faded = over(VIDEO, MASKS[:, None])
    for frame in (0, 7):
        assert torch.equal(faded[frame], over(VIDEO[frame], MASKS[frame]))
