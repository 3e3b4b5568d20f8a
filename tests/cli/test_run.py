import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitron_agent import __version__
from vitron_agent.cli.inputs import check_writable
from vitron_agent.errors import CheckpointError
from vitron_agent.media import encode_mp4, load_video
from vitron_agent.testing import call

DRAW = call("generate_image", command="a red circle", layout=[{"phrase": "red circle", "box": [0.1, 0.1, 0.4, 0.4]}])
SEGMENT = call("segment_image", command="the red circle")
EDIT = call("edit_image", command="replace the red circle with a blue circle")


CLIP = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)


def turns_of(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("\n") == 1
    assert result.stdout.endswith("\n")
    return json.loads(result.stdout)["turns"]


def test_json_has_exactly_the_documented_shape(script, run) -> None:
    script(["I draw.", DRAW], "Here it is.", [SEGMENT], "Cut out.", "It is red.")
    turns = turns_of(run("run", "draw a red circle", "cut it out", "what color is it?", "--json", "--out", "o"))
    drawn, cut, asked = turns
    assert [set(turn) for turn in turns] == [{"request", "text", "seconds", "calls"}] * 3
    assert (drawn["request"], drawn["text"]) == ("draw a red circle", "I draw.\nHere it is.")
    assert asked["calls"] == []
    keys = {"module", "name", "command", "region", "inputs", "output", "signals", "seconds"}
    assert set(drawn["calls"][0]) == set(cut["calls"][0]) == keys
    assert drawn["calls"][0] | {"seconds": 0} == {
        "module": "A",
        "name": "generate_image",
        "command": "a red circle",
        "region": None,
        "inputs": [],
        "output": {"kind": "image", "path": "o/turn1-call1-generate_image.png", "boxes": [[0.1, 0.1, 0.4, 0.4]]},
        "signals": None,
        "seconds": 0,
    }
    assert cut["calls"][0]["inputs"] == ["o/turn1-call1-generate_image.png"]
    assert cut["calls"][0]["output"] == {
        "kind": "mask",
        "path": "o/turn2-call1-segment_image.png",
        "mask_path": "o/turn2-call1-segment_image-mask.png",
        "boxes": [[0.25, 0.25, 0.5, 0.5]],
    }
    assert all(isinstance(turn["seconds"], float) for turn in turns)


def test_a_terminal_obeys_nothing_that_was_said(script, run) -> None:
    script("Red \x1b[31mletters\x07,\ntwo lines: \u00e9 \u4e2d.")
    result = run("run", "clear \x1b[2J my screen", "--out", "o")
    assert result.exit_code == 0, result.stderr
    assert "\x1b" not in result.stdout + result.stderr
    assert "> clear \\x1b[2J my screen\n" in result.stdout
    assert "Red \\x1b[31mletters\\x07,\ntwo lines: \u00e9 \u4e2d.\n" in result.stdout


def test_a_tracked_video_brings_an_overlay_masks_and_boxes(script, run, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(encode_mp4(CLIP, 8.0))
    edit = call("edit_video", command="replace the circle with a blue circle")
    script([call("track_video", command="the circle")], "Tracked.", [edit], "Edited.")
    turns = turns_of(run("run", "track the circle", "make it blue", "--video", "clip.mp4", "--json", "--out", "o"))
    tracked, edited = (turn["calls"][0] for turn in turns)
    assert (tracked["module"], tracked["inputs"], edited["inputs"]) == ("E", ["clip.mp4"], ["clip.mp4"])
    assert tracked["output"] == {
        "kind": "mask",
        "path": "o/turn1-call1-track_video.mp4",
        "mask_path": "o/turn1-call1-track_video-masks",
        "boxes": [[0.25, 0.25, 0.5, 0.5]] * 4,
    }
    masks = sorted(Path(tracked["output"]["mask_path"]).iterdir())
    assert [mask.name for mask in masks] == ["0000.png", "0001.png", "0002.png", "0003.png"]
    with Image.open(masks[0]) as mask:
        assert (mask.mode, mask.size, set(np.unique(mask))) == ("L", (16, 16), {0, 255})
    assert edited["output"]["path"] == "o/turn2-call1-edit_video.mp4"
    frames, fps = load_video(edited["output"]["path"])
    assert (frames.shape, fps) == (CLIP.shape, 8.0)
    assert not torch.equal(frames, load_video("clip.mp4")[0])


def test_masks_of_an_earlier_longer_video_do_not_stay(script, run, tmp_path: Path) -> None:
    for name, clip in (("long.mp4", CLIP), ("short.mp4", CLIP[:2])):
        (tmp_path / name).write_bytes(encode_mp4(clip, 8.0))
        script([call("track_video", command="the circle")], "Tracked.")
        (turn,) = turns_of(run("run", "track it", "--video", name, "--json", "--out", "o"))
        output = turn["calls"][0]["output"]
        masks = sorted(path.name for path in Path(output["mask_path"]).iterdir())
        assert masks == [f"{frame:04d}.png" for frame in range(len(output["boxes"]))]
    assert len(masks) == 2


def test_a_change_of_a_videos_background_is_said(script, run, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(encode_mp4(CLIP, 8.0))
    script([call("edit_video", background="change the background to navy")], "Edited.")
    (turn,) = turns_of(run("run", "make it navy", "--video", "clip.mp4", "--json", "--out", "o"))
    assert turn["calls"][0]["command"] == "change the background to navy"


def test_videos_come_as_gif_on_request(script, run, tmp_path: Path) -> None:
    changing = CLIP + torch.arange(0, 200, 50, dtype=torch.uint8)[:, None, None, None]
    (tmp_path / "clip.mp4").write_bytes(encode_mp4(changing, 8.0))
    script([call("track_video", command="the circle")], "Tracked.")
    (turn,) = turns_of(run("run", "track it", "--video", "clip.mp4", "--gif", "--json", "--out", "o"))
    path = turn["calls"][0]["output"]["path"]
    assert path == "o/turn1-call1-track_video.gif"
    assert load_video(path)[0].shape == CLIP.shape


def test_results_are_png_files_and_masks_are_0_and_255(script, run) -> None:
    script([DRAW, SEGMENT], "Done.")
    turns_of(run("run", "draw", "--json", "--out", "o"))
    with Image.open("o/turn1-call1-generate_image.png") as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (64, 64))
    with Image.open("o/turn1-call2-segment_image-mask.png") as mask:
        assert (mask.format, mask.mode) == ("PNG", "L")
        assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_pictures_and_region_belong_to_the_first_turn(script, run, photo: Path) -> None:
    planner = script([call("segment_image", command="the object", region="drawn")], "Cut out.", "Hello.")
    arguments = ("--image", photo, "--region", "box:0.1,0.2,0.5,0.6", "--json", "--out", "o")
    first, second = turns_of(run("run", "cut this out", "hello", *arguments))
    assert first["calls"][0]["region"] == [0.1, 0.2, 0.5, 0.6]
    assert first["calls"][0]["inputs"] == [str(photo)]
    users = [message for message in planner.seen[-1] if message.type == "human"]
    assert [len(message.content) for message in users] == [2, 1]
    assert [bool(message.additional_kwargs) for message in users] == [True, False]
    assert second["text"] == "Hello."


def test_a_failed_call_has_an_error_and_no_output(script, run, photo: Path) -> None:
    script([call("segment_image", command="the unicorn")], "There is none.")
    made = turns_of(run("run", "cut out the unicorn", "--image", photo, "--json"))[0]["calls"][0]
    assert made["error"] == "'the unicorn' is not in the picture"
    assert made["output"] is None


def test_without_json_people_can_read_it(script, run) -> None:
    script(["I draw.", DRAW], "Here it is.")
    result = run("run", "draw a red circle", "--out", "o")
    assert "generate_image: a red circle -> o/turn1-call1-generate_image.png" in result.stdout
    assert "Here it is." in result.stdout


def test_the_seed_decides_the_picture(script, run) -> None:
    pictures = []
    for seed in (1, 1, 2):
        script([call("generate_image", command="a star")], "Done.")
        run("run", "draw", "--seed", seed, "--out", f"o{len(pictures)}")
        pictures.append(Path(f"o{len(pictures)}/turn1-call1-generate_image.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_no_signals_reaches_the_build(script, run, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitron_agent import build

    planner, asked = script("Hi."), []
    monkeypatch.setitem(build.PLANNERS, "tiny", lambda folder, store, use, device: asked.append(use) or planner)
    run("run", "hi", "--no-signals")
    run("run", "hi")
    assert asked == [False, True]


def test_a_named_thread_goes_on(script, run, photo: Path) -> None:
    script([SEGMENT], "Cut out.")
    first = turns_of(run("run", "cut it out", "--image", photo, "--thread", "holiday", "--json", "--out", "a"))
    planner = script([EDIT], "Blue.")
    second = turns_of(run("run", "now make it blue", "--thread", "holiday", "--json", "--out", "b"))
    assert len([m for m in planner.seen[0] if m.type == "human"]) == 2
    assert first[0]["calls"][0]["inputs"] == [str(photo)]
    inputs = second[0]["calls"][0]["inputs"]
    assert Path(inputs[0]).read_bytes()[:4] == b"\x89PNG"
    assert second[0]["calls"][0]["output"]["path"] == "b/turn2-call1-edit_image.png"


def test_a_photograph_is_kept_as_it_came_and_written_out_as_png(script, run, photo: Path, tmp_path: Path) -> None:
    jpeg = tmp_path / "photo.jpg"
    Image.open(photo).save(jpeg)
    script([SEGMENT], "Cut out.")
    run("run", "cut it out", "--image", jpeg, "--thread", "holiday", "--out", "a")
    (kept,) = (tmp_path / "home").rglob("*.jpg")
    assert kept.read_bytes() == jpeg.read_bytes()
    script([EDIT], "Blue.")
    (turn,) = turns_of(run("run", "now make it blue", "--thread", "holiday", "--json", "--out", "b"))
    with Image.open(turn["calls"][0]["inputs"][0]) as given, Image.open(jpeg) as known:
        assert given.format == "PNG"
        assert np.array_equal(np.array(given), np.array(known))


def test_a_run_without_a_name_leaves_nothing_behind(script, run, tmp_path: Path) -> None:
    script([DRAW], "Done.")
    run("run", "draw", "--out", "o")
    assert not (tmp_path / "home").exists()


def test_a_damaged_conversation_file_is_one_clear_line(script, run, tmp_path: Path) -> None:
    script("Hi.")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "conversations.sqlite").write_bytes(b"no database at all" * 100)
    result = run("run", "hi", "--thread", "x")
    assert result.exit_code == 2
    assert "move it away to start afresh" in result.stderr
    file = tmp_path / "home" / "conversations.sqlite"
    assert file.read_bytes() == b"no database at all" * 100  # for whoever can mend it
    file.rename(file.with_suffix(".damaged"))
    assert run("run", "hi", "--thread", "x").exit_code == 0


def test_a_thread_in_use_is_refused(script, run, tmp_path: Path) -> None:
    script("Hi.")
    code = (
        "import fcntl, pathlib, sys, time; p = pathlib.Path(sys.argv[1]); p.mkdir(parents=True);"
        "f = (p / 'x.lock').open('w'); fcntl.flock(f, fcntl.LOCK_EX); print('locked', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "home/threads")], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        result = run("run", "hi", "--thread", "x")
    finally:
        other.kill()
        other.communicate()
    assert (result.exit_code, "in use by another process" in result.stderr) == (2, True)


def test_the_stored_conversation_is_small(script, run, tmp_path: Path, photo: Path) -> None:
    script([DRAW, SEGMENT, EDIT], "Done.")
    run("run", *["again"] * 5, "--image", photo, "--thread", "x", "--out", "o")
    with sqlite3.connect(tmp_path / "home" / "conversations.sqlite") as connection:
        largest = connection.execute("select max(length(checkpoint)) from checkpoints").fetchone()[0]
    connection.close()
    assert largest < 60_000


BOMB = 9_000
BAD_RUNS: dict[str, tuple[tuple[str, ...], str]] = {
    "empty request": (("run", " "), "the request is empty"),
    "endless request": (("run", "x" * 100_000), "100,000 characters"),
    "second request empty": (("run", "hi", ""), "the request is empty"),
    "unknown profile": (("run", "hi", "--profile", "huge"), "choose one of tiny, vitron-7b"),
    "profile without weights": (
        ("run", "hi", "--profile", "vitron-7b"),
        "vitron-7b/planner/model.safetensors is missing",
    ),
    "memory": (("run", "hi", "--memory", "24"), "'24' is no amount: give a number and a unit"),
    "host memory": (("run", "hi", "--host-memory", "lots"), "'lots' is no amount: give a number and a unit"),
    "memory that the planner does not fit into": (("run", "hi", "--memory", "1MB"), "give at least"),
    "missing picture": (("run", "hi", "--image", "nowhere.png"), "does not exist"),
    "folder as picture": (("run", "hi", "--image", "."), "is a folder"),
    "no picture": (("run", "hi", "--image", "text.png"), "text.png"),
    "bomb": (("run", "hi", "--image", "bomb.png"), "bomb.png"),
    "truncated picture": (("run", "hi", "--image", "half.png"), "half.png"),
    "tiff called png": (("run", "hi", "--image", "tiff.png"), "tiff.png"),
    "region without picture": (("run", "hi", "--region", "click:0.5,0.5"), "give a picture with --image"),
    "region in a new thread": (
        ("run", "hi", "--thread", "t", "--region", "click:0.5,0.5"),
        "give a picture or a video",
    ),
    "region kind": (("run", "hi", "--image", "photo.png", "--region", "star:0.1,0.2"), "'star' is not one of"),
    "region outside": (("run", "hi", "--image", "photo.png", "--region", "box:0.1,0.2,1.5,0.6"), "1.5 is not in"),
    "region reversed": (("run", "hi", "--image", "photo.png", "--region", "box:0.5,0.2,0.1,0.6"), "swap them"),
    "region nan": (("run", "hi", "--image", "photo.png", "--region", "click:nan,0.2"), "nan is not in [0, 1]"),
    "region without area": (("run", "hi", "--image", "photo.png", "--region", "box:0.5,0.2,0.5,0.6"), "no area"),
    "region of a video": (("run", "hi", "--image", "photo.png", "--region", "box:0.1,0.2,0.5,0.6|0,3"), "video frames"),
    "missing video": (("run", "hi", "--video", "clip.mp4"), "does not exist"),
    "no video": (("run", "hi", "--video", "text.png"), "is not a whole MP4"),
    "half a video": (("run", "hi", "--video", "half.mp4"), "is not a whole MP4"),
    "frame that is not there": (("run", "hi", "--video", "clip4.mp4", "--region", "box:0,0,1,1|2,9"), "frames 0 to 3"),
    "half a character": (("run", "look at \udcff"), "which is no character"),
    "long folder": (("run", "hi", "--out", "o" * 5000), "choose another with --out"),
    "thread name": (("run", "hi", "--thread", "../../etc"), "is no name"),
    "out is a file": (("run", "hi", "--out", "photo.png"), "cannot be written"),
    "out below a file": (("run", "hi", "--out", "photo.png/deeper/still"), "cannot be written"),
}


@pytest.mark.parametrize("case", BAD_RUNS)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(case, script, run, photo: Path, tmp_path: Path) -> None:
    planner = script("Hi.")
    (tmp_path / "text.png").write_text("this is no picture")
    Image.new("RGB", (8, 8)).save(tmp_path / "tiff.png", format="TIFF")
    Image.new("1", (BOMB, BOMB)).save(tmp_path / "bomb.png")
    (tmp_path / "half.png").write_bytes(photo.read_bytes()[:60])
    (tmp_path / "clip4.mp4").write_bytes(encode_mp4(CLIP, 8.0))
    (tmp_path / "half.mp4").write_bytes(encode_mp4(CLIP, 8.0)[:400])
    before = sorted(tmp_path.rglob("*"))
    arguments, said = BAD_RUNS[case]
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert said in lines[0]
    assert planner.seen == []
    written = [path for path in sorted(tmp_path.rglob("*")) if path not in before and "home" not in path.parts]
    assert written == []


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("database or disk is full", "free the disk"),
        ("disk I/O error", "free the disk, or check it for faults"),
        ("database is locked", "close what else uses it"),
        ("attempt to write a readonly database", "check its permissions"),
        ("file is not a database", "move it away to start afresh"),
    ],
)
def test_the_remedy_for_a_conversation_file_is_the_right_one(
    script, run, monkeypatch: pytest.MonkeyPatch, said: str, remedy: str
) -> None:
    script("Hi.")

    def fail(path: Path) -> None:
        raise sqlite3.OperationalError(said)

    monkeypatch.setattr("vitron_agent.graphs.open_conversations", fail)
    result = run("run", "hi", "--thread", "t")
    assert result.exit_code == 2
    assert result.stderr.rstrip().endswith(f"conversations.sqlite cannot be used ({said}): {remedy}") or (
        f"({said}): {remedy}, or set VITRON_HOME" in result.stderr
    )


def test_a_full_disk_behind_the_output_is_one_line(script, run, monkeypatch: pytest.MonkeyPatch) -> None:
    script("Hi.")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vitron_agent.cli.run.show", full)
    result = run("run", "hi")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: 'the output' cannot be written or read (No space left")


def test_a_home_that_nobody_has_is_one_line(script, run, monkeypatch: pytest.MonkeyPatch) -> None:
    script("Hi.")
    monkeypatch.setenv("VITRON_HOME", "~nobody-of-this-name/talks")
    result = run("run", "hi", "--thread", "t")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: '~nobody-of-this-name/talks' is no folder")
    assert "set VITRON_HOME" in result.stderr


def test_no_place_for_temporary_files_is_one_line(script, run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script("Hi.")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    result = run("run", "hi")
    assert result.exit_code == 2
    assert result.stderr == "error: no temporary folder can be made (No such file or directory): " + (
        "free the disk, or set TMPDIR\n"
    )


def test_a_file_name_that_is_no_text_is_shown_escaped(script, run, photo: Path, tmp_path: Path) -> None:
    script([DRAW], "Done.")
    result = run("run", "draw", "--out", "o-\udcff")
    assert result.exit_code == 0, result.stderr
    assert "o-\\udcff/turn1-call1-generate_image.png" in result.stdout
    assert (tmp_path / "o-\udcff" / "turn1-call1-generate_image.png").is_file()


def test_another_process_may_make_and_use_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, touch = Path.mkdir, Path.touch

    def made_by_another(path: Path) -> None:
        make(path)
        make(path)

    def used_by_another(path: Path, exist_ok: bool) -> None:
        (path.parent / "picture.png").write_bytes(b"")
        touch(path, exist_ok=exist_ok)

    monkeypatch.setattr(Path, "mkdir", made_by_another)
    check_writable(tmp_path / "one")
    monkeypatch.setattr(Path, "mkdir", make)
    monkeypatch.setattr(Path, "touch", used_by_another)
    check_writable(tmp_path / "two")
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["picture.png"]


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999"])
def test_a_seed_beyond_63_bits_is_a_usage_error(script, run, seed: str) -> None:
    script("Hi.")
    result = run("run", "hi", "--seed", seed)
    assert result.exit_code == 2
    assert "--seed" in result.stderr


def test_a_broken_checkpoint_ends_the_run_and_writes_nothing(script, run, echo, photo: Path, tmp_path: Path) -> None:
    script(["I draw.", DRAW], "Drawn.", [SEGMENT])
    echo.error = None
    original = echo.run

    def broken(request: Any, progress: Any) -> Any:
        if request.image is not None:
            raise CheckpointError("weights of seem are truncated: install the package again")
        return original(request, progress)

    echo.run = broken
    result = run("run", "draw", "cut it out", "--json", "--out", "o")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.strip().splitlines()[-1] == "error: weights of seem are truncated: install the package again"
    assert not (tmp_path / "o").exists()


def cli(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vitron_agent.cli", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, timeout=240, check=False)


ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("arguments", [("run", " "), ("run", "hi", "--profile", "huge")])
def test_the_real_command_line_refuses_plainly(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = cli(*arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_version_and_help_are_quick(tmp_path: Path) -> None:
    assert cli("--version", home=tmp_path).stdout == f"vitron-agent {__version__}\n"
    code = "import sys, vitron_agent.cli; print([m for m in ('torch', 'langgraph', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_help_names_every_command(run) -> None:
    shown = run("--help").stdout
    for name in ("run", "chat", "demo", "evaluate", "train", "finetune", "graph", "models"):
        assert name in shown


def test_usage_errors_end_with_2(run) -> None:
    assert run("run").exit_code == 2
    assert run("run", "hi", "--seed", "x").exit_code == 2
    assert run("dance").exit_code == 2
