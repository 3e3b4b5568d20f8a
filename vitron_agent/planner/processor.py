"""How a conversation is written down for the planner: Vicuna's template with pictures, regions, calls and signal runs.

    USER: Picture 1: <image>
    what is <objs>? ASSISTANT: A red star.</s>USER: cut it out ASSISTANT: Sure. <module>B</module> ...<signals></s>

Training and use share this file, so the planner never sees a form it was not trained on. It does not know tensors
beyond handing pictures and masks through, nor where they come from.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vitron_agent.errors import InputError
from vitron_agent.invocation import Invocation, render_invocation
from vitron_agent.planner.tokenizer import Vocabulary

RESULT = "Result: "
"""How the text of a user-side turn begins that holds what a tool found."""
_TAG_LIKE = re.compile(
    r"<(?=/?\s*(?:module|instruction|region|media|image|objs|signal_\w+|pad|unk|s|0x[0-9A-F]{2})\s*>)", re.I
)


@dataclass(frozen=True)
class DrawnRegion:
    """A region that the user drew.

    Attributes:
        mask: (H, W) bool, any size.
        picture: Number of the picture it was drawn on, from 1; None for the latest.
    """

    mask: Tensor
    picture: int | None = None


@dataclass(frozen=True)
class UserTurn:
    """What comes in: words of the user, or the result of a tool (`Result: ...`), with new pictures.

    Attributes:
        text: Holds `<objs>` where it speaks of a drawn region; a region without its mark gets one at the end.
        pictures: New pictures in order; they take the next numbers. Handed through: uint8 (3, H, W) in use, scenes that
            are still to be drawn in training.
        regions: What the user drew, in the order of the marks.
    """

    text: str
    pictures: tuple[Any, ...] = ()
    regions: tuple[DrawnRegion, ...] = ()


@dataclass(frozen=True)
class AssistantTurn:
    """What the planner said: a reply and its calls."""

    text: str
    invocations: tuple[Invocation, ...] = ()


Turn = UserTurn | AssistantTurn


@dataclass
class Serialised:
    """A conversation as ids.

    Attributes:
        ids: Token ids; every picture is a run of `<image>` ids.
        learn: For each id whether training asks for it (assistant's words, calls, first signal token, `</s>`).
        pictures: What the turns gave, in order of their runs.
        regions: (index of the picture in `pictures`, mask (H, W)) in order of the `<objs>` ids.
    """

    ids: list[int] = field(default_factory=list)
    learn: list[bool] = field(default_factory=list)
    pictures: list[Any] = field(default_factory=list)
    regions: list[tuple[int, Tensor]] = field(default_factory=list)

    def add(self, ids: Sequence[int], learn: bool = False) -> None:
        """Appends ids."""
        self.ids.extend(ids)
        self.learn.extend([learn] * len(ids))


class Processor:
    """Writes conversations down for one vocabulary and one number of tokens per picture."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        image_tokens: int,
        max_tokens: int = 3072,
        system: str = "",
        folds_case: bool = False,
    ) -> None:
        """Remembers the vocabulary.

        Args:
            vocabulary: Tokenizer and special ids.
            image_tokens: `<image>` ids per picture.
            max_tokens: Longest prompt; older turns are left out of a longer conversation.
            system: What stands before the first turn; nothing in the tiny profile, Vicuna's sentence at full size.
            folds_case: Whether users' words are read in lower case: a small model need not learn everything twice.
        """
        self.vocabulary = vocabulary
        self.image_tokens = image_tokens
        self.max_tokens = max_tokens
        self.system = f"{system} " if system else ""
        self.folds_case = folds_case

    def serialise(self, turns: Sequence[Turn]) -> Serialised:
        """Writes a whole conversation down; if the last turn is a user's, the ids end with `ASSISTANT:`.

        Args:
            turns: From the first to the last. Pictures are numbered over the whole conversation.

        Raises:
            InputError: A turn speaks of a region that was not drawn, or of a picture that is not there.
        """
        out = Serialised()
        out.add([self.vocabulary.id("<s>"), *self.vocabulary.encode(self.system)])
        for turn in turns:
            if isinstance(turn, UserTurn):
                self._add_user(out, turn)
            else:
                self._add_assistant(out, turn)
        return out

    def fit(self, turns: Sequence[Turn]) -> Serialised:
        """As `serialise`, with the oldest turns emptied of words until at most `max_tokens` ids are left.

        Pictures of emptied turns stay, so that their numbers go on meaning the same.

        Raises:
            InputError: The last turn alone is too long.
        """
        turns = list(turns)
        for index in range(len(turns)):
            out = self.serialise(turns)
            if len(out.ids) <= self.max_tokens:
                return out
            if index == len(turns) - 1:
                break
            turn = turns[index]
            turns[index] = UserTurn("", turn.pictures) if isinstance(turn, UserTurn) else AssistantTurn("")
        raise InputError(
            f"the request is too long: {len(out.ids)} tokens, at most {self.max_tokens} fit; say it shorter"
        )

    def _add_user(self, out: Serialised, turn: UserTurn) -> None:
        tags, encode = self.vocabulary.tags, self.vocabulary.encode
        out.add(encode("USER:"))
        for picture in turn.pictures:
            out.pictures.append(picture)
            out.add(encode(f" Picture {len(out.pictures)}: "))
            out.add([tags["<image>"]] * self.image_tokens)
            out.add(encode("\n"))
        said = turn.text.lower() if self.folds_case and not turn.text.startswith(RESULT) else turn.text
        text = said + " <objs>" * (len(turn.regions) - said.count("<objs>"))
        first, *parts = text.split("<objs>")
        out.add(encode(plain(first if turn.pictures else f" {first}")))
        for number, part in enumerate(parts):
            if number < len(turn.regions):
                out.add([tags["<objs>"]])
                out.regions.append(self._region(out, turn.regions[number]))
                out.add(encode(plain(part)))
            else:
                out.add(encode(plain("it" + part)))  # nothing was drawn for this mark
        out.add(encode(" ASSISTANT:"))

    def _region(self, out: Serialised, region: DrawnRegion) -> tuple[int, Tensor]:
        count = len(out.pictures)
        number = region.picture or count
        if not 1 <= number <= count:
            raise InputError(f"the region is drawn on picture {number}, but there are {count}: give its picture first")
        return number - 1, region.mask

    def _add_assistant(self, out: Serialised, turn: AssistantTurn) -> None:
        text = f" {plain(turn.text)}" if turn.text else ""
        if not turn.invocations:
            out.add(self.vocabulary.encode(text), learn=True)
        for number, invocation in enumerate(turn.invocations):
            lead = text if number == 0 else ""
            out.add(self.vocabulary.encode(f"{lead} {render_invocation(invocation)}"), learn=True)
            signals = self.vocabulary.signals(invocation.module)
            out.add(signals[:1], learn=True)
            out.add(signals[1:])
        out.add([self.vocabulary.eos], learn=True)


def plain(text: str) -> str:
    """Text in which nothing is a special token: the bracket of whatever looks like one becomes a parenthesis."""
    return _TAG_LIKE.sub("(", text)
