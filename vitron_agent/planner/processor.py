"""How a conversation is written down for the planner: Vicuna's template with pictures, regions, calls and signal runs.

    USER: Picture 1: <image>
    what is <objs>? ASSISTANT: A red star.</s>USER: cut it out ASSISTANT: Sure. <module>B</module> ...<signals></s>

Training and use share this file, so the planner never sees a form it was not trained on. It does not know tensors
beyond handing pictures and masks through, nor where they come from.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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

_BLOCK = 4  # requests that are forgotten together


@dataclass(frozen=True)
class DrawnRegion:
    """A region that the user drew.

    Attributes:
        mask: (H, W) bool, any size; on a video, of its first frame.
        number: Of the picture or video it was drawn on, each counted from 1; None for what was shown last.
        on_video: Whether that is a video.
    """

    mask: Tensor
    number: int | None = None
    on_video: bool = False


@dataclass(frozen=True)
class UserTurn:
    """What comes in: words of the user, or the result of a tool (`Result: ...`), with new pictures and videos.

    Attributes:
        text: Holds `<objs>` where it speaks of a drawn region; a region without its mark gets one at the end.
        pictures: New pictures in order; they take the next numbers. Handed through: uint8 (3, H, W) or `Stored` in use,
            scenes that are still to be drawn in training.
        regions: What the user drew, in the order of the marks.
        videos: New videos, shown behind the pictures, numbered by themselves. Handed through: uint8 (T, 3, H, W),
            `Stored`, or clips that are still to be drawn.
    """

    text: str
    pictures: tuple[Any, ...] = ()
    regions: tuple[DrawnRegion, ...] = ()
    videos: tuple[Any, ...] = ()


@dataclass(frozen=True)
class AssistantTurn:
    """What the planner said: a reply and its calls."""

    text: str
    invocations: tuple[Invocation, ...] = ()


Turn = UserTurn | AssistantTurn


@dataclass(frozen=True)
class Shown:
    """A picture or a video of a conversation, as the turn gave it; of what was forgotten only its number counts.

    Attributes:
        content: As in `UserTurn`.
        is_video: Whether it is a video.
        is_forgotten: Whether its turn is left out.
        number: Among the conversation's pictures, or videos, from 1; 0 as long as it stands in no conversation.
    """

    content: Any
    is_video: bool = False
    is_forgotten: bool = False
    number: int = 0


@dataclass
class Serialised:
    """A conversation as ids.

    Attributes:
        ids: Token ids; every picture and every video is a run of `<image>` ids.
        learn: For each id whether training asks for it (assistant's words, calls, first signal token, `</s>`).
        media: What the turns gave, in order of their runs.
        regions: (index in `media`, mask (H, W)) in order of the `<objs>` ids.
    """

    ids: list[int] = field(default_factory=list)
    learn: list[bool] = field(default_factory=list)
    media: list[Shown] = field(default_factory=list)
    regions: list[tuple[int, Tensor]] = field(default_factory=list)

    def count(self, videos: bool) -> int:
        """How many videos, or pictures, there are."""
        return sum(shown.is_video is videos for shown in self.media)

    def show(self, shown: Shown) -> Shown:
        """Append a picture or a video, and return it with its number."""
        numbered = replace(shown, number=self.count(shown.is_video) + 1)
        self.media.append(numbered)
        return numbered

    def add(self, ids: Sequence[int], learn: bool = False) -> None:
        """Append ids."""
        self.ids.extend(ids)
        self.learn.extend([learn] * len(ids))


class Processor:
    """Writes conversations down for one vocabulary and one number of tokens per picture and per video."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        image_tokens: int,
        max_tokens: int = 3072,
        system: str = "",
        folds_case: bool = False,
        video_tokens: int = 0,
    ) -> None:
        """Remember the vocabulary.

        Args:
            vocabulary: Tokenizer and special ids.
            image_tokens: `<image>` ids per picture.
            max_tokens: Longest prompt; older turns are left out of a longer conversation.
            system: What stands before the first turn; nothing in the tiny profile, Vicuna's sentence at full size.
            folds_case: Whether users' words are read in lower case: a small model need not learn everything twice.
            video_tokens: `<image>` ids per video; 0 if the model knows no videos.
        """
        self.vocabulary = vocabulary
        self.image_tokens = image_tokens
        self.max_tokens = max_tokens
        self.system = f"{system} " if system else ""
        self.folds_case = folds_case
        self.video_tokens = video_tokens

    def tokens_of(self, shown: Shown) -> int:
        """How many `<image>` ids stand for a picture or a video."""
        if shown.is_forgotten:
            return 0
        return self.video_tokens if shown.is_video else self.image_tokens

    def serialise(self, turns: Sequence[Turn], forgotten: int = 0) -> Serialised:
        """Write a conversation down; if the last turn is a user's, the ids end with `ASSISTANT:`.

        Args:
            turns: From the first to the last. Pictures are numbered over the whole conversation, and so are videos.
            forgotten: How many of the first turns are left out. What they showed keeps its number.

        Raises:
            InputError: A region lies on a picture that is not there, or there is a video that the model cannot see.
        """
        out = Serialised()
        out.add([self.vocabulary.id("<s>"), *self.vocabulary.encode(self.system)])
        for turn in turns[:forgotten]:
            if isinstance(turn, UserTurn):
                for shown in shown_in(turn):
                    out.show(replace(shown, is_forgotten=True))
        for turn in turns[forgotten:]:
            if isinstance(turn, UserTurn):
                self._add_user(out, turn)
            else:
                self._add_assistant(out, turn)
        return out

    def fit(self, turns: Sequence[Turn]) -> Serialised:
        """As `serialise`, with the oldest turns forgotten until at most `max_tokens` ids are left.

        Several requests are forgotten at once, with what came of them, where that does: what is left then begins alike
        for some turns, and need not be read anew in each of them. The request that is being worked on goes last.

        Raises:
            InputError: The last turn alone is too long.
        """
        out = self.serialise(turns)
        if len(out.ids) <= self.max_tokens:
            return out
        begins = [index for index, turn in enumerate(turns) if isinstance(turn, UserTurn)]
        requests = [index for index in begins if not turns[index].text.startswith(RESULT)]
        for cuts in (requests[_BLOCK::_BLOCK], requests[1:], begins[1:]):
            at = bisect_left(cuts, True, key=lambda cut: len(self.serialise(turns, cut).ids) <= self.max_tokens)
            if at < len(cuts):
                return self.serialise(turns, cuts[at])
        alone = len(self.serialise(turns, begins[-1] if begins else 0).ids)
        raise InputError(
            f"the request is too long: {alone} tokens, at most {self.max_tokens} fit; "
            "say it shorter, or show fewer pictures at once"
        )

    def _add_user(self, out: Serialised, turn: UserTurn) -> None:
        tags, encode = self.vocabulary.tags, self.vocabulary.encode
        out.add(encode("USER:"))
        if turn.videos and not self.video_tokens:
            raise InputError("the planner cannot see videos with these weights: send a picture instead")
        for shown in map(out.show, shown_in(turn)):
            name = "Video" if shown.is_video else "Picture"
            out.add(encode(f" {name} {shown.number}: "))
            out.add([tags["<image>"]] * self.tokens_of(shown))
            out.add(encode("\n"))
        said = turn.text.lower() if self.folds_case and not turn.text.startswith(RESULT) else turn.text
        text = said + " <objs>" * (len(turn.regions) - said.count("<objs>"))
        first, *parts = text.split("<objs>")
        out.add(encode(plain(first if turn.pictures or turn.videos else f" {first}")))
        for number, part in enumerate(parts):
            if number < len(turn.regions):
                out.add([tags["<objs>"]])
                out.regions.append(self._region(out, turn.regions[number]))
                out.add(encode(plain(part)))
            else:
                out.add(encode(plain("it" + part)))  # nothing was drawn for this mark
        out.add(encode(" ASSISTANT:"))

    def _region(self, out: Serialised, region: DrawnRegion) -> tuple[int, Tensor]:
        places = [i for i, shown in enumerate(out.media) if shown.is_video is region.on_video]
        if region.number is None:
            places = [len(out.media) - 1] if out.media else []
        number = region.number or len(places)
        if not 1 <= number <= len(places):
            kind = "video" if region.on_video else "picture"
            raise InputError(f"the region is drawn on {kind} {number}, but there are {len(places)}: give that first")
        return places[number - 1], region.mask

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


def shown_in(turn: UserTurn) -> tuple[Shown, ...]:
    """What a turn shows, in the order in which it is written down."""
    return (*map(Shown, turn.pictures), *(Shown(video, is_video=True) for video in turn.videos))


def plain(text: str) -> str:
    """Text in which nothing is a special token: the bracket of whatever looks like one becomes a parenthesis."""
    return _TAG_LIKE.sub("(", text)
