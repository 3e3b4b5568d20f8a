"""`vitron-agent run`: one conversation, one turn per request, results as files and on request as JSON."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vitron_agent.cli.inputs import check_inputs, check_thread, check_writable
from vitron_agent.cli.plain import Meter, answer, plainly, quiet_libraries, say
from vitron_agent.profiles import DEFAULT_PROFILE

Out = Annotated[Path, typer.Option(help="Folder for the results.")]
Profile = Annotated[str, typer.Option(help="Which weights (see `vitron-agent models`).")]
Signals = Annotated[bool, typer.Option("--signals/--no-signals", help="Whether the planner's embeddings are used.")]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**63 - 1, help="Of all randomness: the same seed draws the same pictures."),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the profile's parts; tiny has its own, others $VITRON_WEIGHTS or what `models pull` got."
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(help="What planner and specialists may take together, such as 24GB; by default all of a GPU's."),
]
HostMemory = Annotated[
    str | None,
    typer.Option(help="Of the machine's memory, where those wait that had to leave a GPU; by default most of it."),
]
Thread = Annotated[str | None, typer.Option(help="Go on with the stored conversation of this name, or start it.")]


@plainly
def run(
    requests: Annotated[list[str], typer.Argument(metavar="REQUEST...", help="One user turn each.")],
    image: Annotated[list[Path] | None, typer.Option(help="A picture for the first turn; may be given again.")] = None,
    video: Annotated[Path | None, typer.Option(help="A video for the first turn.")] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="KIND:NUMBERS", help="Drawn on the picture or video, such as box:0.1,0.2,0.5,0.6."),
    ] = None,
    thread: Thread = None,
    profile: Profile = DEFAULT_PROFILE,
    seed: Seed = 0,
    out: Out = Path("out"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all turns to stdout.")] = False,
    signals: Signals = True,
    gif: Annotated[bool, typer.Option("--gif", help="Write videos as GIF instead of MP4.")] = False,
    weights: Weights = None,
    memory: Memory = None,
    host_memory: HostMemory = None,
) -> None:
    """Run a conversation: each REQUEST is one turn; picture, video and region belong to the first.

    KIND is click (x,y), box (x1,y1,x2,y2), polygon or scribble (x,y,x,y,...); numbers are shares of the picture's
    width and height in [0, 1]. On a video the region lies on its first frame, or on another one: box:...|5,5.
    """
    quiet_libraries()
    from vitron_agent.cli.session import open_session
    from vitron_agent.locations import loadable

    loadable(profile, weights)
    check_thread(thread)
    inputs = check_inputs(requests, image or [], region, video)
    if inputs.region and not inputs.images and not inputs.videos and thread is None:
        from vitron_agent.errors import InputError

        raise InputError("--region needs something to lie on: give a picture with --image, or a video with --video")
    check_writable(out)
    names = [str(path) for path in [*(image or []), *([video] if video else [])]]
    where: dict[str, Any] = {"weights": weights, "memory": memory, "host_memory": host_memory}
    with open_session(profile, thread, signals, seed, **where) as session:
        records = _converse(session, inputs, names, out, "gif" if gif else "mp4")
    if as_json:
        typer.echo(json.dumps({"turns": records}))
    else:
        for record in records:
            show(record)


def _converse(session: Any, inputs: Any, names: list[str], out: Path, video_suffix: str) -> list[dict[str, Any]]:
    """Run all turns, then write all files: a run that fails half way leaves no files behind."""
    from vitron_agent.cli.outputs import Writer

    meter, turns = Meter(), []
    for number, request in enumerate(inputs.requests):
        first = number == 0
        turns.append(
            session.turn(
                request,
                inputs.images if first else (),
                inputs.region if first else None,
                names if first else (),
                videos=inputs.videos if first else (),
                on_progress=meter.show,
            )
        )
        meter.clear()
        say(f"turn {number + 1} of {len(inputs.requests)}: {turns[-1].seconds:.1f} s")
    writer = Writer(session, out, video_suffix)
    return [writer.turn(turn) for turn in turns]


def show(record: dict[str, Any]) -> None:
    """Print one turn for people."""
    answer(f"> {record['request']}")
    for call in record["calls"]:
        result = call["output"]["path"] if call["output"] else f"not done: {call['error']}"
        answer(f"  {call['name']}: {call['command']} -> {result}")
    answer(f"{record['text']}\n")
