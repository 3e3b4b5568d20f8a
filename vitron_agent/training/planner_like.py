"""What an example is exactly like, read out of a call's signals: the lesson by which the planner keeps more than words.

Words alone never ask for it: behind "replace the star with a blue star" the states of the signal tokens tell which
colour was meant, and forget which blue. So a reader that is thrown away afterwards asks them for shade, size and speed
of the example (paper, section 3.2: signals carry what the instruction cannot). Knows planner and conversations; no
specialist.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import Processor
from vitron_agent.shapes.clip import DISTANCE
from vitron_agent.shapes.language import Split
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Obj, sample_scene
from vitron_agent.shapes.tasks import Conversation
from vitron_agent.shapes.tasks_like import REACH, sample_like
from vitron_agent.shapes.tasks_turns import Facts
from vitron_agent.shapes.tasks_words import drawn_around
from vitron_agent.training.planner_batch import collate, embed
from vitron_agent.training.planner_data import turns_of
from vitron_agent.training.precision import autocast
from vitron_agent.training.signals_data import signal_runs

QUALITIES = ("red", "green", "blue", "size", "speed")
"""What is read, each from about -1 to 1 (see `qualities`)."""
_ASKED = {
    "shade": slice(0, 3),
    "picture": slice(0, 4),
    "size": slice(3, 4),
    "speed": slice(4, 5),
    "reach": slice(4, 5),
}
"""Kind of request -> its qualities; how far it is to a click is as good as a speed. Of "place" nothing is read: where
that click is has been said by the region that goes with the call."""

_OFTEN = {"shade": 1, "picture": 1, "size": 1, "speed": 1, "reach": 4}
"""How often each is asked for: how far it is from one place to another takes longest to learn."""

OPEN = (0.13, 0.13, 0.13, 0.58, 0.58)
"""How far each quality spreads where its word is known ("blue", "small"): what is missed is counted in these, or the
shade, of which the word tells nearly all, would hardly be learned beside size and speed."""
WIDE = 0.5
"""The same of places. Where something is and where it is to go is asked for besides how far that is: the distance
alone, a difference of what two tokens hold, was hardly learned in three quarters of an hour."""
REGION = 0.3
"""Weight of what regions' tokens must know."""
EXAMPLE = 0.3
"""Weight of what signals must know of an example: as much as words cost, once both are learned."""
LIKE_WORDS = 0.1
"""Weight of the words of requests by example, which are few and soon known."""


class ExampleReader(nn.Module):
    """Reads the qualities of the example out of a call's signals; and two places, where something goes to a click."""

    def __init__(self, d_llm: int, tokens: int, width: int = 128) -> None:
        """Read `tokens` signals of `d_llm` channels."""
        super().__init__()
        self.inner = nn.Sequential(
            nn.Flatten(), nn.Linear(tokens * d_llm, width), nn.GELU(), nn.Linear(width, len(QUALITIES) + 4)
        )

    def forward(self, signals: Tensor) -> tuple[Tensor, Tensor]:
        """Qualities (B, 5) and places (B, 4) of signals (B, tokens, d_llm)."""
        read: Tensor = self.inner(signals)
        return read[:, : len(QUALITIES)], read[:, len(QUALITIES) :]


class RegionLesson:
    """What a region's token must know before signals can carry it: exact colour, size and place of what it is about.

    It takes no language model, so it is learned in minutes, long before requests by example could teach it.

    Attributes:
        reader: Learns along with the planner.
        error: Mean distance of what was read last, in the units of `QUALITIES`.
    """

    def __init__(self, d_llm: int, rng: random.Random, count: int) -> None:
        """Draw `count` regions per step from `rng`."""
        self.rng, self.count = rng, count
        self.reader = nn.Linear(d_llm, 6)
        self.error = 0.0

    def loss(self, model: PlannerModel) -> Tensor:
        """Return the squared error of what is read of one batch of regions."""
        scenes = [sample_scene(self.rng, self.rng.choice((1, 2, 3))) for _ in range(self.count)]
        shown = [self.rng.choice(scene.objects) for scene in scenes]
        images = render(scenes).images.to(model.device)
        masks = torch.stack([drawn_around(obj, self.rng).to_mask(*images.shape[-2:]) for obj in shown])
        tokens = model.encode_regions(model.encode_pictures(images).patches, masks)
        told = [(*_shade(obj), _within(obj.r, *REACH[obj.size]), 2 * obj.x - 1, 2 * obj.y - 1) for obj in shown]
        wanted = torch.tensor(told)
        missed = self.reader(tokens.float()) - wanted.to(tokens.device)
        self.error = float(missed.detach().abs().mean())
        return missed.square().mean()


