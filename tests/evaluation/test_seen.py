import torch

from tests.evaluation.clips import CLIP, GREEN
from vitron_agent.evaluation.cases import Turn
from vitron_agent.evaluation.drive import CallRecord, TurnRecord, picture_of
from vitron_agent.evaluation.seen import Album, Seen
from vitron_agent.shapes.clip import frames_of

PIXELS = torch.zeros(3, 2, 2, dtype=torch.uint8)


def test_numbers_count_from_one_and_the_latest_is_meant_without() -> None:
    album: Album[str] = Album()
    assert album.number(None) is None
    album.add("a", PIXELS, lambda: "first")
    album.add("b", PIXELS, lambda: "second")
    assert [album.number(n) for n in (None, 1, 2, 3, 0)] == ["b", "a", "b", None, None]


def test_what_is_shown_is_read_once_and_only_where_it_is_asked_for() -> None:
    album: Album[str] = Album()
    looks: list[str] = []
    album.add("a", PIXELS, lambda: looks.append("a") or "shown")
    assert looks == []
    assert [album.shows("a"), album.shows("a"), looks] == ["shown", "shown", ["a"]]


def test_pictures_and_videos_are_numbered_apart_and_read_by_what_they_are() -> None:
    seen = Seen()
    turn = Turn("look", (CLIP.scene,), clips=(CLIP,))
    record = TurnRecord("", "", (), 0.1, (picture_of(CLIP.scene),), ("p",), (frames_of(CLIP),), ("v",))
    seen.receive(turn, record)
    assert (seen.pictures.shows("p"), seen.videos.shows("v")) == (CLIP.scene, CLIP)  # the truth, nothing is read
    seen.take(CallRecord("F", {}, True, "", source="v", handle="w", video=frames_of(GREEN)))
    seen.take(CallRecord("E", {}, True, "", source="w"))
    assert (seen.pictures.number(None), seen.videos.number(None)) == ("p", "w")
    assert [obj.colour for obj in seen.videos.shows("w").scene.objects] == ["green", "blue"]


def test_a_made_video_is_read_from_its_frames_or_from_its_picture_on() -> None:
    seen = Seen()
    seen.receive(Turn("look", (CLIP.scene,)), TurnRecord("", "", (), 0.1, (picture_of(CLIP.scene),), ("p",)))
    seen.take(CallRecord("D", {}, True, "", handle="d", video=frames_of(GREEN)))
    seen.take(CallRecord("G", {}, True, "", source="p", handle="g", video=frames_of(CLIP)))
    assert [obj.colour for obj in seen.videos.shows("d").scene.objects] == ["green", "blue"]
    assert seen.videos.shows("g").scene == CLIP.scene  # the picture's truth
    for handle in ("d", "g"):
        moved, still = seen.videos.shows(handle).motions
        assert moved is not None
        assert (moved.name, still) == ("right", None)
        assert abs(moved.amount - 0.3) < 0.03
    assert seen.videos.number(None) == "g"


def test_a_video_that_cannot_be_read_shows_nothing() -> None:
    seen = Seen()
    seen.take(CallRecord("D", {}, True, "", handle="wide", video=frames_of(CLIP)[..., :32, :]))
    assert seen.videos.shows("wide").scene.objects == ()
