"""Reads training data in the format of VITRON's release: JSON lists of samples with `conversations` and paths of media.

A sample (its data/README.md): `image` and/or `video` (a path or a list of them), `bbox` (x1, y1, x2, y2 in pixels of
the original picture; none, or the whole picture, where no region is meant), `conversations` of `from` ("human" or
"gpt") and `value`. Ours alone is `target`, the picture that a drawing call should make (stage 1.3). Everything that can
be checked without decoding media is checked at once, so that a run does not end in its third hour. This file knows
nothing of tensors beyond handing pixels on, and nothing of training.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from vitron_agent.errors import InputError, quoted
from vitron_agent.invocation import Module, parse_reply
from vitron_agent.media.images import load_image
from vitron_agent.media.videos import load_video
from vitron_agent.planner.processor import AssistantTurn, DrawnRegion, Turn, UserTurn

Bbox = tuple[float, float, float, float]
MARK = "<objs>"
_PLACEHOLDERS = ("<image>\n", "<video>\n", "<image>", "<video>")
_SLACK = 1.0
"""Pixels by which a box may lie outside: annotators round."""
_ANY_SIZE = (100_000, 100_000)
"""Picture size for a first reading of calls: whether boxes in pixels fit is seen when the picture is."""
_SHOWN = 3
"""Bad samples that a message names; of the rest their number."""


@dataclass(frozen=True)
class ReleaseSample:
    """One checked sample.

    Attributes:
        name: File, number and `idx`, for messages.
        images: Paths of its pictures.
        videos: Paths of its videos.
        bbox: (x1, y1, x2, y2) in pixels of the last picture, or of the last video where there is no picture; or None.
        target: Path of the picture that its drawing call should make, which the planner is not shown; or None.
        dialogue: What human and model say in turn, the human first; placeholders of media are taken out.
    """

    name: str
    images: tuple[Path, ...]
    videos: tuple[Path, ...]
    bbox: Bbox | None
    dialogue: tuple[tuple[str, str], ...]
    target: Path | None = None

    @property
    def modules(self) -> list[Module]:
        """The modules that its answers call, one for every call."""
        replies = [parse_reply(text, _ANY_SIZE) for who, text in self.dialogue if who == "gpt"]
        return [invocation.module for reply in replies for invocation in reply.invocations]


def read_release(files: Sequence[str | Path], media: str | Path) -> list[ReleaseSample]:
    """Read and check JSON files.

    Args:
        files: Each holds a list of samples.
        media: Folder that the samples' paths are relative to.

    Raises:
        InputError: A file is missing or no JSON list, there is no sample at all, or samples are bad: without
            conversations, with media that are not there or outside the folder, a box that is none, or a call that
            cannot be understood (such as of an unknown module). The message counts them and names the first.
    """
    folder = Path(media)
    if not folder.is_dir():
        raise InputError(f"{quoted(str(folder), 300)} is no folder: give the one that the samples' paths begin in")
    samples: list[ReleaseSample] = []
    problems: list[str] = []
    for path in map(Path, files):
        for number, entry in enumerate(_entries(path)):
            try:
                samples.append(_checked(entry, f"{path.name}, sample {number}", folder))
            except InputError as error:
                problems.append(str(error))
    if problems:
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise InputError(
            f"{len(problems)} of {len(problems) + len(samples)} samples cannot be used: "
            f"{'; '.join(problems[:_SHOWN])}{more}"
        )
    if not samples:
        names = ", ".join(str(path) for path in files) or "no file"
        raise InputError(f"{quoted(names, 300)} holds no sample: give a file with at least one")
    return samples


def _entries(path: Path) -> list[Any]:
    """The samples of a file as plain data."""
    shown = quoted(str(path), 300)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{shown} cannot be read ({error.strerror}): check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{shown} is not UTF-8 text: save it as JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise InputError(f"{shown} is broken JSON ({where}): mend it, or download it again") from None
    except RecursionError:
        raise InputError(f"{shown} is nested too deeply: it must be a list of samples") from None
    if not isinstance(data, list):
        raise InputError(f"{shown} holds a {type(data).__name__}, not a list of samples: put it in [ ]")
    return data


def _checked(entry: Any, name: str, folder: Path) -> ReleaseSample:
    """A sample from plain data, or what is wrong with it."""
    if not isinstance(entry, dict):
        raise InputError(f"{name} is a {type(entry).__name__}, not an object with `conversations`")
    if "idx" in entry:
        name = f"{name} (idx {quoted(str(entry['idx']), 40)})"
    images, videos = (_paths(entry.get(key), key, name, folder) for key in ("image", "video"))
    bbox = _bbox(entry.get("bbox"), name)
    if bbox is not None and not images + videos:
        raise InputError(f"{name} has a bbox but neither image nor video: take the bbox out, or add what it is of")
    targets = _paths(entry.get("target"), "target", name, folder)
    if len(targets) > 1:
        raise InputError(f"{name} has {len(targets)} targets: name the one picture that its drawing call should make")
    return ReleaseSample(name, images, videos, bbox, _dialogue(entry.get("conversations"), name), *targets)


def _paths(value: Any, key: str, name: str, folder: Path) -> tuple[Path, ...]:
    """The media files of a sample."""
    listed = value if isinstance(value, list) else [] if value is None else [value]
    found = []
    for item in listed:
        if not isinstance(item, str) or not item.strip():
            raise InputError(f"{name}: {key} {quoted(str(item))} is no path")
        pure = PurePosixPath(item)
        if pure.is_absolute() or ".." in pure.parts or "\0" in item:
            raise InputError(f"{name}: {key} {quoted(item)} leads out of the media folder: give a path below it")
        if not (folder / pure).is_file():
            raise InputError(f"{name}: {key} {quoted(item)} is not below {quoted(str(folder), 300)}: put it there")
        found.append(folder / pure)
    return tuple(found)


def _bbox(value: Any, name: str) -> Bbox | None:
    """The box of a sample; whether it lies in the picture is seen when that is decoded."""
    if value is None:
        return None
    numbers = value if isinstance(value, list) else []
    finite = [float(n) for n in numbers if isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e9]
    if len(numbers) != 4 or len(finite) != 4:
        raise InputError(f"{name}: bbox {quoted(str(value))} is not four numbers [x1, y1, x2, y2] in pixels")
    x1, y1, x2, y2 = finite
    if x1 >= x2 or y1 >= y2:
        raise InputError(f"{name}: bbox {finite} has no area: write [left, top, right, bottom]")
    return x1, y1, x2, y2


def _dialogue(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    """What is said, in pairs of human and model, with every call understood."""
    if not isinstance(value, list) or not value:
        raise InputError(f"{name} has no conversations: give a list of human and gpt turns")
    said: list[tuple[str, str]] = []
    for place, turn in enumerate(value):
        who, text = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
        wanted = "gpt" if place % 2 else "human"
        if who != wanted or not isinstance(text, str):
            raise InputError(f"{name}: turn {place} is of {quoted(str(who), 40)}, not words of {wanted!r}")
        if wanted == "gpt" and (bad := parse_reply(text, _ANY_SIZE).problems):
            raise InputError(f"{name}: turn {place}: {bad[0]}")
        said.append((wanted, text))
    if len(said) % 2:
        raise InputError(f"{name} ends with the human: there is no answer to learn")
    for mark in _PLACEHOLDERS:
        said = [(who, text.replace(mark, "") if who == "human" else text) for who, text in said]
    return tuple((who, text.strip()) for who, text in said)


def load_turns(sample: ReleaseSample) -> list[Turn]:
    """Decode a sample's media and make the planner's turns of it; all media come with the first words.

    A box is a region where the words hold `<objs>`, or where it is smaller than the picture; `<objs>` without a box
    means the whole picture.

    Returns:
        `UserTurn` and `AssistantTurn` in turn. Pictures: uint8 (3, H, W); videos: uint8 (T, 3, H, W).

    Raises:
        InputError: A picture or video cannot be decoded, the box lies outside the picture, or a call's box does.
    """
    pictures = tuple(load_image(path) for path in sample.images)
    videos = tuple(load_video(path)[0] for path in sample.videos)
    shown = (pictures or videos)[-1:]
    size = (int(shown[0].shape[-1]), int(shown[0].shape[-2])) if shown else None
    turns: list[Turn] = []
    for place, (who, text) in enumerate(sample.dialogue):
        if who == "gpt":
            reply = parse_reply(text, size)
            if reply.problems:
                raise InputError(f"{sample.name}: turn {place}: {reply.problems[0]}")
            turns.append(AssistantTurn(reply.text, reply.invocations))
            continue
        regions = _regions(sample, text, shown, is_first=place == 0)
        words = text if regions else text.replace(MARK, "it")
        turns.append(UserTurn(words, pictures if not place else (), regions, videos if not place else ()))
    return turns


def _regions(sample: ReleaseSample, text: str, shown: Sequence[Tensor], is_first: bool) -> tuple[DrawnRegion, ...]:
    """The regions of a human turn, one per mark; of the first turn also the box that no mark stands for."""
    if not shown:
        return ()
    height, width = shown[0].shape[-2:]
    box = sample.bbox or (0.0, 0.0, float(width), float(height))
    mask = box_pixels(box, int(height), int(width), sample.name)
    marks = text.count(MARK)
    if not marks and is_first and sample.bbox is not None and not bool(mask.all()):
        marks = 1
    number, on_video = len(sample.images or sample.videos), not sample.images
    return tuple(DrawnRegion(mask, number, on_video) for _ in range(marks))


def box_pixels(box: Bbox, height: int, width: int, name: str) -> Tensor:
    """The pixels of a box, bool (height, width).

    Args:
        box: (x1, y1, x2, y2) in pixels.
        height: Of the picture.
        width: Of the picture.
        name: Whose box, for the message.

    Raises:
        InputError: It lies outside the picture by more than a pixel.
    """
    x1, y1, x2, y2 = box
    if min(x1, y1) < -_SLACK or x2 > width + _SLACK or y2 > height + _SLACK or x1 >= width or y1 >= height:
        raise InputError(f"{name}: bbox {list(box)} lies outside the picture of {width} x {height} pixels: correct it")
    left, top = max(int(x1), 0), max(int(y1), 0)
    right, bottom = min(-int(-x2 // 1), width), min(-int(-y2 // 1), height)
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask
