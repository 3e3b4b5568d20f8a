from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.evaluation.clips import CLIP
from vitron_agent.evaluation.cases import Case, Turn, scene_object
from vitron_agent.evaluation.drive import drive, picture_of
from vitron_agent.evaluation.metrics import j_and_f
from vitron_agent.graphs.agent import Agent
from vitron_agent.media import MediaStore, Region
from vitron_agent.shapes.clip import FRAMES, render_clip
from vitron_agent.shapes.scene import Scene
from vitron_agent.testing import call

SCENE = Scene("gray", (scene_object("circle", "red", 0.3, 0.3, 0.18), scene_object("star", "blue", 0.7, 0.7, 0.12)))
MakeAgent = Callable[[list[Any]], Agent]


def test_calls_come_back_with_their_pictures_and_masks(scripted_agent: MakeAgent, store: MediaStore) -> None:
    agent = scripted_agent(
        [
            ["I will cut it out.", call("segment_image", command="the red circle")],
            [call("edit_image", command="remove the blue star")],
            "All done.",
        ]
    )
    record = drive(agent, store, Case("one", "edit", (Turn("do it", (SCENE,)),)))
    assert record.error is None
    (turn,) = record.turns
    assert [c.letter for c in turn.calls] == ["B", "C"]
    assert [c.done for c in turn.calls] == [True, True]
    mask, edited = turn.calls[0].mask, turn.calls[1].image
    assert mask is not None
    assert edited is not None
    assert mask[19, 19]
    assert not mask[45, 45]
    assert (turn.calls[0].source, turn.calls[1].source) == (turn.handles[0], turn.handles[0])
    assert torch.equal(turn.pictures[0], picture_of(SCENE))
    assert turn.text == "I will cut it out. All done."
    assert turn.final == "All done."
    assert turn.seconds > 0


def test_later_turns_know_the_earlier_ones(scripted_agent: MakeAgent, store: MediaStore) -> None:
    agent = scripted_agent(["Hello.", [call("segment_image", command="the object", region="drawn")], "There."])
    region = Region.parse("click:0.7,0.7")
    record = drive(agent, store, Case("two", "x", (Turn("hi", (SCENE,)), Turn("cut this out", region=region))))
    assert [turn.final for turn in record.turns] == ["Hello.", "There."]
    (cut,) = record.turns[1].calls
    assert cut.mask is not None
    assert cut.mask[45, 45]
    assert cut.source == record.turns[0].handles[0]


def test_a_failed_call_is_kept_and_known_to_be_well_formed_or_not(scripted_agent: MakeAgent, store: MediaStore) -> None:
    agent = scripted_agent(
        [
            [call("segment_image", command="the green cross")],
            [call("segment_image", command="the red circle", region=[0.5, 0.5, 0.1, 0.1])],
            [call("paint_house", command="x")],
            "I could not.",
        ]
    )
    record = drive(agent, store, Case("bad", "x", (Turn("go", (SCENE,)),)))
    assert [(c.letter, c.done, c.well_formed) for c in record.turns[0].calls] == [
        ("B", False, True),
        ("B", False, False),
        ("?", False, False),
    ]


def test_only_the_plan_is_asked_for(scripted_agent: MakeAgent, store: MediaStore) -> None:
    agent = scripted_agent([[call("generate_image", command="a star")], "Done."])
    record = drive(agent, store, Case("plan", "x", (Turn("draw a star"), Turn("again"))), plan_only=True)
    (turn,) = record.turns
    assert [(c.letter, c.command, c.done) for c in turn.calls] == [("A", "a star", False)]


def test_a_crash_is_recorded(scripted_agent: MakeAgent, store: MediaStore) -> None:
    record = drive(scripted_agent([RuntimeError("broken")]), store, Case("crash", "x", (Turn("go"),)))
    assert record.error == "RuntimeError: broken"
    assert record.turns == ()


def test_calls_on_videos_come_back_with_tracks_and_edited_videos(scripted_agent: MakeAgent, store: MediaStore) -> None:
    agent = scripted_agent(
        [
            [call("track_video", command="the red circle")],
            [call("edit_video", command="replace the red circle with a green circle")],
            "All done.",
        ]
    )
    record = drive(agent, store, Case("film", "x", (Turn("do it", clips=(CLIP,)),)))
    assert record.error is None
    (turn,) = record.turns
    assert torch.equal(turn.clips[0], store.get_video(turn.clip_handles[0])[0])
    track, edit = turn.calls
    assert (track.letter, track.source, track.handle) == ("E", turn.clip_handles[0], None)
    assert track.masks is not None
    assert j_and_f(track.masks, render_clip(CLIP).masks[:, 0]) > 0.9
    assert len(track.track) == FRAMES
    assert track.track[0] == pytest.approx((0.1, 0.15, 0.4, 0.45), abs=0.02)
    assert (edit.letter, edit.source) == ("F", turn.clip_handles[0])
    assert edit.video is not None
    assert edit.video.shape == turn.clips[0].shape
    assert edit.handle not in (None, turn.clip_handles[0])
