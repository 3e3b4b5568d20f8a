import pytest
import torch

from vitron_agent.graphs import user_turn
from vitron_agent.media import MediaKind, MediaStore, Region
from vitron_agent.specialists.base import SpecialistResult
from vitron_agent.testing import EchoSpecialist
from vitron_agent.tools.segment_image import words_for


def test_mask_and_overlay_are_stored(bench, store: MediaStore, picture: str) -> None:
    artifact = bench.run([user_turn("x", [picture])], "segment_image", {"command": "the circle"}).artifact
    mask, shown = store.get_mask(artifact["mask_uri"]), store.get_image(artifact["uri"])
    before = store.get_image(picture)
    assert int(mask.sum()) == 16 * 16
    assert torch.equal(shown[:, ~mask], before[:, ~mask])
    assert not torch.equal(shown[:, mask], before[:, mask])


def test_an_earlier_picture_can_be_meant(bench, store: MediaStore, picture: str, echo: EchoSpecialist) -> None:
    other = store.put_image(torch.zeros(3, 64, 64, dtype=torch.uint8)).uri
    answer = bench.run([user_turn("x", [picture, other])], "segment_image", {"command": "it", "picture": 1})
    assert answer.artifact["inputs"] == [picture]
    assert answer.content.endswith("of picture 1.")
    assert torch.equal(echo.requests[0].image, store.get_image(picture))


def test_everything_is_a_list_of_what_is_there(bench, picture: str) -> None:
    answer = bench.run([user_turn("x", [picture])], "segment_image", {"command": "everything"})
    assert answer.content == "Result: 3 segments of picture 1: red circle, blue square, background."
    assert len(answer.artifact["boxes"]) == 2


@pytest.mark.parametrize(
    ("command", "words"),
    [("the object", ""), ("this one", ""), ("it", ""), ("The Shape", ""), ("", ""), ("the cat", "the cat")],
)
def test_words_beside_a_region_count_if_they_name_something(command: str, words: str) -> None:
    region = Region.from_box(0.1, 0.1, 0.5, 0.5)
    assert words_for(command, region) == words
    assert words_for(command, None) == command


def test_a_region_speaks_for_itself(bench, picture: str, echo: EchoSpecialist) -> None:
    box = [0.5, 0.5, 0.75, 0.75]
    answer = bench.run([user_turn("x", [picture])], "segment_image", {"command": "the object", "region": box})
    assert (echo.requests[0].command, echo.requests[0].region.box) == ("", tuple(box))
    assert answer.content == "Result: the object at (0.50, 0.50, 0.75, 0.75), 6.2% of picture 1."


@pytest.mark.parametrize("mask", [None, torch.zeros(64, 64, dtype=torch.bool)])
def test_an_empty_mask_is_nothing_found(bench, picture: str, echo: EchoSpecialist, mask, monkeypatch) -> None:
    monkeypatch.setattr(echo, "run", lambda request, progress: SpecialistResult(MediaKind.MASK, mask=mask))
    answer = bench.run([user_turn("x", [picture])], "segment_image", {"command": "the circle"})
    assert answer.status == "error"
    assert "'the circle' was not found in picture 1" in answer.content
