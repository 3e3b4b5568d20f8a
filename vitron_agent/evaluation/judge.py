"""Decides what was right in a conversation, step by step, from the final pictures, videos, masks and words.

Each step is judged by what it started from (see seen.py), so that a fault is counted where it happened.
"""

from dataclasses import dataclass, field

from vitron_agent.evaluation.answers import says
from vitron_agent.evaluation.areas import allowed_region, mask_of, masks_of
from vitron_agent.evaluation.cases import Case, Change, ClipChange, MadeFilm, Step, Target, Turn
from vitron_agent.evaluation.drive import CallRecord, CaseRecord, TurnRecord
from vitron_agent.evaluation.films import FilmCheck, check_film
from vitron_agent.evaluation.likeness import judge_like
from vitron_agent.evaluation.made import MadeCheck, check_of_picture, check_of_words, is_clip
from vitron_agent.evaluation.metrics import j_and_f, overlap, psnr
from vitron_agent.evaluation.seen import Seen
from vitron_agent.shapes.check import GenerationCheck, read_scene, same_objects

GOOD_IOU = 0.75
"""From this IoU on a mask counts as right, and from this J&F on a track, where right or wrong is asked for."""
GOOD_PSNR = 35.0
"""From this PSNR (dB) outside its region on an edit counts as clean."""
BEGINS_PSNR = 25.0
"""From this PSNR (dB) of its first frame against the picture on a video begins with it. Storing alone costs much: of
true clips the stored first frame has 34.7 dB in the mean and 28.3 at worst (n 45), most of it at coloured edges."""


@dataclass(frozen=True)
class StepVerdict:
    """What is right in one step.

    Attributes:
        right: The step did what was asked.
        check: The parts of a picture's verdict.
        overlap: Intersection and union of a mask with the truth, shares of the picture.
        psnr_outside: dB, for an edit of one object or an addition.
        tracked: J&F of a track.
        film: The parts of an edited video's verdict.
        errors: How far the result is from its example, by what is measured; None where there is none to measure.
        made: The parts of the verdict of a video that was made.
    """

    right: bool
    check: GenerationCheck | None = None
    overlap: tuple[float, float] | None = None
    psnr_outside: float | None = None
    tracked: float | None = None
    film: FilmCheck | None = None
    errors: dict[str, float] | None = None
    made: MadeCheck | None = None


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


def judge(case: Case, record: CaseRecord) -> Verdict:
    """Judge a whole case."""
    seen = Seen()
    verdicts = []
    for index, turn in enumerate(case.turns):
        if index >= len(record.turns):
            verdicts.append(TurnVerdict(False, False, (), False))
            continue
        verdicts.append(judge_turn(turn, record.turns[index], seen))
    return Verdict(tuple(verdicts), record.error)


def judge_turn(turn: Turn, record: TurnRecord, seen: Seen) -> TurnVerdict:
    """Judge one turn; `seen` takes in the pictures and videos it made."""
    seen.receive(turn, record)
    done = tuple(call for call in record.calls if call.done)
    letters = {"".join(call.letter for call in record.calls)}
    if done or turn.lenient:  # a call put right at the second try is right; so is giving up on what is not there
        letters.add("".join(call.letter for call in done))
    ways = [way for way in turn.ways if "".join(step.letter for step in way) in letters]
    well_formed = all(call.well_formed for call in record.calls)
    steps: tuple[StepVerdict, ...] = ()
    if ways and len(done) == len(ways[0]):
        steps = tuple(judge_step(step, call, seen) for step, call in zip(ways[0], done, strict=True))
    else:
        for call in done:
            seen.take(call)
        steps = (StepVerdict(False),) if ways and ways[0] else ()
    answer = turn.answer is None or says(record.text, turn.answer, turn.say)
    return TurnVerdict(well_formed, bool(ways), steps, answer and bool(record.text or done))


