"""Reads videos of the small world frame by frame, and judges an edit by what its frames show.

Stored videos carry half of the colour's resolution: in a frame, a shrunken star may read as a square, and colours that
bleed into each other as a speck. So specks are left out, and a shape is asked of the frames that show most of it.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace

import torch

from vitron_agent.evaluation.areas import untouched
from vitron_agent.evaluation.metrics import psnr
from vitron_agent.shapes.check import Wanted, read_scene, same_objects
from vitron_agent.shapes.check.compare import NEAR
from vitron_agent.shapes.clip import Clip
from vitron_agent.shapes.scene import COLOURS, Obj, Scene

Film = tuple[Scene, ...]
"""What is read in each frame."""
SURE = 0.5
"""A silhouette that fits its best shape worse than this IoU is a speck."""
SHADE = 0.12
"""RGB distance (channels in [0, 1]) within which a shade counts as the same, whatever its nearest name."""
SHARE = 7 / 8
"""From this share of right frames on a video is right."""
ON_COURSE = 0.05
"""How far from its true centre an object may be in any frame, share of the side."""


@dataclass(frozen=True)
class FilmCheck:
    """What is right in an edited video.

    Attributes:
        done: What was asked is there, and the other objects are as they were.
        motion_kept: Every object is where it should be in every frame.
        psnr_untouched: dB outside of what the edit may change, against the video that was edited; None where it may
            change everything.
    """

    done: bool
    motion_kept: bool
    psnr_untouched: float | None


def read_film(video: torch.Tensor) -> Film:
    """Read every frame of a video, uint8 (T, 3, S, S)."""
    found = []
    for frame in video:
        read = read_scene(frame)
        sure = tuple(o for o, fit in zip(read.scene.objects, read.confidences, strict=True) if fit >= SURE)
        found.append(replace(read.scene, objects=sure))
    return tuple(found)


def check_film(before: torch.Tensor, after: torch.Tensor, source: Clip, wanted: Clip) -> FilmCheck:
    """Judge an edit.

    Args:
        before: uint8 (T, 3, S, S), the video that was edited.
        after: Likewise, what came of it.
        source: What `before` shows.
        wanted: What `after` must show.
    """
    if before.shape != after.shape or len(after) != len(wanted.scenes):
        return FilmCheck(False, False, None)
    film = read_film(after)
    right = [_is_right(frame, scene) for frame, scene in zip(film, wanted.scenes, strict=True)]
    shapes = all(seen_shape(film, wanted, i) == obj.shape for i, obj in enumerate(wanted.scene.objects))
    pairs = zip(film, wanted.scenes, strict=True)
    kept = all(nearest(frame, obj, ON_COURSE) is not None for frame, scene in pairs for obj in scene.objects)
    where = untouched(source, wanted, after.shape[-1])
    return FilmCheck(shapes and sum(right) >= SHARE * len(right), kept, film_psnr(before, after, where))


def _is_right(frame: Scene, wanted: Scene) -> bool:
    """Whether background, number, colours and places in a frame are as wanted."""
    asked = Wanted.of(_as_named(wanted, frame), sizes=False)
    free = tuple(replace(obj, shape=None) for obj in asked.objects)
    return same_objects(frame, replace(asked, objects=free)).all_ok


def _as_named(wanted: Scene, frame: Scene) -> Scene:
    """The scene with colours called what a frame calls them where the shade is right: it may lie between two names."""
    nearby = [(obj, nearest(frame, obj, NEAR)) for obj in wanted.objects]
    objects = (
        replace(obj, colour=near.colour) if near and math.dist(near.rgb, obj.rgb) <= SHADE else obj
        for obj, near in nearby
    )
    return replace(wanted, objects=tuple(objects))


def nearest(frame: Scene, obj: Obj, reach: float) -> Obj | None:
    """What a frame shows nearest to an object's centre, None if nothing within `reach` (share of the side)."""
    near = min(frame.objects, key=lambda other: _distance(other, obj), default=None)
    return near if near is not None and _distance(near, obj) <= reach else None


def _distance(first: Obj, second: Obj) -> float:
    return math.hypot(first.x - second.x, first.y - second.y)


def seen_shape(film: Film, clip: Clip, index: int) -> str | None:
    """The shape that stands where a clip's object should be, most often in the half of the frames that show it largest.

    None where nothing stands there.
    """
    scenes = clip.scenes
    largest = sorted(range(len(scenes)), key=lambda t: -scenes[t].objects[index].r)[: len(scenes) // 2]
    found = [nearest(film[t], scenes[t].objects[index], NEAR) for t in largest]
    return _commonest([obj.shape for obj in found if obj is not None])


def _seen_colour(seen: list[Obj], obj: Obj) -> str:
    """The colour that is seen most often where an object should be; its own where the shade is its own."""
    names = [obj.colour if math.dist(near.rgb, obj.rgb) <= SHADE else near.colour for near in seen]
    return _commonest(names) or obj.colour


def shown_clip(film: Film, source: Clip) -> Clip:
    """What a video shows that was made of another: its colours, shapes and background, with the source's motions.

    An object of the source that is not seen in most frames is gone.
    """
    objects, motions = [], []
    for index, (obj, motion) in enumerate(zip(source.scene.objects, source.motions, strict=True)):
        pairs = zip(film, source.scenes, strict=True)
        seen = [near for frame, scene in pairs if (near := nearest(frame, scene.objects[index], NEAR)) is not None]
        if 2 * len(seen) <= len(film):
            continue
        colour = _seen_colour(seen, obj)
        shape = seen_shape(film, source, index) or obj.shape
        rgb = obj.rgb if colour == obj.colour else COLOURS[colour]
        objects.append(replace(obj, shape=shape, colour=colour, rgb=rgb))
        motions.append(motion)
    background = _commonest([frame.background for frame in film]) or source.scene.background
    return Clip(Scene(background, tuple(objects)), tuple(motions))


def _commonest(names: list[str]) -> str | None:
    """The name that occurs most often, the first of several; None of none."""
    return Counter(names).most_common(1)[0][0] if names else None


def film_psnr(first: torch.Tensor, second: torch.Tensor, where: torch.Tensor) -> float | None:
    """PSNR in dB over all frames, at most 99; None where no pixel counts.

    Args:
        first: uint8 (T, 3, S, S).
        second: Likewise.
        where: (T, S, S) bool, the pixels that count.
    """
    if not where.any():
        return None
    one, other = (video.transpose(0, 1).flatten(1, 2) for video in (first, second))  # the frames below each other
    return min(psnr(one, other, where.flatten(0, 1)), 99.0)
