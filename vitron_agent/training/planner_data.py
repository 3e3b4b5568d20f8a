"""Conversations for recipe `planner`: which are drawn how often, written down and grouped by length.

Knows the task generators and the processor; it does not know tensors or the network.
"""

import random
from collections.abc import Callable, Iterator

import torch
from transformers import LlamaTokenizer

from vitron_agent.invocation import render_invocation
from vitron_agent.planner.processor import AssistantTurn, DrawnRegion, Processor, Serialised, Turn, UserTurn
from vitron_agent.planner.tokenizer import TAGS, train_tokenizer
from vitron_agent.shapes import tasks
from vitron_agent.shapes.tasks_like import LIKE_TASKS, sample_like
from vitron_agent.training import planner_drills, planner_facts
from vitron_agent.training.planner_batch import SIDE, Batch, collate

SHARES = {
    "draw": 0.17,
    "segment": 0.1,
    "segment_region": 0.06,
    "edit": 0.17,
    "edit_region": 0.04,
    "change_two": 0.05,
    "ask": 0.17,
    "ask_region": 0.03,
    "ask_twice": 0.04,
    "chat": 0.05,
    "refuse": 0.09,
    "chain": 0.2,
    "dialogue": 0.12,
    "edit_then_ask": 0.14,
    "same_again": 0.13,
    "like": 0.03,
    "track": 0.03,
    "edit_video": 0.03,
    "ask_video": 0.07,
    "ask_twice_video": 0.02,
    "dialogue_video": 0.03,
    "film": 0.04,
    "animate": 0.05,
    "chain_film": 0.03,
    "dialogue_film": 0.03,
}
"""How often each task is drawn, beside the drills."""
DRILLS = {
    "several": 0.25,
    "quick": 0.2,
    "undone": 0.1,
    "inventory": 0.05,
    "lookup": 0.05,
    "facts": 0.2,
    "table": 0.2,
    "tally": 0.1,
    "motions": 0.04,
    "clip_facts": 0.12,
}
"""How often each drill is drawn in the first half of a run, on the same scale."""
LATE = 0.5
"""How much of that is left later: what was learned to be seen is then to be put into people's words."""
LONG = ("chain", "dialogue", "edit_then_ask", "same_again", "dialogue_video", "chain_film", "dialogue_film")
EARLY = 0.5
"""Conversations of many turns are drawn this much less often in the first half of a run: they hold few new words."""
CUT = 0.6
"""How often a conversation with one call ends with it in the first half of a run: what follows is long, soon learned.
Later none is cut, or the planner would think that a result is mostly followed by another call."""
PLAIN = 0.3
"""How often a conversation is worded as most people would: meaning is learned from these, variety from the rest."""
FAILING = 0.03
"""How often a conversation's first call comes back with an error."""
POOL = 24
"""Batches' worth of conversations that are sorted by length together."""


def turns_of(conversation: tasks.Conversation) -> list[Turn]:
    """The planner's turns of a generated conversation; pictures are still scenes, and videos clips."""
    turns: list[Turn] = []
    for turn in conversation.turns:
        if turn.role == "assistant":
            turns.append(AssistantTurn(turn.text, (turn.invocation,) if turn.invocation else ()))
        else:
            regions = tuple(DrawnRegion(region.to_mask(SIDE, SIDE)) for region in turn.regions)
            turns.append(UserTurn(turn.text, tuple(turn.scenes), regions, tuple(turn.clips)))
    return turns


def shares(early: bool) -> dict[str, float]:
    """How often each task and drill is drawn, in the first half of a run or later."""
    drawn = {task: share * (EARLY if early and task in LONG else 1) for task, share in SHARES.items()}
    return drawn | {drill: share * (1 if early else LATE) for drill, share in DRILLS.items()}


_MAKERS: dict[str, Callable[[random.Random], list[Turn]]] = {
    "like": lambda rng: turns_of(sample_like(rng, "train", rng.choice(LIKE_TASKS))),
    "several": lambda rng: turns_of(planner_drills.several(rng)),
    "quick": lambda rng: turns_of(planner_drills.quick(rng)),
    "undone": lambda rng: turns_of(planner_drills.undone(rng)),
    "inventory": planner_drills.inventory,
    "lookup": planner_drills.lookup,
    "facts": planner_facts.facts,
    "table": planner_facts.table,
    "tally": planner_facts.tally,
    "clip_facts": planner_facts.clip_facts,
    "motions": planner_drills.motions,
}
"""Who makes what is no task: the drills, and requests on which words lose."""


class Batches:
    """An endless stream of batches of about the same number of ids.

    Attributes:
        early: Whether conversations are still to be short: few of many turns, and most cut at their call.
    """

    def __init__(self, processor: Processor, rng: random.Random, tokens: int) -> None:
        """Begin a stream.

        Args:
            processor: Writes conversations down.
            rng: Source of all randomness.
            tokens: Ids per batch, padding included.
        """
        self.processor, self.rng, self.tokens = processor, rng, tokens
        self.generator = torch.Generator().manual_seed(rng.getrandbits(60))
        self.early = False
        self._ready: list[list[Serialised]] = []

    def example(self) -> Serialised:
        """One conversation, written down."""
        weights = shares(self.early)
        task = self.rng.choices(list(weights), list(weights.values()))[0]
        if task in _MAKERS:
            return self.processor.serialise(_MAKERS[task](self.rng))
        turns = turns_of(tasks.sample_conversation(self.rng, "train", task, plain=self.rng.random() < PLAIN))
        calls = [place for place, turn in enumerate(turns) if isinstance(turn, AssistantTurn) and turn.invocations]
        if self.rng.random() < FAILING:
            turns = planner_drills.failing(turns, self.rng)
        elif self.early and len(calls) == 1 and self.rng.random() < CUT:
            turns = turns[: calls[0] + 1]
        return self.processor.serialise(turns)

    def next(self) -> Batch:
        """The next batch."""
        if not self._ready:
            self._ready = list(self._fill())
            self.rng.shuffle(self._ready)
        return collate(self._ready.pop(), self.processor, self.generator)

    def _fill(self) -> Iterator[list[Serialised]]:
        """Groups of conversations of like length."""
        pool: list[Serialised] = []
        total = 0
        while total < self.tokens * POOL:
            pool.append(self.example())
            total += len(pool[-1].ids)
        pool.sort(key=lambda example: len(example.ids))
        group: list[Serialised] = []
        for example in pool:
            if group and len(example.ids) * (len(group) + 1) > self.tokens:
                yield group
                group = []
            group.append(example)
        yield group


def corpus(seed: int, count: int) -> Iterator[str]:
    """Text of generated conversations, cut at every tag as the tokenizer will see it."""
    rng = random.Random(seed)
    for _ in range(count):
        for turn in tasks.sample_conversation(rng, "train").turns:
            lead = "ASSISTANT:" if turn.role == "assistant" else "USER: Picture 1:"
            call = render_invocation(turn.invocation) if turn.invocation else ""
            text = f"{lead} {turn.text} {call}"
            for tag in TAGS:
                text = text.replace(tag, "\0")
            yield from (part for part in text.split("\0") if part)


def make_tokenizer(seed: int, conversations: int, size: int = 1792) -> LlamaTokenizer:
    """Learn the tokenizer from generated conversations."""
    return train_tokenizer(corpus(seed, conversations), size)