def judge_step(step: Step, call: CallRecord, seen: Seen) -> StepVerdict:
    """Judge one call by what it made, and add its picture or video."""
    if step.like is not None:
        errors = judge_like(step.like, call, seen)
        seen.take(call)
        return StepVerdict(errors is not None, errors=errors)
    if step.target is not None:
        return (_judge_track if step.letter == "E" else _judge_mask)(step.target, call, seen)
    verdict = None
    if step.change is not None:
        verdict = _judge_change(step.change, call, seen)
    elif step.clip_change is not None:
        verdict = _judge_film(step.clip_change, call, seen)
    elif step.film is not None:
        verdict = _judge_made(step.film, call, seen)
    seen.take(call)
    if verdict is not None:
        return verdict
    if step.show is None:
        return StepVerdict(True)
    if call.handle is None:
        return StepVerdict(False)
    check = same_objects(seen.pictures.shows(call.handle), step.show)
    return StepVerdict(check.all_ok, check)


def _judge_mask(target: Target, call: CallRecord, seen: Seen) -> StepVerdict:
    wanted = seen.pictures.number(target.call.media) if target.call is not None else call.source
    if call.mask is None or call.source is None or call.source != wanted:
        return StepVerdict(False)
    truth = mask_of(seen.pictures.shows(call.source), target)
    both, union = overlap(call.mask, truth)
    return StepVerdict(both >= GOOD_IOU * union and union > 0, overlap=(both / truth.numel(), union / truth.numel()))


def _judge_track(target: Target, call: CallRecord, seen: Seen) -> StepVerdict:
    wanted = seen.videos.number(target.call.media) if target.call is not None else call.source
    if call.masks is None or call.source is None or call.source != wanted:
        return StepVerdict(False)
    truth = masks_of(seen.videos.shows(call.source), target)
    if truth.shape != call.masks.shape or not truth.any():
        return StepVerdict(False)
    score = j_and_f(call.masks, truth)
    return StepVerdict(score >= GOOD_IOU, tracked=score)


def _judge_change(change: Change, call: CallRecord, seen: Seen) -> StepVerdict:
    pictures, source = seen.pictures, call.source
    if change.call is not None or change.picture is not None:
        source = pictures.number(change.call.media if change.call is not None else change.picture)
    if call.handle is None or call.image is None or source is None or source != call.source:
        return StepVerdict(False)
    before = pictures.shows(source)
    try:
        wanted = change.result(before)
        region = allowed_region(change, before, pictures.pixels(source).shape[-1], call.mask)
    except ValueError:  # the picture before does not even hold what was to be changed
        return StepVerdict(False)
    check = same_objects(read_scene(call.image).scene, wanted)
    outside = None
    if not bool(region.all()):
        outside = min(psnr(pictures.pixels(source), call.image, ~region), 99.0)
    return StepVerdict(check.all_ok, check, psnr_outside=outside)


def _judge_film(change: ClipChange, call: CallRecord, seen: Seen) -> StepVerdict:
    source = seen.videos.number(change.call.media)
    if call.video is None or source is None or source != call.source:
        return StepVerdict(False)
    before = seen.videos.shows(source)
    try:
        wanted = change.result(before)
    except ValueError:  # the video before does not even hold what was to be changed
        return StepVerdict(False)
    check = check_film(seen.videos.pixels(source), call.video, before, wanted)
    return StepVerdict(check.done, film=check)


def _judge_made(film: MadeFilm, call: CallRecord, seen: Seen) -> StepVerdict:
    if call.video is None or not is_clip(call.video):
        return StepVerdict(False)
    if film.call is None:
        assert film.wanted is not None
        check = check_of_words(call.video, film.wanted, film.motions)
        return StepVerdict(check.shown, made=check)
    source = seen.pictures.number(film.call.media)
    if source is None or source != call.source:
        return StepVerdict(False)
    before = seen.pictures.shows(source)
    try:
        motions = film.of(before)
    except ValueError:  # the picture before does not even hold what was to be set in motion
        return StepVerdict(False)
    check = check_of_picture(call.video, seen.pictures.pixels(source), before, motions)
    return StepVerdict(check.shown and (check.first_psnr or 0.0) >= BEGINS_PSNR, made=check)
