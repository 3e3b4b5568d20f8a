"""The suites of the evaluation: which cases, and which rows they make. One literal registry.

Targets are those of the first milestone. Cases come from heldout.py and wild.py; this file knows how they are counted.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vitron_agent.evaluation.cases import Case
from vitron_agent.evaluation.heldout import heldout_cases
from vitron_agent.evaluation.judge import GOOD_PSNR, StepVerdict, Verdict, mask_of
from vitron_agent.evaluation.plans import PlanVerdict
from vitron_agent.evaluation.report import Row, iou_row, mean_row, rate_row
from vitron_agent.evaluation.sheets import Sample
from vitron_agent.evaluation.wild import wild_cases

DEFAULT_COUNT = 200


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


Cases = Callable[[int, int], list[Case]]
Rows = Callable[[str, Sequence[Outcome]], list[Row]]


@dataclass(frozen=True)
class Suite:
    """One suite.

    Attributes:
        about: One line for people.
        cases: (count, seed) -> the cases.
        rows: (suite's name, outcomes) -> the rows.
        plan_only: Only the planner's first reply is asked for.
        uses_signals: Whether the planner's embeddings can make a difference.
    """

    about: str
    cases: Cases
    rows: Rows
    plan_only: bool = False
    uses_signals: bool = True


def _by_kind(suite: str, outcomes: Sequence[Outcome], right: Callable[[Outcome], bool]) -> list[Row]:
    """One row per kind of case, in alphabetical order."""
    kinds = sorted({outcome.case.kind for outcome in outcomes})
    return [rate_row(suite, f"  {kind}", [right(o) for o in outcomes if o.case.kind == kind]) for kind in kinds]


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
        mean_row(suite, "seconds a turn", [o.seconds[0] for o in outcomes if o.seconds], "s"),
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
            rate_row(suite, "IoU above 0.75", [both >= 0.75 * union for both, union in overlaps]),
            mean_row(suite, "seconds a turn", [o.seconds[0] for o in outcomes if o.seconds], "s"),
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
        *_by_kind(suite, outcomes, lambda outcome: outcome.verdict.right),
        rate_row(suite, f"done, and PSNR outside >= {GOOD_PSNR:g} dB", clean, 0.80),
        mean_row(suite, "PSNR outside the region, where done", outside, "dB", GOOD_PSNR),
        mean_row(suite, "seconds a turn", [o.seconds[0] for o in outcomes if o.seconds], "s"),
    ]


def all_right(name: str, target: float | None, kinds: bool = True) -> Rows:
    """The share of cases in which everything is right, with one row per kind."""

    def rows(suite: str, outcomes: Sequence[Outcome]) -> list[Row]:
        found = [rate_row(suite, name, [outcome.verdict.right for outcome in outcomes], target)]
        found += _by_kind(suite, outcomes, lambda outcome: outcome.verdict.right) if kinds else []
        seconds = [second for outcome in outcomes for second in outcome.seconds]
        return [*found, *_modules(suite, outcomes), mean_row(suite, "seconds a turn", seconds, "s")]

    return rows


def _tasks(*shares: tuple[str, float]) -> Cases:
    """Cases of several tasks by their shares; the first takes what rounding leaves."""

    def cases(count: int, seed: int) -> list[Case]:
        counts = [round(count * share) for _, share in shares[1:]]
        first = heldout_cases(shares[0][0], count - sum(counts), seed)
        others = [heldout_cases(task, n, seed) for (task, _), n in zip(shares[1:], counts, strict=True)]
        return [*first, *(case for found in others for case in found)]

    return cases


def _masks_only(task: str) -> Cases:
    return lambda count, seed: heldout_cases(task, count, seed, lambda c: len(c.turns[0].ways[0]) == 1)


def _three_steps(count: int, seed: int) -> list[Case]:
    """Requests for three things in one turn; a question counts as a step."""
    return heldout_cases("chain", count, seed, lambda case: case.requests == 3)


def _wild(count: int, seed: int) -> list[Case]:
    """The hand-written requests, shuffled: the file is sorted by kind, and a few must not be all of one kind."""
    cases = wild_cases()
    random.Random(f"wild {seed}").shuffle(cases)
    return cases[:count]


SUITES: dict[str, Suite] = {
    "invocation": Suite(
        "the planner's first reply to requests of all kinds",
        lambda count, seed: heldout_cases(None, 2 * count, seed),
        invocation_rows,
        plan_only=True,
        uses_signals=False,
    ),
    "generation": Suite("pictures from words", lambda n, seed: heldout_cases("draw", n, seed), generation_rows),
    "segmentation-text": Suite("masks from words", _masks_only("segment"), segmentation_rows(0.85)),
    "segmentation-region": Suite("masks from clicks", _masks_only("segment_region"), segmentation_rows(0.88)),
    "edit": Suite("edits by words and regions", _tasks(("edit", 0.8), ("edit_region", 0.2)), edit_rows),
    "questions": Suite(
        "questions about pictures and regions",
        _tasks(("ask", 0.85), ("ask_region", 0.15)),
        all_right("answered right", 0.95),
        uses_signals=False,
    ),
    "chains": Suite("three steps in one request", _three_steps, all_right("all three steps right", 0.70, kinds=False)),
    "dialogues": Suite(
        "two to five turns",
        lambda count, seed: heldout_cases("dialogue", (count + 1) // 2, seed),
        all_right("whole dialogue right", None, kinds=False),
    ),
    "refusals": Suite(
        "what cannot be done, and small talk",
        _tasks(("refuse", 0.7), ("chat", 0.3)),
        all_right("rightly no call, and said so", 0.98),
        uses_signals=False,
    ),
    "wild": Suite(
        "free requests, written by hand without looking at any template",
        _wild,
        all_right("all right", None),
    ),
}
"""Name -> suite, in the report's order. The specialists alone are in specialists.py."""
