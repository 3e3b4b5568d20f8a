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
