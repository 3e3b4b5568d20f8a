"""Errors as people want them: one clear line, exit code 2. Answers go to stdout, everything else to stderr."""

import functools
import io
import re
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from vitron_agent.cli.ending import Terminated
from vitron_agent.errors import Cancelled, VitronError, quoted

P = ParamSpec("P")
R = TypeVar("R")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
BAD_INPUT = 2
INTERRUPTED = 130  # as shells say it: 128 and the signal's number
TERMINATED = 143


def say(text: str = "") -> None:
    """Write a line for the user's eyes, not for pipes: to stderr."""
    typer.echo(text, err=True)


def answer(text: str, end: str = "\n") -> None:
    """Write words of a user, a planner or a tool to stdout; control characters are shown, a terminal obeys none."""
    typer.echo(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text) + end, nl=False)


def one_line(text: str) -> str:
    """Return a text without line breaks, at most 500 characters."""
    text = " ".join(text.split())
    return text if len(text) <= 500 else text[:497] + "..."


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Make a command end with one line and exit code 2 where the library refuses, and quietly where it was asked."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        _lenient_streams()
        try:
            return command(*args, **kwargs)
        except Cancelled:
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except VitronError as error:
            say(f"error: {one_line(str(error))}")
            raise typer.Exit(BAD_INPUT) from None
        except BrokenPipeError:
            raise  # whoever read the output has seen enough: click ends quietly
        except OSError as error:
            what = quoted(str(error.filename or "the output"), 300)
            reason = error.strerror or type(error).__name__
            say(f"error: {what} cannot be written or read ({reason}): free the disk, or send it elsewhere")
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Terminated:
            say("terminated")
            raise typer.Exit(TERMINATED) from None

    return wrapped


def _lenient_streams() -> None:
    """Let no file name or byte that is no UTF-8 end a command: it is shown escaped, and refused in a request."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def quiet_libraries() -> None:
    """Keep progress bars and advice of the model libraries off the terminal; ours go to stderr."""
    import logging
    import os

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched: the weights are local
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)


class Meter:
    """One progress line on stderr, only where a person is watching."""

    def __init__(self) -> None:
        """Watch whether stderr is a terminal."""
        self._on = sys.stderr.isatty()
        self._shown = False

    def show(self, name: str, step: int, total: int) -> None:
        """Draw the bar of one tool."""
        if self._on:
            filled = round(20 * step / max(total, 1))
            sys.stderr.write(f"\r{name} [{'#' * filled}{'.' * (20 - filled)}] {step}/{total} ")
            sys.stderr.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
            self._shown = False
