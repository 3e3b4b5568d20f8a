"""Judges videos that were made of words or of a picture, by what their frames show; and reads them as clips.

Frames are read as films.py reads them. An object is followed from frame to frame, so that two of one colour are not
mistaken for each other. How far and how fast things move is free.
"""

import math
from dataclasses import dataclass, replace
from itertools import permutations

import torch

from vitron_agent.evaluation.films import SHADE, Film, nearest, read_film
from vitron_agent.evaluation.metrics import psnr
from vitron_agent.shapes.check import Wanted, matches, motion_between, same_objects
from vitron_agent.shapes.check.compare import NEAR
from vitron_agent.shapes.check.motion import UNCLEAR
from vitron_agent.shapes.clip import DIRECTIONS, FRAMES, Clip, Motion
from vitron_agent.shapes.clip_captions import STILL
from vitron_agent.shapes.render import MAX_OBJECTS
from vitron_agent.shapes.scene import Obj, Scene

REACH = 0.15
"""How far an object may be from where it was seen last, share of the side: two steps of the fastest."""
READABLE = 0.09
"""Half side from which a shape is asked for in a stored frame: that of the smallest object of a picture."""
DRIFT = 0.02
"""From this distance on, share of the side, a followed object is taken to move, if only for what comes after."""
Path = tuple[Obj | None, ...]
"""An object as it is seen in each frame, None where it is not."""


@dataclass(frozen=True)
class MadeCheck:
    """What is right in a video that was made.

    Attributes:
        objects_ok: Of words: every object has its shape and colour, and there is none too many, in the first and the
            middle frame. Of a picture: all its objects are there in the middle and the last frame, and no others.
        background_ok: It has the wanted name: in the first and the middle frame, of a picture in the middle and last.
        motions_ok: Every object does what it should, from the first frame to the last, and the others rest.
        details_ok: Sizes and places that were asked for are those of the first frame.
        first_psnr: dB of the first frame against the picture, at most 99; None for a video of words.
    """

    objects_ok: bool
    background_ok: bool
    motions_ok: bool
    details_ok: bool = True
    first_psnr: float | None = None

    @property
    def shown(self) -> bool:
        """Everything but how well the first frame is kept."""
        return self.objects_ok and self.background_ok and self.motions_ok and self.details_ok


def is_clip(video: torch.Tensor) -> bool:
    """Whether a video has the length of the small world's clips, and square frames: others cannot be read."""
    return video.shape[0] == FRAMES and video.shape[-1] == video.shape[-2]


