"""Decides what was right in a conversation, step by step, from the final pictures, masks and words.

A user's picture shows what its scene says; a picture that was made shows what the checkers read in it. So each step is
judged by what it started from, and a fault is counted where it happened.
"""

import math
from dataclasses import dataclass, field

import torch

from vitron_agent.evaluation.answers import says
from vitron_agent.evaluation.cases import Case, Change, Step, Target, Turn
from vitron_agent.evaluation.drive import CallRecord, CaseRecord, TurnRecord
from vitron_agent.evaluation.metrics import overlap, psnr
from vitron_agent.shapes.check import GenerationCheck, read_scene, same_objects
from vitron_agent.shapes.check.segments import dilate
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Obj, Scene

GOOD_IOU = 0.75
"""From this IoU on a mask counts as right, where right or wrong is asked for."""
MARGIN = 0.06
"""How far from an object an edit of it may change pixels, share of the side: its soft edge and the mask's margin."""
GOOD_PSNR = 35.0
"""From this PSNR (dB) outside its region on an edit counts as clean."""


@dataclass(frozen=True)
class StepVerdict:
    """What is right in one step.

    Attributes:
        right: The step did what was asked.
        check: The parts of a picture's verdict.
        overlap: Intersection and union of a mask with the truth, shares of the picture.
        psnr_outside: dB, for an edit of one object or an addition.
    """

    right: bool
    check: GenerationCheck | None = None
    overlap: tuple[float, float] | None = None
    psnr_outside: float | None = None


@dataclass(frozen=True)
class TurnVerdict:
    """What is right in one turn.

    Attributes:
        well_formed: Every call could be read.
        module: The right calls in the right order, or rightly none.
        steps: One per step of the way that was judged; empty where the calls were wrong.
        answer: The text says what it must.
    """

    well_formed: bool
    module: bool
    steps: tuple[StepVerdict, ...]
    answer: bool

    @property
    def right(self) -> bool:
        """Everything in the turn is right."""
        return self.module and self.answer and all(step.right for step in self.steps)


@dataclass(frozen=True)
class Verdict:
    """What is right in one case; missing turns are wrong.

    Attributes:
        turns: One per turn.
        error: What stopped the case.
    """

    turns: tuple[TurnVerdict, ...]
    error: str | None = field(default=None)

    @property
    def right(self) -> bool:
        """Every turn is right."""
        return self.error is None and all(turn.right for turn in self.turns)


class Scenes:
    """What each picture of a conversation shows, by handle and by number; pictures are read at most once."""

    def __init__(self) -> None:
        """Starts with no pictures."""
        self._known: dict[str, Scene] = {}
        self._pictures: dict[str, torch.Tensor] = {}
        self._order: list[str] = []

    def receive(self, turn: Turn, record: TurnRecord) -> None:
        """Adds the pictures that the user sent."""
        for scene, picture, handle in zip(turn.scenes, record.pictures, record.handles, strict=True):
            self._add(handle, picture)
            self._known[handle] = scene

    def _add(self, handle: str, image: torch.Tensor) -> None:
        self._pictures[handle] = image
        self._order.append(handle)

    def take(self, call: CallRecord) -> None:
        """Adds the picture that a call made, if it made one."""
        if call.handle is not None and call.image is not None:
            self._add(call.handle, call.image)

    def scene(self, handle: str) -> Scene:
        """What a picture shows."""
        if handle not in self._known:
            self._known[handle] = read_scene(self._pictures[handle]).scene
        return self._known[handle]

    def picture(self, handle: str) -> torch.Tensor:
        """A picture, (3, H, W) uint8."""
        return self._pictures[handle]

    def number(self, number: int | None) -> str | None:
        """The handle of a picture by its number from 1, None for the latest; None if there is no such picture."""
        at = len(self._order) if number is None else number
        return self._order[at - 1] if 1 <= at <= len(self._order) else None


def judge(case: Case, record: CaseRecord) -> Verdict:
    """Judges a whole case."""
    scenes = Scenes()
    verdicts = []
    for index, turn in enumerate(case.turns):
        if index >= len(record.turns):
            verdicts.append(TurnVerdict(False, False, (), False))
            continue
        verdicts.append(judge_turn(turn, record.turns[index], scenes))
    return Verdict(tuple(verdicts), record.error)


