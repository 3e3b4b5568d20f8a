from pathlib import Path

import pytest
import torch
from PIL import Image

from vitron_agent.cli.demo import CONVERSATIONS, Cell, cells_of, contact_sheet
from vitron_agent.media import encode_mp4
from vitron_agent.testing import call, paint

DRAW = call("generate_image", command="a red circle")
EDIT = call("edit_image", command="replace the red circle with a yellow circle")
TRACK = call("track_video", command="the red circle")
EDIT_VIDEO = call("edit_video", command="replace the red circle with a yellow circle")
SEGMENT = call("segment_image", command="the blue square")
FILM = call("generate_video", command="a green square moves left on a sand background")
ANIMATE = call("animate_image", command="the purple star moves up")


def test_the_demo_draws_edits_segments_and_asks_and_leaves_a_sheet(script, run) -> None:
    chain = [[DRAW], [EDIT], [SEGMENT], "All done."]
    video = [[TRACK], "Tracked.", "It moves right.", [EDIT_VIDEO], "Edited."]
    films = [[FILM], "Here it is.", [DRAW], [ANIMATE], [TRACK], "All done."]
    script([DRAW], "Drawn.", [EDIT], "Edited.", [SEGMENT], "Cut out.", "It is yellow.", *chain, *video, *films)
    result = run("demo", "--out", "o")
    assert result.exit_code == 0, result.stderr
    assert len(list(Path("o").glob("[ft]*/*.png"))) == 2 * 4 + 2 * 1
    assert len(list(Path("o/a-video").glob("turn1-call1-track_video-masks/*.png"))) == 8
    assert {path.name for path in Path("o/a-video").glob("*.mp4")} == {
        "video.mp4",
        "turn1-call1-track_video.mp4",
        "turn3-call1-edit_video.mp4",
    }
    assert [path.name for path in Path("o/a-video-from-words").glob("*.mp4")] == ["turn1-call1-generate_video.mp4"]
    assert {path.name for path in Path("o/a-picture-in-motion").glob("*.*")} >= {
        "turn1-call1-generate_image.png",
        "turn1-call2-animate_image.mp4",
        "turn1-call3-track_video.mp4",
    }
    with Image.open("o/contact-sheet.png") as sheet:
        assert sheet.width > 1000
        assert len(set(sheet.resize((60, 40)).get_flattened_data())) > 50
    assert "It is yellow." in result.stdout


def test_the_demo_has_four_turns_a_chain_of_three_a_video_given_and_two_made() -> None:
    assert [len(requests) for requests in CONVERSATIONS.values()] == [4, 1, 3, 1, 1]


def test_a_video_is_shown_by_four_of_its_frames(tmp_path: Path) -> None:
    frames = torch.stack([paint(str(number)) for number in range(4)])
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode_mp4(frames, 8))
    sheet = contact_sheet([Cell(str(path), "track it", "E: it")])
    for number, (x, y) in enumerate(((76, 76), (196, 76), (76, 196), (196, 196))):
        shown, wanted = sheet.getpixel((x, y)), paint(str(number))[:, 0, 0].tolist()
        assert max(abs(a - b) for a, b in zip(shown, wanted, strict=True)) < 12


def test_a_turn_without_pictures_is_a_cell_of_words() -> None:
    assert cells_of({"request": "how many?", "text": "Two.", "calls": []}) == [Cell(None, "how many?", "Two.")]


@pytest.mark.parametrize("count", [1, 4, 5])
def test_the_sheet_holds_every_cell(tmp_path: Path, count: int) -> None:
    path = tmp_path / "red.png"
    Image.fromarray(paint("x").permute(1, 2, 0).numpy()).save(path)
    colour = tuple(paint("x")[:, 0, 0].tolist())
    sheet = contact_sheet([Cell(str(path), "a request " * 10, "A: words " * 10)] * count)
    found = sum(pixel == colour for pixel in sheet.get_flattened_data())
    assert found == count * 240 * 240
