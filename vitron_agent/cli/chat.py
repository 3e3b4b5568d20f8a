"""`vitron-agent chat`: a conversation at the terminal. Text streams as it is written; results are files in a folder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vitron_agent.cli.inputs import check_inputs, check_thread, check_writable
from vitron_agent.cli.plain import Meter, answer, one_line, plainly, quiet_libraries, say
from vitron_agent.cli.run import HostMemory, Memory, Out, Profile, Seed, Signals, Thread, Weights
from vitron_agent.errors import CheckpointError, InputError, StorageError, VitronError, quoted
from vitron_agent.profiles import DEFAULT_PROFILE

if TYPE_CHECKING:
    from vitron_agent.cli.session import Session

HELP = """Say what you would like: "draw a red circle and a blue star", "make the star green", "where is the circle?"
  /image FILE           show me a picture with your next message
  /video FILE           show me a video with your next message
  /region KIND:NUMBERS  draw on the latest of them, such as /region box:0.1,0.2,0.5,0.6 or /region click:0.3,0.4
  /help, /quit"""


@dataclass
class _Draft:
    """What the user has attached to the message that is still to come."""

    images: list[Path] = field(default_factory=list)
    video: Path | None = None
    region: str | None = None


@plainly
def chat(
    thread: Thread = None,
    profile: Profile = DEFAULT_PROFILE,
    seed: Seed = 0,
    out: Out = Path("out"),
    signals: Signals = True,
    weights: Weights = None,
    memory: Memory = None,
    host_memory: HostMemory = None,
) -> None:
    """Talk with the agent at the terminal; /help lists what else you can do there."""
    quiet_libraries()
    from vitron_agent.cli.session import open_session
    from vitron_agent.locations import loadable

    loadable(profile, weights)
    check_thread(thread)
    check_writable(out)
    say("loading ...")
    where: dict[str, Any] = {"weights": weights, "memory": memory, "host_memory": host_memory}
    with open_session(profile, thread, signals, seed, **where) as session:
        say(HELP)
        draft = _Draft()
        while (line := _ask()) is not None:
            try:
                if not _command(line, draft):  # a command that failed leaves what was attached before it
                    sent, draft = draft, _Draft()
                    _turn(session, line, sent, out)
            except (CheckpointError, StorageError):
                raise  # nothing can go on from here
            except VitronError as error:
                say(f"error: {one_line(str(error))}")


def _ask() -> str | None:
    """Return the next line of the user, or None at the end."""
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            return None
        if line in ("/quit", "/exit"):
            return None
        if line:
            return line


def _command(line: str, draft: _Draft) -> bool:
    """Carry out a line that begins with a slash; False if it is a message."""
    if not line.startswith("/"):
        return False
    word, _, rest = line.partition(" ")
    rest = rest.strip()
    if word not in ("/help", "/image", "/video", "/region"):
        raise InputError(f"{quoted(word)} is no command: /image, /video, /region, /help or /quit")
    if word == "/help":
        say(HELP)
    elif not rest:
        raise InputError(f"{word} what? Write it as /help shows")
    elif word == "/region":
        check_inputs((), region=rest, video=draft.video)
        draft.region = rest
        say("drawn; it comes with your next message")
    else:
        path = Path(rest)
        if word == "/image":
            check_inputs((), [path])
            draft.images.append(path)
        else:
            check_inputs((), video=path)
            draft.video = path
        say(f"{rest} comes with your next message")
    return True


def _turn(session: "Session", line: str, draft: _Draft, out: Path) -> None:
    """Run one message and say where its results lie."""
    from vitron_agent.cli.outputs import Writer

    inputs = check_inputs([line], draft.images, draft.region, draft.video)
    meter = Meter()
    spoken: list[str] = []

    def write(text: str) -> None:
        meter.clear()
        spoken.append(text)
        answer(text, end="")

    names = [str(path) for path in (*draft.images, draft.video) if path is not None]
    turn = session.turn(
        line, inputs.images, inputs.region, names, on_text=write, on_progress=meter.show, videos=inputs.videos
    )
    meter.clear()
    record: dict[str, Any] = Writer(session, out).turn(turn)
    if not spoken:
        answer(record["text"], end="")
    typer.echo()
    for call in record["calls"]:
        result = call["output"]["path"] if call["output"] else f"not done: {call['error']}"
        answer(f"  [{call['name']}: {result}]")
