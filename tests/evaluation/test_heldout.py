"""Held-out conversations become cases that ask for what their truth says."""

from vitron_agent.evaluation.answers import says
from vitron_agent.evaluation.heldout import VIDEO_REFUSALS, heldout_cases
from vitron_agent.shapes.scene import COLOURS
from vitron_agent.shapes.tasks import TRACK_ALIKE


def test_a_track_is_a_target_in_the_video_that_comes_with_it() -> None:
    cases = heldout_cases("track", 40, 0)
    assert {case.kind for case in cases} == {"by words", "by region"}
    for case in cases:
        (turn,) = case.turns
        ((step,),) = turn.ways
        assert step.letter == "E"
        assert step.target is not None
        assert len(step.target.find(turn.clips[-1].scene) or ()) == 1
        assert (turn.region is not None) is (case.kind == "by region")


def test_an_edit_of_a_video_is_what_its_call_makes_of_the_clip() -> None:
    cases = heldout_cases("edit_video", 40, 0)
    assert {case.kind for case in cases} == {"recolour", "reshape", "background", "both"}
    for case in cases:
        (turn,) = case.turns
        ((step,),) = turn.ways
        assert step.letter == "F"
        assert step.clip_change is not None
        before, after = turn.clips[-1], step.clip_change.result(turn.clips[-1])
        assert (before.scene.background != after.scene.background) is (case.kind in ("background", "both"))
        assert (before.scene.objects != after.scene.objects) is (case.kind != "background")
        assert before.motions == after.motions


def test_a_video_of_words_asks_for_what_was_said() -> None:
    cases = heldout_cases("film", 60, 0) + heldout_cases("film", 1, 0, lambda case: case.kind == "any motion")
    assert {case.kind for case in cases} >= {"left", "grow", "several motions"}
    for case in cases:
        (turn,) = case.turns
        (drawn, step), (at_once,) = turn.ways
        assert (drawn.letter, step.letter, at_once.letter, turn.clips) == ("A", "G", "D", ())
        assert step.film is not None
        assert step.film == at_once.film
        assert drawn.show == step.film.wanted
        assert step.film.wanted is not None
        assert step.film.call is None
        assert (step.film.motions is None) is (case.kind == "any motion")
        if step.film.motions is not None:
            assert len(step.film.motions) == len(step.film.wanted.objects)
            assert (case.kind in step.film.motions) is (case.kind != "several motions")
    wanted = [step.film.wanted for case in cases for step in case.turns[0].ways[0] if step.film and step.film.wanted]
    assert {each.background is None for each in wanted} == {True, False}
    assert {obj.colour is None for each in wanted for obj in each.objects} == {True, False}


def test_a_picture_to_be_set_in_motion_says_what_moves() -> None:
    cases = heldout_cases("animate", 40, 0) + heldout_cases(
        "animate", 1, 0, lambda case: case.kind == "several motions"
    )
    assert {case.kind for case in cases} >= {"left", "grow"}
    for case in cases:
        (turn,) = case.turns
        ((step,),) = turn.ways
        assert step.letter == "G"
        assert step.film is not None
        motions = [name for name in step.film.of(turn.scenes[-1]) if name != "still"]
        assert motions == [case.kind] if case.kind != "several motions" else len(motions) > 1


def test_chains_and_dialogues_make_videos_on_the_way() -> None:
    for task in ("chain_film", "dialogue_film"):
        for case in heldout_cases(task, 12, 0):
            steps = [step for turn in case.turns for step in turn.ways[0]]
            assert any(step.film is not None for step in steps)
            assert all((step.film is not None) is (step.letter == "G") for step in steps)
            for turn in case.turns:
                made = sum(step.film is not None and step.film.call is None for step in turn.ways[0])
                assert [len(way) for way in turn.ways[1:]] == [len(turn.ways[0]) - made] * bool(made)


def test_alike_objects_are_told_apart_by_the_region_alone() -> None:
    for case in heldout_cases(TRACK_ALIKE, 10, 0):
        (turn,) = case.turns
        first, second = turn.clips[0].scene.objects[:2]
        assert (first.colour, first.shape, first.size) == (second.colour, second.shape, second.size)
        target = turn.ways[0][0].target
        assert target is not None
        assert target.find(turn.clips[0].scene) in ((0,), (1,))


def test_refusals_about_videos_ask_for_their_own_words() -> None:
    cases = heldout_cases("refuse", 12, 0, lambda case: case.kind in VIDEO_REFUSALS)
    assert {case.kind for case in cases} == set(VIDEO_REFUSALS)
    for case in cases:
        assert case.turns[0].ways == ((),)
        assert case.turns[0].answer is not None
        assert case.turns[0].answer.pattern is not None
        assert bool(case.turns[0].clips) is (case.kind == "refuse: missing in video")


def test_the_mixture_holds_pictures_and_videos() -> None:
    letters = {way[0].letter for case in heldout_cases(None, 150, 0) for way in case.turns[0].ways if way}
    assert letters == {"A", "B", "C", "D", "E", "F", "G"}


def test_what_else_is_true_of_the_object_may_be_said_and_nothing_false() -> None:
    (case,) = heldout_cases("ask_region", 1, 0, lambda case: case.kind == "region shape")
    (turn,) = case.turns
    assert turn.answer is not None
    ((shape,), true) = turn.answer.must, turn.answer.allowed
    (own,) = {word for word in true if word in COLOURS}
    (false,) = tuple(colour for colour in COLOURS if colour != own)[:1]
    assert says(f"It is a {own} {shape}.", turn.answer, turn.say)
    assert not says(f"It is a {false} {shape}.", turn.answer, turn.say)
