"""What a call brings back: the words of its result, and for a video the edited one."""

import math
from dataclasses import replace

from vitron_agent.invocation import Invocation, Module
from vitron_agent.media import Region
from vitron_agent.shapes.clip import FRAMES, Clip
from vitron_agent.shapes.scene import Obj, Scene
from vitron_agent.shapes.tasks_refer import apply, is_background, is_everything, target_of

_AREA = {
    "circle": math.pi,
    "square": 4.0,
    "triangle": 2.0,
    "diamond": 2.0,
    "cross": 8 * 0.38 - 4 * 0.38**2,
    "star": 5 * 0.45 * math.sin(math.pi / 5),
}


def area(obj: Obj) -> float:
    """Share of the picture that an object covers."""
    return _AREA[obj.shape] * obj.r**2


def show_box(box: tuple[float, float, float, float]) -> str:
    """A box as it is written everywhere: (0.10, 0.20, 0.30, 0.40)."""
    return f"({box[0]:.2f}, {box[1]:.2f}, {box[2]:.2f}, {box[3]:.2f})"


def mask_result(scene: Scene, phrase: str, number: int, drawn: Region | None) -> str:
    """What a planner reads after a segmentation: phrase, box and share of picture `number`."""
    if is_everything(phrase):
        labels = [f"{o.colour} {o.shape}" for o in scene.objects] + ["background"]
        return f"Result: {len(labels)} segments of picture {number}: {', '.join(labels)}."
    if is_background(phrase):
        share, box = 1 - sum(area(o) for o in scene.objects), (0.0, 0.0, 1.0, 1.0)
    else:
        obj = scene.objects[target_of(scene, phrase, drawn)]
        share, box = area(obj), obj.box
    return f"Result: {phrase} at {show_box(box)}, {100 * share:.1f}% of picture {number}."


def track_result(clip: Clip, phrase: str, number: int, drawn: Region | None) -> str:
    """What a planner reads after tracking: phrase, number of the video, boxes in its first and last frame."""
    index = target_of(clip.scene, phrase, drawn)
    first, last = (clip.at(frame).objects[index].box for frame in (0, FRAMES - 1))
    return f"Result: {phrase} in video {number}, from {show_box(first)} to {show_box(last)}."


def apply_clip(clip: Clip, invocation: Invocation, drawn: Region | None = None) -> Clip:
    """What a video edit makes of a clip, if the specialist does exactly what it is told; all motions stay.

    Args:
        clip: The video that the call starts from.
        invocation: A call of module F.
        drawn: The region that the user drew on the first frame, for a call that means it.

    Raises:
        ValueError: The call is none of module F, changes the number of objects, means no object, or several.
    """
    if invocation.module is not Module.F:
        raise ValueError(f"module {invocation.module.letter} edits no video")
    scene = clip.scene
    for command in (invocation.command, invocation.background):
        if command:
            edit = Invocation(module=Module.C, command=command, uses_drawn_region=invocation.uses_drawn_region)
            scene = apply(scene, edit, drawn)
    if len(scene.objects) != len(clip.motions):
        raise ValueError(f"{invocation.command!r} adds or removes objects: a video keeps those it has")
    return replace(clip, scene=scene)
