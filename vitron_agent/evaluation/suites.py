"""The suites of the evaluation: which cases, and which rows they make. One literal registry.

Targets are those of the first milestone. Cases come from heldout.py and wild.py; rows.py knows how they are counted.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from vitron_agent.evaluation.cases import Case
from vitron_agent.evaluation.heldout import VIDEO_REFUSALS, heldout_cases
from vitron_agent.evaluation.likeness import like_cases
from vitron_agent.evaluation.orders import order_cases, order_rows
from vitron_agent.evaluation.rows import (
    Rows,
    all_right,
    animation_rows,
    edit_rows,
    film_question_rows,
    film_rows,
    generation_rows,
    invocation_rows,
    like_rows,
    made_rows,
    segmentation_rows,
    tracking_rows,
)
from vitron_agent.evaluation.wild import wild_cases
from vitron_agent.shapes.tasks import TRACK_ALIKE

DEFAULT_COUNT = 200
VIDEO_COUNT = 150
"""Cases of a suite about videos: each takes longer."""


Cases = Callable[[int, int], list[Case]]


@dataclass(frozen=True)
class Suite:
    """One suite.

    Attributes:
        about: One line for people.
        cases: (count, seed) -> the cases.
        rows: (suite's name, outcomes) -> the rows.
        plan_only: Only the planner's first reply is asked for.
        uses_signals: Whether the planner's embeddings can make a difference.
        count: How many cases, where no limit is given.
        sees_frames: Whether the planner sees a video's frames, or the paper's mean over time alone.
        dictated: Whether the planner is told the right calls, so that nothing but their signals is its own.
    """

    about: str
    cases: Cases
    rows: Rows
    plan_only: bool = False
    uses_signals: bool = True
    count: int = DEFAULT_COUNT
    sees_frames: bool = True
    dictated: bool = False


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


def _tracks(drawn: bool) -> Cases:
    kind = "by region" if drawn else "by words"
    return lambda count, seed: heldout_cases("track", count, seed, lambda case: case.kind == kind)


def _ask_video(count: int, seed: int) -> list[Case]:
    return heldout_cases("ask_video", count, seed)


def _refusals(count: int, seed: int) -> list[Case]:
    """What cannot be done to pictures, and small talk."""
    chats = round(0.3 * count)
    refused = heldout_cases("refuse", count - chats, seed, lambda case: case.kind not in VIDEO_REFUSALS)
    return [*refused, *heldout_cases("chat", chats, seed)]


def _video_refusals(count: int, seed: int) -> list[Case]:
    return heldout_cases("refuse", count, seed, lambda case: case.kind in VIDEO_REFUSALS)


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
        _refusals,
        all_right("rightly no call, and said so", 0.98),
        uses_signals=False,
    ),
    "tracking-text": Suite("videos, by words", _tracks(drawn=False), tracking_rows(0.85), count=VIDEO_COUNT),
    "tracking-region": Suite("videos, by regions", _tracks(drawn=True), tracking_rows(0.85), count=VIDEO_COUNT),
    "tracking-alike": Suite(
        "one of two alike objects, by regions",
        lambda count, seed: heldout_cases(TRACK_ALIKE, count, seed),
        tracking_rows(0.75),
        count=VIDEO_COUNT,
    ),
    "video-edit": Suite(
        "edits of videos: an object, the background, or both",
        lambda count, seed: heldout_cases("edit_video", count, seed),
        film_rows,
        count=VIDEO_COUNT,
    ),
    "video-questions": Suite(
        "questions about videos", _ask_video, film_question_rows, uses_signals=False, count=VIDEO_COUNT
    ),
    "video-questions-mean": Suite(
        "the same questions to a planner that sees the mean over time alone",
        _ask_video,
        film_question_rows,
        uses_signals=False,
        count=VIDEO_COUNT,
        sees_frames=False,
    ),
    "video-refusals": Suite(
        "what cannot be done about videos",
        _video_refusals,
        all_right("rightly no call, and said so", 0.98),
        uses_signals=False,
        count=VIDEO_COUNT,
    ),
    "video-generation": Suite(
        "videos from words", lambda n, seed: heldout_cases("film", n, seed), made_rows, count=VIDEO_COUNT
    ),
    "animation": Suite(
        "videos that begin with a picture",
        lambda n, seed: heldout_cases("animate", n, seed),
        animation_rows,
        count=VIDEO_COUNT,
    ),
    "video-chains": Suite(
        "two to four steps in one request, one of which makes a video",
        lambda n, seed: heldout_cases("chain_film", n, seed),
        all_right("all steps right", None, kinds=False),
        count=VIDEO_COUNT,
    ),
    "words-lose": Suite(
        "exactly the shade, size, place or speed of an example",
        like_cases,
        like_rows,
    ),
    "words-lose-dictated": Suite(
        "the same, with the right calls dictated to the planner: how much its signals carry",
        like_cases,
        like_rows,
        dictated=True,
    ),
    "orders": Suite(
        "questions about pictures in which an order is written",
        order_cases,
        order_rows,
        uses_signals=False,
    ),
    "wild": Suite(
        "free requests, written by hand without looking at any template",
        _wild,
        all_right("all right", None),
    ),
}
"""Name -> suite, in the report's order. The specialists alone are in specialists.py."""
