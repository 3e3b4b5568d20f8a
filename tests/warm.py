"""Python programs that begin at once: forked from a process that has imported what others wrote, and nothing of ours.

Importing torch and its kin is most of what a test waits for that starts a program. All else is as if Python had been
started: a program has its own arguments, environment, folder and streams, imports our code itself, hears real signals,
and ends as Python ends. What is promised of a start itself is tested with `subprocess`.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).resolve().parents[1]
IMPORTED = (
    "torch",
    "transformers.models.llava.modeling_llava",
    "transformers.models.llama.tokenization_llama",
    "diffusers.models.unets.unet_3d_condition",
    "diffusers.models.autoencoders",
    "diffusers.schedulers",
    "langgraph.prebuilt",
    "langgraph.checkpoint.memory",
    "langgraph.checkpoint.sqlite",
    "langchain.agents",
    "accelerate",
    "typer.rich_utils",
    "fsspec.implementations.local",
    "cv2",
    "av",
    "PIL.Image",
    "ipykernel.kernelapp",
)
"""What takes long. Nothing of ours, so that each program imports that as it stands."""
_NUMBER = struct.Struct("i")


class Program:
    """A running program, as `subprocess.Popen` has it; a stream that was not to be piped is None."""

    def __init__(self, pid: int, ending: socket.socket, streams: Sequence[IO[Any] | None]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = streams
        self._ending = ending

    def poll(self) -> int | None:
        """Return the code it ended with, negative for a signal; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the code."""
        if self.returncode is None:
            self._ending.settimeout(timeout)
            try:
                (self.returncode,) = _NUMBER.unpack(self._ending.recv(_NUMBER.size))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"program {self.pid}", timeout or 0) from None
            self._ending.close()
        return self.returncode

    def communicate(self, said: Any = None, timeout: float | None = None) -> tuple[Any, Any]:
        """Say something, if anything, hear all, and wait for the end."""
        heard: dict[IO[Any] | None, Any] = {}

        def hear(stream: IO[Any]) -> None:
            with stream:
                heard[stream] = stream.read()

        open_ones = [stream for stream in (self.stdout, self.stderr) if stream is not None and not stream.closed]
        ears = [threading.Thread(target=hear, args=(stream,), daemon=True) for stream in open_ones]
        for ear in ears:
            ear.start()
        if self.stdin is not None and not self.stdin.closed:
            with suppress(BrokenPipeError):
                if said:
                    self.stdin.write(said)
                self.stdin.close()
        self.wait(timeout)
        for ear in ears:
            ear.join(timeout)
        return heard.get(self.stdout), heard.get(self.stderr)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()


def start(
    *command: str | Path,
    cwd: str | Path = ".",
    env: Mapping[str, str] | None = None,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
    text: bool = False,
    start_new_session: bool = False,
) -> Program:
    """Start `python *command`, a script, `-m` and a module, or `-c` and code; the rest is as `subprocess.Popen` has it.

    A stream is piped (`subprocess.PIPE`), nothing (`subprocess.DEVNULL`), or this process's own (None).
    """
    theirs: list[int] = []
    ours: list[IO[Any] | None] = []
    for number, wanted in enumerate((stdin, stdout, stderr)):
        reading, writing = os.pipe() if wanted == subprocess.PIPE else (-1, -1)
        if reading >= 0:
            theirs.append(writing if number else reading)
            kept = reading if number else writing
            ours.append(open(kept, "rw"[not number] + "b" * (not text), buffering=-1 if text or number else 0))
        else:
            theirs.append(os.dup(number) if wanted is None else os.open(os.devnull, os.O_RDWR))
            ours.append(None)
    ending, end = socket.socketpair()
    asked = {
        "command": list(map(str, command)),
        "cwd": str(Path(cwd).resolve()),
        "env": dict(os.environ if env is None else env),
        "alone": start_new_session,
    }
    source = _source()
    socket.send_fds(source, [json.dumps(asked).encode() + b"\n"], [*theirs, end.fileno()])
    for number in theirs:
        os.close(number)
    end.close()
    (pid,) = _NUMBER.unpack(ending.recv(_NUMBER.size))
    return Program(pid, ending, ours)


@cache
def _source() -> socket.socket:
    """A socket to the process that forks, which is started for the first program and ends with this one."""
    ours, theirs = socket.socketpair()
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    env.pop("PYTHONPATH", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", str(theirs.fileno())],
        cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
    )  # fmt: skip
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _fork_for(source: socket.socket) -> dict[str, Any]:
    """Fork for each program that is asked for; return what was asked for in the child that is to be it."""
    while True:
        said, streams, _, _ = socket.recv_fds(source, 2**16, 4)
        while said and not said.endswith(b"\n"):
            said += source.recv(2**16)
        if not said:
            os._exit(0)
        if os.fork() == 0:
            break
        for number in streams:
            os.close(number)
    # A process between waits for the program and tells how it ended.
    source.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked: dict[str, Any] = json.loads(said)
    *streams, end = streams
    if program := os.fork():
        for number in streams:
            os.close(number)
        code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
        with suppress(BrokenPipeError):
            os.write(end, _NUMBER.pack(code))
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked["alone"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.write(end, _NUMBER.pack(os.getpid()))
    os.close(end)
    return asked


def _become(asked: dict[str, Any], paths: Sequence[str]) -> None:
    """Run what was asked for, as Python would have."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    tempfile.tempdir = None
    for number, name in enumerate(("stdin", "stdout", "stderr")):  # they remember what they were opened on
        old, how = getattr(sys, name), ("r", "w", "w")[number]
        new = open(number, how, 1 if number == 2 else -1, old.encoding, old.errors, closefd=False)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    how, *more = asked["command"]
    first = os.getcwd() if how == "-m" else "" if how == "-c" else str(Path(how).resolve().parent)
    own = [path for path in asked["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [first, *own, *paths]
    if how == "-m":
        sys.argv = more
        runpy.run_module(more[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        sys.argv = ["-c", *more[1:]]
        exec(compile(more[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [how, *more]
        runpy.run_path(how, run_name="__main__")


def _main() -> None:
    """Import, and fork until nobody is there who could ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a program's own business
    for name in IMPORTED:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # programs need not look through what was imported here
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those between need no farewell
    _become(_fork_for(socket.socket(fileno=int(sys.argv[1]))), sys.path[1:])


if __name__ == "__main__":
    _main()
