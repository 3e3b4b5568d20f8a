"""`vitron-agent demo`: five short conversations, their pictures and videos, and a contact sheet that shows it all."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitron_agent.cli.inputs import check_writable
from vitron_agent.cli.plain import Meter, plainly, quiet_libraries, say
from vitron_agent.cli.run import Profile, Seed, Signals, show
from vitron_agent.profiles import DEFAULT_PROFILE

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

CONVERSATIONS: dict[str, tuple[str, ...]] = {
    "four turns": (
        "Draw a red circle on the left and a blue square on the right, on a gray background.",
        "Make the circle yellow.",
        "Now segment the square.",
        "What color is the circle?",
    ),
    "three steps at once": ("Draw a green star on a sand background, then make it purple and then cut it out.",),
    "a video": ("Track the red circle.", "Which way does it move?", "Now make it yellow."),
    "a video from words": ("Make a video of a green square moving to the left on a sand background.",),
    "a picture in motion": ("Draw a red circle on a sand background, let it move up and then track it.",),
}
SHEET = "contact-sheet.png"

CELL, PAD, TEXT = 240, 16, 96  # pixels: a picture's side, the space between, the height of the words under it
COLUMNS = 4


@dataclass(frozen=True)
class Cell:
    """One picture of the contact sheet with the words under it; no picture for an answer in words."""

    path: str | None
    title: str
    words: str


@plainly
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures and the contact sheet.")] = Path("out/demo"),
    profile: Profile = DEFAULT_PROFILE,
    seed: Seed = 0,
    signals: Signals = True,
) -> None:
    """Draw, edit, segment, ask in four turns; three steps from one request; track, ask, edit in a video; make two."""
    quiet_libraries()
    from vitron_agent.cli.outputs import Writer
    from vitron_agent.cli.session import open_session
    from vitron_agent.locations import loadable

    loadable(profile)
    check_writable(out)
    meter, cells = Meter(), list[Cell]()
    with open_session(profile, None, signals, seed) as opened:
        for name, requests in CONVERSATIONS.items():
            typer.echo(f"== {name}")
            session = replace(opened, thread=name, files={})  # the same agent, another conversation
            folder = out / name.replace(" ", "-")
            writer = Writer(session, folder)
            for number, request in enumerate(requests):
                videos = [a_video(folder / "video.mp4")] if name == "a video" and number == 0 else []
                names = [str(folder / "video.mp4")] if videos else []
                turn = session.turn(request, names=names, on_progress=meter.show, videos=videos)
                meter.clear()
                record = writer.turn(turn)
                show(record)
                cells += cells_of(record)
    contact_sheet(cells).save(out / SHEET)
    say(f"contact sheet: {out / SHEET}")


def a_video(path: Path) -> "tuple[Tensor, float]":
    """Write the video that the third conversation is about, and return its frames and rate."""
    from vitron_agent.media import encode_mp4
    from vitron_agent.shapes.clip import FPS, Clip, Motion, frames_of
    from vitron_agent.shapes.scene import COLOURS, Obj, Scene

    circle = Obj("circle", "red", "large", 0.25, 0.6, 0.18, COLOURS["red"])
    star = Obj("star", "white", "small", 0.75, 0.2, 0.12, COLOURS["white"])
    frames = frames_of(Clip(Scene("navy", (circle, star)), (Motion("right", 0.45), None)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_mp4(frames, FPS))
    return frames, FPS


def cells_of(record: dict[str, Any]) -> list[Cell]:
    """Return the cells of one turn: one for each result, or one with the answer."""
    made = [call for call in record["calls"] if call["output"]]
    if not made:
        return [Cell(None, record["request"], record["text"])]
    cells = [Cell(call["output"]["path"], "", f"{call['module']}: {call['command']}") for call in made]
    return [Cell(cells[0].path, record["request"], cells[0].words), *cells[1:]]


def contact_sheet(cells: list[Cell]) -> "Image":
    """Put pictures and words on one sheet, row by row, RGB."""
    from PIL import Image, ImageDraw, ImageFont

    rows = -(-len(cells) // COLUMNS)
    size = (PAD + COLUMNS * (CELL + PAD), PAD + rows * (CELL + TEXT + PAD))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    bold, plain = ImageFont.load_default(13), ImageFont.load_default(12)
    for index, cell in enumerate(cells):
        x = PAD + index % COLUMNS * (CELL + PAD)
        y = PAD + index // COLUMNS * (CELL + TEXT + PAD)
        if cell.path:
            sheet.paste(_still(cell.path).resize((CELL, CELL), Image.Resampling.NEAREST), (x, y))
        else:
            draw.rectangle((x, y, x + CELL, y + CELL), fill="#f2f2f2")
            draw.multiline_text((x + 12, y + 12), _wrapped(cell.words, bold, CELL - 24), "black", bold)
        below = y + CELL + 4
        title = _wrapped(f"> {cell.title}", bold, CELL) if cell.title else ""
        if title:
            draw.multiline_text((x, below), title, "black", bold)
            below += 17 * (title.count("\n") + 1)
        if cell.path:
            draw.multiline_text((x, below), _wrapped(cell.words, plain, CELL), "#666666", plain)
    return sheet


def _still(path: str) -> "Image":
    """Return a picture, RGB; of a video the first, two middle and the last frame in reading order."""
    from PIL import Image

    if not path.endswith(".mp4"):
        with Image.open(path) as picture:
            return picture.convert("RGB")
    from vitron_agent.media import load_video

    frames = load_video(path, most=4)[0].permute(0, 2, 3, 1).numpy()
    height, width = frames.shape[1:3]
    strip = Image.new("RGB", (2 * width, 2 * height))
    for index, frame in enumerate(frames):
        strip.paste(Image.fromarray(frame), (index % 2 * width, index // 2 * height))
    return strip


def _wrapped(text: str, font: Any, width: int) -> str:
    """Return a text with line breaks, so that no line is wider than `width` pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)
