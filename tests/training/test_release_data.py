"""Data in the release's format: what is good becomes turns, what is bad is named with file, sample and remedy."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from vitron_agent.errors import InputError
from vitron_agent.invocation import Module
from vitron_agent.media.images import encode_png
from vitron_agent.media.videos import encode_mp4
from vitron_agent.planner.processor import AssistantTurn, UserTurn
from vitron_agent.training.release_data import box_pixels, load_turns, read_release

ANSWER = "Sure. <module>B</module> <instruction>segmentation: zebra farthest from you</instruction>"


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media" / "data"
    folder.mkdir(parents=True)
    (folder / "wide.png").write_bytes(encode_png(torch.zeros(3, 20, 50, dtype=torch.uint8)))
    (folder / "clip.mp4").write_bytes(encode_mp4(torch.zeros(8, 3, 32, 64, dtype=torch.uint8), 8.0))
    return tmp_path / "media"


def sample(question: str = "<image>\nWhere is the zebra?", answer: str = ANSWER, **more: Any) -> dict[str, Any]:
    said = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    entry = {"idx": 0, "image": "data/wide.png", "dataset_name": "coco2017", "conversations": said, **more}
    return {key: value for key, value in entry.items() if value is not None}


@pytest.fixture
def file_of(tmp_path: Path) -> Any:
    def write(*entries: Any) -> Path:
        path = tmp_path / "data.json"
        path.write_text(json.dumps(list(entries)))
        return path

    return write


def read(path: Path, media: Path) -> list[Any]:
    return [load_turns(found) for found in read_release([path], media)]


def test_a_sample_becomes_a_users_turn_and_a_call(file_of: Any, media: Path) -> None:
    ((user, reply),) = read(file_of(sample(bbox=[0, 0, 50, 20])), media)
    assert isinstance(user, UserTurn)
    assert isinstance(reply, AssistantTurn)
    assert (user.text, user.pictures[0].shape, user.regions) == ("Where is the zebra?", (3, 20, 50), ())
    assert (reply.text, len(reply.invocations)) == ("Sure.", 1)
    assert (reply.invocations[0].module, reply.invocations[0].command) == (Module.B, "zebra farthest from you")


def test_a_box_is_a_region_with_the_pictures_own_axes(file_of: Any, media: Path) -> None:
    ((user, _),) = read(file_of(sample("<image>\nCut out <objs>", bbox=[10, 5, 40, 8])), media)
    (region,) = user.regions
    rows, columns = region.mask.nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 7, 10, 39)
    assert (region.number, region.on_video) == (1, False)
    ((unmarked, _),) = read(file_of(sample(bbox=[10, 5, 40, 8])), media)
    assert len(unmarked.regions) == 1


def test_a_missing_bbox_is_allowed_and_a_mark_without_one_means_the_whole_picture(file_of: Any, media: Path) -> None:
    ((user, _),) = read(file_of(sample()), media)
    assert user.regions == ()
    ((marked, _),) = read(file_of(sample("<image>\nWhat is <objs>?", "A zebra.")), media)
    assert bool(marked.regions[0].mask.all())
    ((wordy, _),) = read(file_of(sample("Draw <objs>", "A zebra.", image=None)), media)
    assert (wordy.text, wordy.regions) == ("Draw it", ())


def test_videos_give_their_own_size_to_their_box(file_of: Any, media: Path) -> None:
    entry = sample("<video>\nFollow <objs>", ANSWER.replace(">B<", ">E<"), image=None, video="data/clip.mp4")
    ((user, reply),) = read(file_of(entry | {"bbox": [32, 0, 64, 16]}), media)
    assert user.videos[0].shape[1:] == (3, 32, 64)
    assert user.regions[0].mask.shape == (32, 64)
    assert (user.regions[0].on_video, float(user.regions[0].mask.float().mean())) == (True, 0.25)
    assert reply.invocations[0].module is Module.E


def test_later_turns_bring_no_picture_again(file_of: Any, media: Path) -> None:
    entry = sample()
    entry["conversations"] += [{"from": "human", "value": "And the horse?"}, {"from": "gpt", "value": "There is none."}]
    ((first, _, second, last),) = read(file_of(entry), media)
    assert (len(first.pictures), second.pictures, last.invocations) == (1, (), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"idx": 0,', r"broken JSON \(line 1, column"),
        ('{"idx": 0}', "holds a dict, not a list"),
        ("[]", "holds no sample"),
        ("[3]", "sample 0 is a int"),
        ("[" * 100_000, "broken JSON|nested too deeply"),
    ],
)
def test_files_that_are_no_list_of_samples_are_refused(text: str, message: str, tmp_path: Path, media: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_release([path], media)
    assert "bad.json" in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path, media: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json.* cannot be read"):
        read_release([tmp_path / "none.json"], media)
    (tmp_path / "latin.json").write_bytes(b'["\xe9"]')
    with pytest.raises(InputError, match="not UTF-8"):
        read_release([tmp_path / "latin.json"], media)
    with pytest.raises(InputError, match="holds no sample"):
        read_release([], media)
    with pytest.raises(InputError, match="is no folder"):
        read_release([], tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (sample(image="data/missing.png"), r"image .*missing\.png.* is not below .*: put it there"),
        (sample(image="/etc/passwd"), "leads out of the media folder"),
        (sample(image="data/../../secret.png"), "leads out of the media folder"),
        (sample(image=[3]), "image '?3'? is no path"),
        (sample(bbox=[1, 2, 3]), "is not four numbers"),
        (sample(bbox=["a", 0, 1, 1]), "is not four numbers"),
        (sample(bbox=[30, 0, 10, 10]), r"bbox \[30.0, 0.0, 10.0, 10.0\] has no area"),
        (sample(bbox=[0, 0, 9, 9], image=None), "neither image nor video"),
        (sample(answer="<module>H</module> <instruction>x: y</instruction>"), r"turn 1: module .?H.? is not one"),
        (sample(answer="<module>B</module> <instruction></instruction>"), "turn 1: module B .* empty instruction"),
        (sample(conversations=[]), "has no conversations"),
        (sample(conversations=None), "has no conversations"),
        (sample(conversations=[{"from": "gpt", "value": "hello"}]), "turn 0 is of 'gpt'"),
        (sample(conversations=[{"from": "human", "value": "hello"}]), "ends with the human"),
        (sample(conversations=[{"from": "human", "value": 3}]), "not words of 'human'"),
    ],
)
def test_bad_samples_are_named_with_what_is_wrong(entry: Any, message: str, file_of: Any, media: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_release([file_of(sample(), entry)], media)
    assert str(caught.value).startswith("1 of 2 samples cannot be used: data.json, sample 1 (idx")


def test_many_bad_samples_are_counted(file_of: Any, media: Path) -> None:
    bad = [sample(image=f"data/{n}.png") for n in range(5)]
    with pytest.raises(InputError, match=r"5 of 5 samples .* \(and 2 more\)"):
        read_release([file_of(*bad)], media)


@pytest.mark.parametrize("bbox", [[0, 0, 60, 20], [0, -5, 50, 20], [50, 0, 51, 20], [0, 0, 50, 33]])
def test_a_bbox_outside_the_picture_is_refused_when_it_is_seen(bbox: list[int], file_of: Any, media: Path) -> None:
    (found,) = read_release([file_of(sample(bbox=bbox))], media)
    with pytest.raises(InputError, match="sample 0 .*lies outside the picture of 50 x 20 pixels"):
        load_turns(found)


def test_a_pixel_too_far_is_an_annotators_rounding() -> None:
    assert bool(box_pixels((-0.5, 0.0, 50.4, 21.0), 20, 50, "x").all())


def test_a_damaged_picture_is_named(file_of: Any, media: Path) -> None:
    (media / "data" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    (found,) = read_release([file_of(sample(image="data/broken.png"))], media)
    with pytest.raises(InputError, match=r"broken\.png"):
        load_turns(found)


def test_a_calls_box_in_pixels_is_read_by_the_pictures_size(file_of: Any, media: Path) -> None:
    (media / "data" / "large.png").write_bytes(encode_png(torch.zeros(3, 200, 500, dtype=torch.uint8)))
    answer = "<module>B</module> <instruction>segmentation: zebra</instruction> <region>(100, 50, 400, 150)</region>"
    ((_, reply),) = read(file_of(sample(answer=answer, image="data/large.png")), media)
    region = reply.invocations[0].region
    assert region is not None
    assert region.box == pytest.approx((0.2, 0.25, 0.8, 0.75))
