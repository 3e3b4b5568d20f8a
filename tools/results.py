"""The texts in which results come back to the planner: it was trained on exactly these, so they stand in one place.

This file knows words only.
"""

from collections.abc import Sequence

from vitron_agent.media import Box
from vitron_agent.specialists.base import SpecialistResult

PREFIX = "Result:"
MADE = f"{PREFIX} done."  # a picture or video was made or edited; it comes with the result
EVERYTHING = "everything"
BACKGROUND = "background"


def segmented(command: str, result: SpecialistResult, picture: str) -> str:
    """Say what was found where and how much of the picture it fills; for "everything", what there is.

    Args:
        command: What was looked for, as the planner said it.
        result: Mask, boxes and labels.
        picture: What the picture is called, such as "picture 1".
    """
    assert result.mask is not None
    if is_everything(command):
        labels = [*result.labels, BACKGROUND]
        return f"{PREFIX} {len(labels)} segments of {picture}: {', '.join(labels)}."
    where = " and ".join(box_text(box) for box in result.boxes)
    share = f"{100 * float(result.mask.float().mean()):.1f}% of {picture}"
    return f"{PREFIX} {command} at {where}, {share}." if where else f"{PREFIX} {command}, {share}."


def tracked(command: str, track: Sequence[Box | None], video: str) -> str:
    """Say where an object is in the first and the last frame that show it.

    Args:
        command: What was followed, as the planner said it.
        track: Its box in every frame, None where it is not seen.
        video: What the video is called, such as "video 1".
    """
    seen = [frame for frame, box in enumerate(track) if box]
    boxes = [box for box in track if box]
    part = "" if len(seen) == len(track) else f"frames {seen[0]} to {seen[-1]} of "
    return f"{PREFIX} {command} in {part}{video}, from {box_text(boxes[0])} to {box_text(boxes[-1])}."


def is_everything(command: str) -> bool:
    """Whether a segmentation asks for all parts of the picture."""
    return command.strip(" .!").lower() == EVERYTHING


def box_text(box: Sequence[float]) -> str:
    """Write a box with two decimals: `(0.20, 0.30, 0.41, 0.52)`."""
    return f"({', '.join(f'{value:.2f}' for value in box)})"
