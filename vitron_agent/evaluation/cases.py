"""What is asked in an evaluation, and what must come out: pictures, videos, regions, turns, steps.

Plain values. Where they come from (generated held-out requests, the hand-written suite) and how results are judged
stands in other files.
"""

from dataclasses import dataclass, replace

from vitron_agent.evaluation.answers import Answer
from vitron_agent.invocation import Invocation
from vitron_agent.media import Region
from vitron_agent.shapes.check import Wanted, WantedObject, matches
from vitron_agent.shapes.clip import Clip, Motion
from vitron_agent.shapes.clip_words import motions_in
from vitron_agent.shapes.scene import COLOURS, Obj, Scene
from vitron_agent.shapes.tasks_refer import apply, hit, is_background, resolve
from vitron_agent.shapes.tasks_results import apply_clip


@dataclass(frozen=True)
class Target:
    """What a mask must cover, found in the scene of the picture that was segmented, or of a video's first frame.

    Attributes:
        indices: Objects by their index in the scene.
        like: Objects by their attributes.
        call: A right call of module B or E, whose words say what is meant.
        drawn: The region that the user drew, for a call that means it.
    """

    indices: tuple[int, ...] | None = None
    like: WantedObject | None = None
    call: Invocation | None = None
    drawn: Region | None = None

    def find(self, scene: Scene) -> tuple[int, ...] | None:
        """The objects, as indices into the scene; None means the background."""
        if self.call is not None:
            if self.call.uses_drawn_region and self.drawn is not None:
                index = hit(scene, self.drawn)
                return () if index is None else (index,)
            return None if is_background(self.call.command) else resolve(scene, self.call.command)
        if self.like is not None:
            wanted = self.like
            return tuple(i for i, obj in enumerate(scene.objects) if all(matches(obj, wanted)))
        return self.indices or ()


@dataclass(frozen=True)
class Change:
    """What an edit must do to a scene: either a right call of module C, or attributes.

    Attributes:
        call: A right call; then nothing else is set but `drawn`.
        drawn: The region that the user drew, for a call that means it.
        of: The object that changes.
        into: Its new attributes, None where they stay.
        removes: Whether it goes instead.
        adds: A new object.
        background: The new background.
        picture: Number of the picture that is edited; None for the one the agent chose.
        where: For an addition by a call: a place word, "region" (where the user drew), (relation, the object it is
            related to), or None for anywhere.
    """

    call: Invocation | None = None
    drawn: Region | None = None
    of: WantedObject | None = None
    into: WantedObject | None = None
    removes: bool = False
    adds: WantedObject | None = None
    background: str | None = None
    picture: int | None = None
    where: str | tuple[str, Obj] | None = None

    def result(self, scene: Scene) -> Wanted:
        """What the picture must show after the edit of a picture that showed `scene`.

        Raises:
            ValueError: The scene does not hold the object that changes, or more than one such.
        """
        if self.call is not None:
            return self._by_call(scene, self.call)
        objects = [WantedObject(o.shape, o.colour, None, None, (o.x, o.y)) for o in scene.objects]
        if self.of is not None:
            index = self._index(scene)
            if self.removes:
                del objects[index]
            elif self.into is not None:
                into = self.into
                old = objects[index]
                objects[index] = replace(
                    old, shape=into.shape or old.shape, colour=into.colour or old.colour, size=into.size
                )
        if self.adds is not None:
            objects.append(self.adds)
        return Wanted(tuple(objects), self.background or scene.background)

    def _index(self, scene: Scene) -> int:
        assert self.of is not None
        wanted = self.of
        found = [i for i, obj in enumerate(scene.objects) if all(matches(obj, wanted))]
        if len(found) != 1:
            raise ValueError(f"{wanted} fits {len(found)} objects of {[o.phrase for o in scene.objects]}, not one")
        return found[0]

    def _by_call(self, scene: Scene, call: Invocation) -> Wanted:
        """What a right call makes of a scene: a new object where it was asked for, the others where they are."""
        after = apply(scene, call, self.drawn)
        adds = len(after.objects) > len(scene.objects)
        wanted: list[WantedObject] = []
        relations: tuple[tuple[int, str, int], ...] = ()
        for index, obj in enumerate(after.objects):
            if obj in scene.objects:
                wanted.append(WantedObject(obj.shape, obj.colour, None, None, (obj.x, obj.y)))
                continue
            size = obj.size if obj.size in call.command.split() else None
            place = self.where if adds and isinstance(self.where, str) and self.where != "region" else None
            near = (obj.x, obj.y) if not adds or self.where == "region" else None
            wanted.append(WantedObject(obj.shape, obj.colour, size, place, near))
            if adds and isinstance(self.where, tuple):
                relations = ((index, self.where[0], _likest(after, self.where[1])),)
        return Wanted(tuple(wanted), after.background, relations)

    def touched(self, scene: Scene) -> tuple[Obj, ...]:
        """The old and new objects whose surroundings the edit may change; none for an addition or a new background."""
        if self.call is None:
            return (scene.objects[self._index(scene)],) if self.of is not None else ()
        after = apply(scene, self.call, self.drawn)
        old = tuple(obj for obj in scene.objects if obj not in after.objects)
        return old + tuple(obj for obj in after.objects if obj not in scene.objects) if old else ()

    @property
    def is_background(self) -> bool:
        """Whether everything but the objects changes."""
        return self.background is not None or (
            self.call is not None and self.call.command.startswith("change the background")
        )