def judge_turn(turn: Turn, record: TurnRecord, scenes: Scenes) -> TurnVerdict:
    """Judges one turn; `scenes` takes in the pictures it made."""
    scenes.receive(turn, record)
    done = tuple(call for call in record.calls if call.done)
    letters = {"".join(call.letter for call in record.calls)}
    if done or turn.lenient:  # a call put right at the second try is right; so is giving up on what is not there
        letters.add("".join(call.letter for call in done))
    ways = [way for way in turn.ways if "".join(step.letter for step in way) in letters]
    well_formed = all(call.well_formed for call in record.calls)
    steps: tuple[StepVerdict, ...] = ()
    if ways and len(done) == len(ways[0]):
        steps = tuple(judge_step(step, call, scenes) for step, call in zip(ways[0], done, strict=True))
    else:
        for call in done:
            scenes.take(call)
        steps = (StepVerdict(False),) if ways and ways[0] else ()
    answer = turn.answer is None or says(record.text, turn.answer, turn.say)
    return TurnVerdict(well_formed, bool(ways), steps, answer and bool(record.text or done))


def judge_step(step: Step, call: CallRecord, scenes: Scenes) -> StepVerdict:
    """Judges one call by what it made, and adds its picture."""
    if step.target is not None:
        return _judge_mask(step.target, call, scenes)
    if step.change is not None:
        verdict = _judge_change(step.change, call, scenes)
        scenes.take(call)
        return verdict
    scenes.take(call)
    if step.show is None:
        return StepVerdict(True)
    if call.handle is None:
        return StepVerdict(False)
    check = same_objects(scenes.scene(call.handle), step.show)
    return StepVerdict(check.all_ok, check)


def _judge_mask(target: Target, call: CallRecord, scenes: Scenes) -> StepVerdict:
    wanted = scenes.number(target.call.media) if target.call is not None else call.source
    if call.mask is None or call.source is None or call.source != wanted:
        return StepVerdict(False)
    truth = mask_of(scenes.scene(call.source), target)
    both, union = overlap(call.mask, truth)
    return StepVerdict(both >= GOOD_IOU * union and union > 0, overlap=(both / truth.numel(), union / truth.numel()))


def _judge_change(change: Change, call: CallRecord, scenes: Scenes) -> StepVerdict:
    source = call.source
    if change.call is not None or change.picture is not None:
        source = scenes.number(change.call.media if change.call is not None else change.picture)
    if call.handle is None or call.image is None or source is None or source != call.source:
        return StepVerdict(False)
    before = scenes.scene(source)
    try:
        wanted = change.result(before)
        region = allowed_region(change, before, scenes.picture(source).shape[-1], call)
    except ValueError:  # the picture before does not even hold what was to be changed
        return StepVerdict(False)
    check = same_objects(read_scene(call.image).scene, wanted)
    outside = None
    if not bool(region.all()):
        outside = psnr(scenes.picture(source), call.image, ~region)
        outside = min(outside, 99.0) if math.isinf(outside) else outside
    return StepVerdict(check.all_ok, check, psnr_outside=outside)


def mask_of(scene: Scene, target: Target, size: int = 64) -> torch.Tensor:
    """The true mask, (S, S) bool, of what a target means; all False if it means nothing."""
    indices = target.find(scene)
    drawn = render([Scene(scene.background, scene.objects[:3])], size).masks[0]
    if indices is None:
        return ~drawn.any(0)
    chosen = [drawn[i] for i in indices if i < 3]
    return torch.stack(chosen).any(0) if chosen else torch.zeros(size, size, dtype=torch.bool)


def allowed_region(change: Change, before: Scene, size: int, call: CallRecord) -> torch.Tensor:
    """Where an edit may change pixels, (S, S) bool: around what it touches; for an addition, where the tool painted.

    A new background may change everything but the objects (their soft edges included in what it may change).
    """
    if change.is_background:
        objects = render([Scene(before.background, before.objects[:3])], size).masks[0].any(0)
        return dilate(~objects, 1)
    region = torch.zeros(size, size, dtype=torch.bool)
    for obj in change.touched(before):
        region |= box_mask(obj, MARGIN, size)
    if not region.any():
        return call.mask if call.mask is not None else ~region
    return region


def box_mask(obj: Obj, margin: float, size: int) -> torch.Tensor:
    """The pixels of an object's square, grown by `margin` (share of the side), (S, S) bool."""
    grid = (torch.arange(size) + 0.5) / size
    reach = obj.r + margin
    return ((grid - obj.y).abs() <= reach)[:, None] & ((grid - obj.x).abs() <= reach)[None]