class LikeLesson:
    """Requests by example, as a loss: the call's words, and what its signals know of the example.

    Attributes:
        reader: Learns along with the planner.
        errors: Kind of request -> mean distance of what was read lately, in the units of `QUALITIES`.
    """

    def __init__(self, processor: Processor, d_llm: int, rng: random.Random, count: int) -> None:
        """Draw `count` requests per step from `rng`; they are written down by `processor`."""
        self.processor, self.rng, self.count = processor, rng, count
        vocabulary = processor.vocabulary
        self.reader = ExampleReader(d_llm, vocabulary.per_module + vocabulary.shared)
        self.errors: dict[str, float] = {}

    def loss(self, model: PlannerModel, split: Split = "train") -> tuple[Tensor, Tensor]:
        """Return the cross-entropy of the calls' words, and the squared error of what is read, for one batch."""
        kinds = self.rng.choices(tuple(_OFTEN), tuple(_OFTEN.values()), k=self.count)
        talks = [up_to_call(sample_like(self.rng, split, kind)) for kind in kinds]
        batch = collate([self.processor.serialise(turns_of(talk)) for talk in talks], self.processor, None)
        batch = batch.to(str(model.device))
        states = model.hidden(embed(model, batch))
        learned = batch.weights[:, 1:] > 0
        words = F.cross_entropy(model.logits(states[:, :-1][learned]).float(), batch.ids[:, 1:][learned])
        signals = torch.stack([runs[0] for runs in signal_runs(batch.ids, states, self.processor.vocabulary)])
        facts = [talk.turns[-1].facts for talk in talks]
        wanted, asked = (part.to(signals.device) for part in qualities(facts, kinds))
        read, places = self.reader(signals.float())
        missed = read - wanted
        self._note(missed.detach().abs(), asked, kinds)
        going = [row for row, kind in enumerate(kinds) if kind == "reach"]
        loss = (missed / missed.new_tensor(OPEN))[asked].square().mean()
        if going:
            ends = missed.new_tensor([_ends(facts[row]) for row in going])
            loss = loss + ((places[going] - ends) / WIDE).square().mean()
        return words, loss

    def _note(self, missed: Tensor, asked: Tensor, kinds: Sequence[str]) -> None:
        """Take a batch into the running means of what is missed."""
        for kind in sorted(set(kinds)):
            rows = [row for row, name in enumerate(kinds) if name == kind]
            now = float(missed[rows][asked[rows]].mean())
            self.errors[kind] = now + 0.95 * (self.errors.get(kind, now) - now)


class ExampleLessons(nn.Module):
    """Both lessons as one loss, with the readers as its weights."""

    def __init__(self, processor: Processor, d_llm: int, regions: int, likes: int) -> None:
        """Draw `regions` regions and `likes` requests per step; 0 leaves a lesson out."""
        super().__init__()
        self.rng = random.Random()
        self.regions = RegionLesson(d_llm, self.rng, regions)
        self.likes = LikeLesson(processor, d_llm, self.rng, likes)
        self.readers = nn.ModuleList([self.regions.reader, self.likes.reader])

    def losses(self, model: PlannerModel) -> Iterator[Tensor]:
        """Yield the weighted losses of one step; each is to be led back before the next is asked for."""
        if self.regions.count:
            with autocast(model.device):
                missed = self.regions.loss(model)
            yield REGION * missed
        if self.likes.count:
            with autocast(model.device):
                words, missed = self.likes.loss(model)
            yield LIKE_WORDS * words + EXAMPLE * missed

    def __str__(self) -> str:
        """How far off the last readings were, for a log."""
        errors = {"regions": self.regions.error, **self.likes.errors}
        return f"{' '.join(f'{name} {error:.3f}' for name, error in errors.items())} off"


def up_to_call(talk: Conversation) -> Conversation:
    """A conversation that ends with its first call, which it must have."""
    first = next(place for place, turn in enumerate(talk.turns) if turn.invocation is not None)
    return replace(talk, turns=talk.turns[: first + 1])


def qualities(requests: Sequence[Facts], kinds: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return what is to be read of requests by example, and which of it was asked for.

    Args:
        requests: The facts of B calls (see shapes.tasks_like).
        kinds: The kind of each request.

    Returns:
        (B, 5) float: colour channels from -1 to 1, half side within its reach, distance within its range; and
        (B, 5) bool.

    Raises:
        KeyError: A kind has nothing to read.
    """
    wanted = torch.zeros(len(requests), len(QUALITIES))
    asked = torch.zeros(len(requests), len(QUALITIES), dtype=torch.bool)
    for row, (facts, kind) in enumerate(zip(requests, kinds, strict=True)):
        obj = facts["wanted"]
        wanted[row, :3] = torch.tensor(_shade(obj))
        wanted[row, 3] = _within(obj.r, *REACH[obj.size])
        if kind in ("speed", "reach"):
            wanted[row, 4] = _within(facts["clip"].motions[facts["target"]].amount, *DISTANCE)
        asked[row, _ASKED[kind]] = True
    return wanted, asked


def _ends(facts: Facts) -> tuple[float, ...]:
    """Where what moves to a click stands, and where the click is: x and y from -1 to 1 of each."""
    end = facts["clip"].scenes[-1].objects[facts["target"]]
    return tuple(2 * value - 1 for value in (facts["wanted"].x, facts["wanted"].y, end.x, end.y))


def _shade(obj: Obj) -> list[float]:
    return [2 * channel - 1 for channel in obj.rgb]


def _within(value: float, low: float, high: float) -> float:
    return (2 * value - low - high) / (high - low)