def check_of_words(video: torch.Tensor, wanted: Wanted, motions: tuple[str, ...] | None) -> MadeCheck:
    """Judge a video of words.

    Args:
        video: uint8 (T, 3, S, S).
        wanted: What it must show at first; sizes and places are free later.
        motions: What each wanted object does, of `MOTIONS` or `STILL`; None where anything will do.
    """
    film = read_film(video)
    later = replace(wanted, objects=tuple(replace(obj, size=None, place=None) for obj in wanted.objects))
    first, middle = same_objects(film[0], wanted), same_objects(film[len(film) // 2], later)
    return MadeCheck(
        first.objects_ok and middle.objects_ok,
        first.background_ok and middle.background_ok,
        motions is None or _moves(film, later, motions),
        first.sizes_ok and first.places_ok,
    )


def _moves(film: Film, wanted: Wanted, motions: tuple[str, ...]) -> bool:
    """Whether there are objects of the first frame that fit those wanted and do what these should."""
    seen = [(obj, done(follow(film, obj))) for obj in film[0].objects[: MAX_OBJECTS + 2]]
    asked = list(zip(wanted.objects, motions, strict=True))

    def fits(found: tuple[tuple[Obj, str], ...]) -> bool:
        pairs = zip(found, asked, strict=True)
        return all(all(matches(obj, want)) and motion == name for (obj, motion), (want, name) in pairs)

    return any(fits(found) for found in permutations(seen, len(asked)))


def check_of_picture(video: torch.Tensor, picture: torch.Tensor, scene: Scene, motions: tuple[str, ...]) -> MadeCheck:
    """Judge a video that must begin with a picture.

    Args:
        video: uint8 (T, 3, S, S).
        picture: uint8 (3, S, S).
        scene: What the picture shows.
        motions: What each of its objects must do, of `MOTIONS` or `STILL`.
    """
    film = read_film(video)
    paths = [path_of(film, obj) for obj in scene.objects]
    kept = all(_is_kept(path, obj) for path, obj in zip(paths, scene.objects, strict=True))
    later = (film[len(film) // 2], film[-1])
    more = any(len(frame.objects) > len(scene.objects) for frame in later)
    moved = all(done(path) == name for path, name in zip(paths, motions, strict=True))
    first = min(psnr(video[0], picture), 99.0) if video[0].shape == picture.shape else 0.0
    ground = all(frame.background == scene.background for frame in later)
    return MadeCheck(kept and not more, ground, moved, first_psnr=first)


def _is_kept(path: Path, obj: Obj) -> bool:
    """Whether an object is there in colour in the middle and the last frame, and in shape where that can be read."""
    for seen in (path[len(path) // 2], path[-1]):
        if seen is None or not (seen.colour == obj.colour or math.dist(seen.rgb, obj.rgb) <= SHADE):
            return False
        if seen.r >= READABLE and seen.shape != obj.shape:
            return False
    return True


def path_of(film: Film, obj: Obj) -> Path:
    """The path of the object that stands in the first frame where `obj` does; all None where there is none."""
    start = nearest(film[0], obj, NEAR)
    return (None,) * len(film) if start is None else follow(film, start)


def follow(film: Film, start: Obj) -> Path:
    """Follow an object of the first frame: in each it is what is near where it was seen last, and of its shade."""
    path: list[Obj | None] = [start]
    last = start
    for frame in film[1:]:
        near = [obj for obj in frame.objects if math.hypot(obj.x - last.x, obj.y - last.y) <= REACH]
        found = min(near, key=lambda obj: _unlike(obj, last, start), default=None)
        path.append(found)
        last = found or last
    return tuple(path)


def _unlike(obj: Obj, last: Obj, start: Obj) -> float:
    return math.hypot(obj.x - last.x, obj.y - last.y) + 0.3 * math.dist(obj.rgb, start.rgb)


def done(path: Path) -> str:
    """What a followed object does: one of `MOTIONS`, `STILL`, or `UNCLEAR`.

    One that is gone in the last frame has shrunk if it was smaller when it was seen last.
    """
    seen = [obj for obj in path if obj is not None]
    if not seen or (path[-1] is None and seen[-1].r >= seen[0].r):
        return UNCLEAR
    return motion_between(seen[0], path[-1]) or STILL


def read_clip(film: Film, scene: Scene | None = None) -> Clip:
    """What a video shows that was made of words, or of a picture that showed `scene`: its objects and their motions.

    Motions are as measured, also small ones that do not count as such: they say where things are in each frame.
    """
    start = scene or film[0]
    objects = start.objects[:MAX_OBJECTS]
    return Clip(replace(start, objects=objects), tuple(_measured(path_of(film, obj)) for obj in objects))


def _measured(path: Path) -> Motion | None:
    seen = [obj for obj in path if obj is not None]
    if not seen:
        return None
    first, last = seen[0], seen[-1]
    name = motion_between(first, last)
    if name in ("grow", "shrink"):
        return Motion(name, max(last.r / first.r, first.r / last.r))
    dx, dy = last.x - first.x, last.y - first.y
    if max(abs(dx), abs(dy)) < DRIFT:
        return None
    ways = {way: dx * step[0] + dy * step[1] for way, step in DIRECTIONS.items()}
    way = max(ways, key=lambda each: ways[each])
    return Motion(way, ways[way])
