"""Conversations with ground truth: for training the planner, and (held-out wordings) for judging it.

`sample_conversation` draws one. What each turn's `facts` hold:

- user turns: {"steps": (facts of every step asked for, ...)};
- assistant turns: the facts of the step they belong to, by "kind":
  "draw" (objects: `Wish`es, relations, background or None, scene: the exact outcome),
  "segment" (targets: indices, "background" or "everything"; scene; picture: its number; must, if an answer is due),
  "edit" (operation: that of the command, or for several calls "move", "recolour all", "recolour some", "resize all",
  "remove some", "keep only", "swap colours"; before, after: scenes; target: index in `before` or None; wish and where
  for additions),
  "track" (target: index; clip; video: its number),
  "edit_video" (operation: "replace", "background" or "both"; before, after: clips; target: index or None; video),
  "film" (objects: `Wish`es, said: what each does, of `MOTIONS` or "still", None where nothing is said of it;
  background or None; clip: the exact outcome),
  "animate" (before: scene, picture: its number, motions: one per object of it, clip: the exact outcome),
  "ask" (question, answer, must: words that a right answer holds, scene; box for "where"; about a video also
  clip and video, scene being its first frame, and motion for "what goes"),
  "back" (picture: number), "chat" (topic), "refuse" (reason).

This file composes; wording and truth of single requests are made in tasks_draw, _act, _add, _many, _ask, _chat, _video
and _video_make; tasks_play, _joined, _dialogue and _film put them into turns and conversations.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from vitron_agent.shapes.clip import sample_clip
from vitron_agent.shapes.language import Split, Writer, heldout_ids
from vitron_agent.shapes.tasks_act import recolour, remove, replace_object, reshape, resize
from vitron_agent.shapes.tasks_add import add_region
from vitron_agent.shapes.tasks_ask import region_what
from vitron_agent.shapes.tasks_chat import REFUSALS, chat
from vitron_agent.shapes.tasks_compare import QUESTIONS
from vitron_agent.shapes.tasks_dialogue import dialogue, edit_then_ask, same_again
from vitron_agent.shapes.tasks_film import FILM_REFUSALS, animate_one, chain_film, dialogue_film, film_one
from vitron_agent.shapes.tasks_joined import change_two, twice
from vitron_agent.shapes.tasks_many import EDITS
from vitron_agent.shapes.tasks_play import (
    a_scene,
    begin,
    chain,
    one,
    two_pictures,
    with_region,
)
from vitron_agent.shapes.tasks_refer import apply, resolve
from vitron_agent.shapes.tasks_segment import area_of, segment, segment_region, segment_some
from vitron_agent.shapes.tasks_session import Session
from vitron_agent.shapes.tasks_turns import Turn
from vitron_agent.shapes.tasks_video import (
    VIDEO_EDITS,
    VIDEO_REFUSALS,
    dialogue_video,
    one_video,
    track_alike,
    track_video,
)
from vitron_agent.shapes.tasks_video_ask import VIDEO_QUESTIONS

__all__ = [
    "FILM_TASKS",
    "TASKS",
    "TRACK_ALIKE",
    "VIDEO_TASKS",
    "Conversation",
    "Turn",
    "apply",
    "resolve",
    "sample_conversation",
]

TASKS: dict[str, float] = {
    "draw": 0.15,
    "segment": 0.08,
    "segment_region": 0.04,
    "edit": 0.14,
    "edit_region": 0.04,
    "change_two": 0.02,
    "ask": 0.16,
    "ask_region": 0.03,
    "ask_twice": 0.02,
    "chat": 0.04,
    "refuse": 0.08,
    "chain": 0.12,
    "dialogue": 0.12,
    "edit_then_ask": 0.04,
    "same_again": 0.02,
    "track": 0.05,
    "edit_video": 0.05,
    "ask_video": 0.06,
    "ask_twice_video": 0.01,
    "dialogue_video": 0.04,
    "film": 0.05,
    "animate": 0.05,
    "chain_film": 0.03,
    "dialogue_film": 0.03,
}
"""The kinds of conversations and how often each is drawn."""
VIDEO_TASKS = ("track", "edit_video", "ask_video", "ask_twice_video", "dialogue_video")
"""Those about videos that a user gives."""
FILM_TASKS = ("film", "animate", "chain_film", "dialogue_film")
"""Those in which videos are made, of words or of a picture."""
TRACK_ALIKE = "track_alike"
"""Following one of two alike objects: played where it is asked for by name, never drawn."""


@dataclass(frozen=True)
class Conversation:
    """A conversation with its truth.

    Attributes:
        turns: What is said and called, in order; pictures are numbered through all turns' scenes, videos
            through their clips.
        task: One of `TASKS`, or `TRACK_ALIKE`.
        template_ids: The templates that its wording used.
    """

    turns: tuple[Turn, ...]
    task: str
    template_ids: tuple[str, ...]


def sample_conversation(rng: random.Random, split: Split, task: str | None = None, plain: bool = False) -> Conversation:
    """Draw a conversation.

    Args:
        rng: Source of randomness.
        split: "train", or "heldout": wordings that training never sees.
        task: One of `TASKS`, or `TRACK_ALIKE`; drawn by their weights if None.
        plain: Whether only the most common wordings are used (in training).

    Raises:
        KeyError: There is no such task.
    """
    name = task if task is not None else rng.choices(tuple(TASKS), tuple(TASKS.values()))[0]
    play = _PLAYS[name]
    while True:
        session = Session(Writer(rng, split, plain=plain))
        if play(session) and (split == "train" or not heldout_ids().isdisjoint(session.writer.used)):
            return Conversation(tuple(session.turns), name, tuple(session.writer.used))


def _segment(session: Session) -> bool:
    return one(session, ((segment, 0.84), (area_of, 0.11), (segment_some, 0.05)))


def _edit(session: Session) -> bool:
    return one(session, EDITS)


def _edit_region(session: Session) -> bool:
    pointed = ((recolour, 0.35), (reshape, 0.2), (replace_object, 0.08), (resize, 0.14), (remove, 0.23))
    return one(session, (*((with_region(m), w) for m, w in pointed), (add_region, 0.2)))


def _ask(session: Session) -> bool:
    if session.writer.chance(0.04):
        return two_pictures(session)
    return one(session, QUESTIONS)


def _with_picture(session: Session) -> Session:
    session.upload(a_scene(session))
    return session


def _with_video(session: Session) -> Session:
    session.upload_clip(sample_clip(session.writer.rng))
    return session


def _chat(session: Session) -> bool:
    if session.writer.chance(0.2):
        session.upload(a_scene(session))
    chat(session)
    return True


def _refuse(session: Session) -> bool:
    refusals = (*REFUSALS, *VIDEO_REFUSALS, *FILM_REFUSALS)
    play = session.writer.rng.choices([p for p, _ in refusals], [w for _, w in refusals])[0]
    play(session)
    return True


_PLAYS: dict[str, Callable[[Session], bool]] = {
    "draw": begin,
    "segment": _segment,
    "segment_region": lambda session: one(session, ((segment_region, 1.0),)),
    "edit": _edit,
    "edit_region": _edit_region,
    "change_two": lambda session: change_two(_with_picture(session)),
    "ask": _ask,
    "ask_region": lambda session: one(session, ((region_what, 1.0),)),
    "ask_twice": lambda session: twice(_with_picture(session), QUESTIONS),
    "chat": _chat,
    "refuse": _refuse,
    "chain": chain,
    "dialogue": dialogue,
    "edit_then_ask": edit_then_ask,
    "same_again": same_again,
    "track": track_video,
    TRACK_ALIKE: track_alike,
    "edit_video": lambda session: one_video(session, VIDEO_EDITS),
    "ask_video": lambda session: one_video(session, VIDEO_QUESTIONS),
    "ask_twice_video": lambda session: twice(_with_video(session), VIDEO_QUESTIONS),
    "dialogue_video": dialogue_video,
    "film": film_one,
    "animate": animate_one,
    "chain_film": chain_film,
    "dialogue_film": dialogue_film,
}