@dataclass(frozen=True)
class ClipChange:
    """What an edit must do to a video: the same as a right call.

    Attributes:
        call: A right call of module F.
        drawn: The region that the user drew, for a call that means it.
    """

    call: Invocation
    drawn: Region | None = None

    def result(self, clip: Clip) -> Clip:
        """What the video must show after the edit of one that showed `clip`.

        Raises:
            ValueError: The clip does not hold the object that changes, or more than one such.
        """
        return apply_clip(clip, self.call, self.drawn)


@dataclass(frozen=True)
class MadeFilm:
    """What a video must show that is made of words, or of a picture.

    Attributes:
        wanted: Of words: the objects and the background in its first frame, None for what was left open.
        motions: What each of them does, of `MOTIONS` or "still"; None where anything will do.
        call: Of a picture: a right call of module G; then nothing else is set. Its number is the picture to begin with.
    """

    wanted: Wanted | None = None
    motions: tuple[str, ...] | None = None
    call: Invocation | None = None

    def of(self, scene: Scene) -> tuple[str, ...]:
        """What each object of the picture must do, of `MOTIONS` or "still".

        Raises:
            ValueError: The picture does not hold an object that shall move, or more than one such.
        """
        assert self.call is not None
        return motions_in(scene, self.call.command)


@dataclass(frozen=True)
class Like:
    """What a result must be exactly like; its words say less (see shapes.tasks_like).

    Attributes:
        call: A right call, whose words leave out what is measured.
        wanted: The object exactly as it must come out; in a video, in its first frame.
        measures: What is compared: "shade", "size", "place", "speed", "reach".
        others: The objects besides it, as they must be.
        motion: How it must move, for "speed" and "reach".
    """

    call: Invocation
    wanted: Obj
    measures: tuple[str, ...]
    others: tuple[Obj, ...] = ()
    motion: Motion | None = None


def _likest(scene: Scene, obj: Obj) -> int:
    """The index of the object that is most like another: by names first, then by distance."""

    def unlike(index: int) -> float:
        other = scene.objects[index]
        names = (other.shape != obj.shape) + (other.colour != obj.colour)
        return 2 * names + abs(other.x - obj.x) + abs(other.y - obj.y)

    return min(range(len(scene.objects)), key=unlike)


@dataclass(frozen=True)
class Step:
    """One call that must be made.

    Attributes:
        letter: Its module.
        show: What the new picture must show, whatever was there before.
        change: What it must change in the picture it starts from.
        target: What its mask must cover; for module E, in every frame.
        clip_change: What it must change in the video it starts from.
        like: What its result must be exactly like.
        film: What the video that it makes must show.
    """

    letter: str
    show: Wanted | None = None
    change: Change | None = None
    target: Target | None = None
    clip_change: ClipChange | None = None
    like: Like | None = None
    film: MadeFilm | None = None


@dataclass(frozen=True)
class Turn:
    """One request, and what must come of it.

    Attributes:
        say: The user's words.
        scenes: What the pictures show that come with it.
        region: What the user drew with it, on the latest picture or the first frame of the latest video.
        ways: The right sequences of calls; one empty sequence where none must be made.
        answer: What the text must say.
        lenient: Calls that failed do not count against it (something is asked for that is not there).
        clips: What the videos show that come with it.
        written: What is written across the pictures.
    """

    say: str
    scenes: tuple[Scene, ...] = ()
    region: Region | None = None
    ways: tuple[tuple[Step, ...], ...] = ((),)
    answer: Answer | None = None
    lenient: bool = False
    clips: tuple[Clip, ...] = ()
    written: str = ""


@dataclass(frozen=True)
class Case:
    """One conversation of an evaluation.

    Attributes:
        name: Unique within its suite.
        kind: Row of the report it counts for.
        turns: The requests in order.
        seed: Of the run.
        requests: How many things the first turn asks for.
    """

    name: str
    kind: str
    turns: tuple[Turn, ...]
    seed: int = 0
    requests: int = 1


def scene_object(shape: str, colour: str, x: float, y: float, r: float) -> Obj:
    """An object in its colour's base shade; its size word follows from the half side `r`, a share of the picture."""
    return Obj(shape, colour, "small" if r < 0.14 else "large", x, y, r, COLOURS[colour])
