"""Asked to end, by Ctrl-C or SIGTERM: a real process, a real signal. Nothing is lost, nothing is left half done."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from vitron_agent.cli.ending import Terminated, drained, ended_by_sigterm
from vitron_agent.errors import BusyError

PROGRAM = Path(__file__).with_name("slow_program.py")
ROOT = str(PROGRAM.parents[2])
PATIENCE = 120.0  # seconds; the slow request alone takes 60


class Program:
    """The command line in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        (folder / "tmp").mkdir()
        self.started: list[warm.Program] = []

    def start(self, *arguments: str) -> warm.Program:
        self.log.unlink(missing_ok=True)
        home, scratch = str(self.folder / "home"), str(self.folder / "tmp")
        self.started.append(
            warm.start(
                PROGRAM, self.log, *arguments,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder,
                env={**os.environ, "PYTHONPATH": ROOT, "VITRON_HOME": home, "TMPDIR": scratch},
            )
        )  # fmt: skip
        return self.started[-1]

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait_for(self, line: str, count: int = 1) -> None:
        """Wait until the log has a line so many times."""
        end = time.monotonic() + PATIENCE
        while self.lines().count(line) < count:
            assert time.monotonic() < end, f"{line!r} did not come: {self.lines()}"
            assert self.started[-1].poll() is None, self.started[-1].communicate()
            time.sleep(0.02)

    def run(self, *arguments: str) -> Any:
        """Run to the end; return the turns."""
        said, complaint = self.start("run", *arguments, "--json").communicate(timeout=PATIENCE)
        assert self.started[-1].returncode == 0, complaint
        return json.loads(said)["turns"]

    def unfinished(self) -> list[Path]:
        """Files that are not whole, or should be gone."""
        return [*self.folder.rglob("*.tmp"), *(self.folder / "tmp").iterdir()]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()


def end_of(process: warm.Program) -> tuple[int, str]:
    """Wait for a process; return its exit code and the last line it said to people."""
    _, complaint = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in complaint
    return process.returncode, complaint.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_run_stops_at_its_next_step_keeps_what_was_done_and_the_thread_goes_on(
    program: Program, number: int, code: int, word: str
) -> None:
    process = program.start("run", "quick circle", "slow star", "quick moon", "--thread", "t", "--out", "o")
    program.wait_for("slow star step", 5)
    before = program.lines().count("slow star step")
    process.send_signal(number)
    assert end_of(process) == (code, word)
    assert program.lines().count("slow star step") - before < 100  # of 1,200: nobody waits for the rest
    assert program.lines().count("quick moon step") == 0
    assert not (program.folder / "o").exists()  # files are written when all is done, and it is not
    assert program.unfinished() == []
    (turn,) = program.run("cut it out", "--thread", "t", "--out", "o")
    (cut,) = turn["calls"]
    assert cut["output"]["path"] == "o/turn3-call1-segment_image.png"  # turns 1 and 2 are in the conversation
    assert (program.folder / cut["inputs"][0]).read_bytes()[:4] == b"\x89PNG"  # and so is the circle


def test_a_talk_is_ended_in_the_middle_of_a_turn_and_taken_up_again(program: Program) -> None:
    process = program.start("chat", "--thread", "t", "--out", "o")
    assert process.stdin
    process.stdin.write("quick circle\nslow star\nhello\n")
    process.stdin.flush()
    program.wait_for("slow star step", 5)
    process.send_signal(signal.SIGTERM)
    assert end_of(process) == (143, "terminated")
    assert [path.name for path in (program.folder / "o").iterdir()] == ["turn1-call1-generate_image.png"]
    assert program.unfinished() == []
    (turn,) = program.run("cut it out", "--thread", "t")
    assert turn["calls"][0]["output"]["path"].startswith("out/turn3-")


def test_ctrl_c_stops_a_turn_of_a_talk_and_the_talk_goes_on(program: Program) -> None:
    process = program.start("chat", "--out", "o")
    assert process.stdin
    process.stdin.write("slow star\n")
    process.stdin.flush()
    program.wait_for("slow star step", 5)
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate("quick circle\n/quit\n", timeout=PATIENCE)
    assert process.returncode == 0, complaint
    assert "error: the turn was stopped: ask again when you like" in complaint
    assert "[generate_image: o/turn2-call1-generate_image.png]" in said
    assert program.unfinished() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_talk_that_waits_for_its_user_ends_at_once(program: Program, number: int, code: int) -> None:
    process = program.start("chat")
    assert process.stdin
    assert process.stdout
    process.stdin.write("hello\n")
    process.stdin.flush()
    heard = ""
    while heard.count("> ") < 2:
        heard += process.stdout.read(1)
    time.sleep(0.5)  # between the prompt and the reading, a signal would be heard with the next line only
    process.send_signal(number)
    assert end_of(process)[0] == code
    assert program.unfinished() == []


def test_a_run_that_is_still_loading_ends_at_once_and_leaves_no_folder(program: Program) -> None:
    process = program.start("run", "quick circle", "--seed=5", "--out", "o")
    program.wait_for("load")
    process.send_signal(signal.SIGTERM)
    assert end_of(process) == (143, "terminated")
    assert program.unfinished() == []


def test_the_first_signal_lets_the_work_end_and_the_second_does_not_wait() -> None:
    stopped: list[str] = []
    with pytest.raises(Terminated), ended_by_sigterm(), drained(lambda: stopped.append("first")):  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        stopped.append("work goes on")
        signal.raise_signal(signal.SIGTERM)
        stopped.append("never")
    assert stopped == ["first", "work goes on"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_no_error_of_the_work_hides_that_the_program_is_to_end() -> None:
    with pytest.raises(Terminated), drained(lambda: None):  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        raise BusyError("the thread is at work")


def test_ctrl_c_is_the_works_to_explain_and_handlers_come_back() -> None:
    before, stopped = signal.getsignal(signal.SIGINT), []
    with drained(lambda: stopped.append(1)):
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is before
    assert (stopped, signal.getsignal(signal.SIGINT)) == ([1], before)


def test_what_is_ignored_or_handled_already_stays_so() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.signal(signal.SIGTERM, lambda n, _: heard.append(n))
    try:
        with ended_by_sigterm(), drained(lambda: heard.append(0)):
            signal.raise_signal(signal.SIGINT)
        with ended_by_sigterm():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    assert heard == [signal.SIGTERM]


def test_other_threads_change_no_handler() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with ended_by_sigterm(), drained(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
