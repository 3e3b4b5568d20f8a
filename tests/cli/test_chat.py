from pathlib import Path

import pytest
import torch

from vitron_agent.errors import CheckpointError
from vitron_agent.media import encode_mp4
from vitron_agent.testing import call

DRAW = call("generate_image", command="a red circle")


def test_text_is_shown_and_results_are_named(script, run) -> None:
    script(["I draw", " it.", DRAW], "Here it is.")
    result = run("chat", "--out", "o", input="draw a red circle\n/quit\n")
    assert result.exit_code == 0
    assert "I draw it.\nHere it is.\n  [generate_image: o/turn1-call1-generate_image.png]" in result.stdout
    assert Path("o/turn1-call1-generate_image.png").exists()


def test_pictures_and_regions_come_with_the_next_message(script, run, photo: Path) -> None:
    planner = script("A photo.", "Hm.")
    run("chat", input=f"/image {photo}\n/region click:0.5,0.5\nwhat is this?\nand now?\n")
    users = [message for message in planner.seen[-1] if message.type == "human"]
    assert [len(message.content) for message in users] == [2, 1]
    assert users[0].additional_kwargs["vitron"]["region"]["kind"] == "click"
    assert users[1].additional_kwargs == {}


def test_a_video_comes_with_the_next_message(script, run, tmp_path: Path) -> None:
    planner = script("A clip.")
    (tmp_path / "clip.mp4").write_bytes(encode_mp4(torch.zeros(4, 3, 16, 16, dtype=torch.uint8), 8.0))
    result = run("chat", input="/video clip.mp4\n/region box:0,0,1,1|9,9\n/region box:0,0,1,1|3,3\nwhat is this?\n")
    (user,) = planner.seen[-1]
    assert [block["type"] for block in user.content] == ["video", "text"]
    assert user.additional_kwargs["vitron"]["region"]["frames"] == [3, 3]
    assert "the video has frames 0 to 3" in result.stderr


def test_bytes_that_are_no_text_are_said_and_the_talk_goes_on(script, run) -> None:
    script("Hello.")
    result = run("chat", input=b"hi \xff there\nhi\n")
    assert result.exit_code == 0
    assert "which is no character" in result.stderr
    assert "Hello." in result.stdout


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/image", "/image what?"),
        ("/region  ", "/region what?"),
        ("/video nowhere.mp4", "does not exist"),
        ("/image nowhere.png", "does not exist"),
        ("/region box:0.5", "not pairs of numbers"),
        ("/dance", "'/dance' is no command"),
        ("x" * 9000, "9,000 characters"),
    ],
)
def test_mistakes_are_said_and_the_talk_goes_on(script, run, line: str, said: str) -> None:
    script("Hello.")
    result = run("chat", input=f"{line}\nhi\n")
    assert result.exit_code == 0
    assert said in result.stderr
    assert "Hello." in result.stdout


def test_a_broken_checkpoint_ends_the_talk(script, run) -> None:
    script(CheckpointError("planner weights are gone"))
    result = run("chat", input="hi\nhi\n")
    assert result.exit_code == 2
    assert result.stderr.strip().splitlines()[-1] == "error: planner weights are gone"


def test_a_talk_can_be_taken_up_again(script, run) -> None:
    script("Hello.")
    run("chat", "--thread", "t", input="hi\n")
    planner = script("Again.")
    run("chat", "--thread", "t", input="back\n")
    assert [m.type for m in planner.seen[0]] == ["human", "ai", "human"]
