"""Counts outcomes: which numbers a suite reports, with their targets.

Knows verdicts only; which cases a suite asks stands in suites.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vitron_agent.evaluation.areas import mask_of
from vitron_agent.evaluation.cases import Case
from vitron_agent.evaluation.judge import GOOD_IOU, GOOD_PSNR, StepVerdict, Verdict
from vitron_agent.evaluation.made import MadeCheck
from vitron_agent.evaluation.plans import PlanVerdict
from vitron_agent.evaluation.report import Row, iou_row, mean_row, median_row, rate_row
from vitron_agent.evaluation.sheets import Sample

GOOD_FILM_PSNR = 28.0
"""What the untouched part of an edited video should reach, dB: it went through the codec twice."""
GOOD_FIRST_PSNR = 28.0
"""What the first frame of a video should reach against the picture it was made of, dB: it went through the codec."""
MOTION_QUESTIONS = (
    "count moves",
    "describe video",
    "does go",
    "does move",
    "way",
    "what goes",
    "where end",
    "which moves",
)
"""Questions that a single frame does not answer."""

ERRORS = {
    "shade": "shade off, RGB distance",
    "size": "size off, factor less 1",
    "place": "place off, share of the side",
    "speed": "speed off, factor less 1",
    "reach": "end of a motion off, share of the side",
}
"""What is measured against an example, where the request is done; 0 is exact."""


@dataclass(frozen=True)
class Outcome:
    """What came of one case.

    Attributes:
        case: What was asked.
        verdict: What was right.
        plan: What was right in the planner's first reply.
        seconds: Per turn.
        sample: For the sheet.
        account: Texts and calls as plain data, for the list of failures.
    """

    case: Case
    verdict: Verdict
    plan: PlanVerdict
    seconds: tuple[float, ...]
    sample: Sample
    account: dict[str, object]

    @property
    def first(self) -> StepVerdict:
        """The first step of the first turn; wrong if there was none."""
        turns = self.verdict.turns
        return turns[0].steps[0] if turns and turns[0].steps else StepVerdict(False)

    @property
    def made(self) -> MadeCheck | None:
        """What is right in the video that the first turn made; None where it made none."""
        steps = self.verdict.turns[0].steps if self.verdict.turns else ()
        return next((step.made for step in steps if step.made is not None), None)


Rows = Callable[[str, Sequence[Outcome]], list[Row]]


def seconds_row(suite: str, outcomes: Sequence[Outcome]) -> Row:
    """What a turn takes, over all turns of all cases."""
    return mean_row(suite, "seconds a turn", [second for outcome in outcomes for second in outcome.seconds], "s")


def _by_kind(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """How often everything is right: one row per kind of case, in alphabetical order."""
    kinds = sorted({outcome.case.kind for outcome in outcomes})
    return [rate_row(suite, f"  {kind}", [o.verdict.right for o in outcomes if o.case.kind == kind]) for kind in kinds]


def _modules(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    turns = [turn for outcome in outcomes for turn in outcome.verdict.turns]
    return [
        rate_row(suite, "calls well formed", [turn.well_formed for turn in turns], 1.0),
        rate_row(suite, "right module, or rightly none", [turn.module for turn in turns], 0.98),
    ]


def invocation_rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """The planner alone: form, module, meaning."""
    plans = [outcome.plan for outcome in outcomes]
    return [
        rate_row(suite, "calls well formed", [plan.well_formed for plan in plans], 1.0),
        rate_row(suite, "right module, or rightly none", [plan.module for plan in plans], 0.98),
        rate_row(suite, "command means what was asked", [p.command for p in plans if p.command is not None]),
    ]


def generation_rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """What is right in new pictures; a picture that was not drawn is wrong in all."""
    checks = [outcome.first.check for outcome in outcomes]
    placed = [bool(check and check.places_ok and check.relations_ok) for check in checks]
    return [
        rate_row(suite, "background", [bool(c and c.background_ok) for c in checks], 0.97),
        rate_row(suite, "colour and shape of every object", [bool(c and c.objects_ok) for c in checks], 0.85),
        rate_row(suite, "places and relations", placed, 0.85),
        rate_row(suite, "sizes", [bool(c and c.sizes_ok) for c in checks]),
        rate_row(suite, "everything", [bool(c and c.all_ok) for c in checks]),
        seconds_row(suite, outcomes),
    ]


def _overlap(outcome: Outcome) -> tuple[float, float]:
    """Intersection and union; where no mask came back, the whole true mask was missed."""
    if outcome.first.overlap is not None:
        return outcome.first.overlap
    turn = outcome.case.turns[0]
    target = turn.ways[0][0].target
    assert target is not None
    return 0.0, float(mask_of(turn.scenes[-1], target).float().mean())


def segmentation_rows(target: float) -> Rows:
    """Overlap of masks with the truth, with the cIoU that is to be reached."""

    def rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
        overlaps = [_overlap(outcome) for outcome in outcomes]
        return [
            iou_row(suite, "cIoU", overlaps, target),
            iou_row(suite, "gIoU", overlaps, summed=False),
            rate_row(suite, f"IoU above {GOOD_IOU:g}", [both >= GOOD_IOU * union for both, union in overlaps]),
            seconds_row(suite, outcomes),
        ]

    return rows


def _worst_psnr(outcome: Outcome) -> float:
    """The least PSNR (dB) outside its region of all steps; 99 where nothing but the region could change."""
    steps = [step for turn in outcome.verdict.turns for step in turn.steps]
    return min((step.psnr_outside for step in steps if step.psnr_outside is not None), default=99.0)


def edit_rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """Whether edits do what was asked and leave the rest alone."""
    done = [outcome.verdict.right for outcome in outcomes]
    worst = [_worst_psnr(outcome) for outcome in outcomes]
    clean = [right and psnr >= GOOD_PSNR for right, psnr in zip(done, worst, strict=True)]
    outside = [psnr for right, psnr in zip(done, worst, strict=True) if right]
    return [
        rate_row(suite, "does what was asked", done, 0.80),
        *_by_kind(suite, outcomes),
        rate_row(suite, f"done, and PSNR outside >= {GOOD_PSNR:g} dB", clean, 0.80),
        mean_row(suite, "PSNR outside the region, where done", outside, "dB", GOOD_PSNR),
        seconds_row(suite, outcomes),
    ]


def all_right(name: str, target: float | None, kinds: bool = True) -> Rows:
    """The share of cases in which everything is right, with one row per kind."""

    def rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
        found = [rate_row(suite, name, [outcome.verdict.right for outcome in outcomes], target)]
        found += _by_kind(suite, outcomes) if kinds else []
        return [*found, *_modules(suite, outcomes), seconds_row(suite, outcomes)]

    return rows


def tracking_rows(target: float) -> Rows:
    """How well an object is followed, with the J&F that is to be reached; a track that was not made counts 0."""

    def rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
        scores = [outcome.first.tracked or 0.0 for outcome in outcomes]
        return [
            mean_row(suite, "J&F", scores, "iou", target),
            rate_row(suite, f"J&F above {GOOD_IOU:g}", [score >= GOOD_IOU for score in scores]),
            seconds_row(suite, outcomes),
        ]

    return rows


def film_rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """Whether edits of videos do what was asked, keep what moves on its way, and leave the rest alone."""
    films = [(outcome.verdict.right, outcome.first.film) for outcome in outcomes]
    clean = [film.psnr_untouched for right, film in films if right and film is not None]
    return [
        rate_row(suite, "does what was asked", [outcome.verdict.right for outcome in outcomes], 0.80),
        *_by_kind(suite, outcomes),
        mean_row(suite, "PSNR untouched, where done", [p for p in clean if p is not None], "dB", GOOD_FILM_PSNR),
        rate_row(suite, "motion kept, where a video came", [f.motion_kept for _, f in films if f is not None], 0.90),
        seconds_row(suite, outcomes),
    ]


def made_rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """What is right in videos made of words; a video that was not made is wrong in all."""
    made = [outcome.made for outcome in outcomes]
    named = [bool(m and m.objects_ok and m.background_ok) for m in made]
    return [
        rate_row(suite, "object and background right", named, 0.85),
        rate_row(suite, "motion right", [bool(m and m.motions_ok) for m in made], 0.85),
        *_everything(suite, outcomes),
    ]


def animation_rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """What is right in videos made of a picture; one that was not made is wrong in all but the mean of PSNR."""
    made = [outcome.made for outcome in outcomes]
    first = [m.first_psnr for m in made if m is not None and m.first_psnr is not None]
    return [
        mean_row(suite, "PSNR of the first frame, where a video came", first, "dB", GOOD_FIRST_PSNR),
        rate_row(suite, "motion right", [bool(m and m.motions_ok) for m in made], 0.85),
        rate_row(suite, "object kept", [bool(m and m.objects_ok) for m in made], 0.90),
        *_everything(suite, outcomes),
    ]


def _everything(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    return [
        rate_row(suite, "everything", [outcome.verdict.right for outcome in outcomes]),
        *_by_kind(suite, outcomes),
        seconds_row(suite, outcomes),
    ]


def like_rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """How often requests by an example are done, and how far from the example what was done is, by kind."""
    found = [rate_row(suite, "done, as far as words go", [outcome.verdict.right for outcome in outcomes])]
    for kind in dict.fromkeys(outcome.case.kind for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.case.kind == kind]
        found.append(rate_row(suite, f"  {kind}: done", [outcome.verdict.right for outcome in own]))
        like = own[0].case.turns[0].ways[0][0].like
        assert like is not None
        for name in like.measures:
            errors = [o.first.errors[name] for o in own if o.verdict.right and o.first.errors is not None]
            found.append(mean_row(suite, f"  {kind}: {ERRORS[name]}", errors, "error"))
            found.append(median_row(suite, f"  {kind}: {ERRORS[name]}, median", errors, "error"))
    return [*found, *_modules(suite, outcomes)]


def film_question_rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """Answers about videos: those about motion apart from those that the first frame answers."""
    moving = [o.verdict.right for o in outcomes if o.case.kind in MOTION_QUESTIONS]
    still = [o.verdict.right for o in outcomes if o.case.kind not in MOTION_QUESTIONS]
    return [
        rate_row(suite, "answered right", [outcome.verdict.right for outcome in outcomes], 0.92),
        rate_row(suite, "about motion and events", moving),
        rate_row(suite, "about the first frame", still),
        *_by_kind(suite, outcomes),
        *_modules(suite, outcomes),
    ]
