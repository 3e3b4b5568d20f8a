"""What a model may write into a tool call: one small schema per tool, and the `Invocation` each stands for.

Pictures are numbers or handles, never pixels. Everything a run needs besides these (signals, seed, the conversation) is
hidden from the model and comes in through the tool's runtime. This file knows neither tools nor specialists.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from vitron_agent.errors import first_message
from vitron_agent.invocation import MAX_COMMAND, GroundedPhrase, Invocation, Module
from vitron_agent.media import Region

DRAWN = "drawn"  # what a call writes for "the region the user drew"


def _sound_box(box: list[float]) -> list[float]:
    """Let `Region` judge a box, so that there is one set of rules for boxes."""
    _region(box)
    return box


def _region(box: list[float]) -> Region:
    return Region.from_box(box[0], box[1], box[2], box[3])


# a list and not a tuple: several providers refuse the JSON schema of tuples
BoxArgument = Annotated[list[float], Field(min_length=4, max_length=4), AfterValidator(_sound_box)]

COMMAND = "What to do, in plain words, such as: {example}"
PICTURE = "Number of the picture, counted from 1 in the order of the conversation; leave out for the latest."
VIDEO = "Number of the video, counted from 1 in the order of the conversation; leave out for the latest."
FIRST_FRAME = "Where in its first frame: left, top, right, bottom in [0, 1], or 'drawn' for what the user drew."
REGION = "Where: left, top, right, bottom as shares of the picture in [0, 1], or 'drawn' for what the user drew."


class PlacedPhrase(BaseModel):
    """One object and the box it shall fill."""

    model_config = ConfigDict(extra="forbid")

    phrase: str = Field(min_length=1, max_length=200, description="The object, such as: small red circle")
    box: BoxArgument = Field(description="Left, top, right, bottom as shares of the picture in [0, 1].")


class ToolArguments(BaseModel):
    """What all calls have in common."""

    model_config = ConfigDict(extra="ignore")  # the injected runtime passes through validation, and is not ours

    def invocation(self) -> Invocation:
        """Return the call these arguments stand for, the value that `arguments_digest` is taken of."""
        raise NotImplementedError

    @property
    def medium(self) -> int | str | None:
        """The picture or video that is named, by its number or otherwise; None for the latest, or where none is."""
        return None

    @model_validator(mode="after")
    def _makes_a_call(self) -> Self:
        """Refuse at once what no invocation can hold, such as a tag inside a command."""
        try:
            self.invocation()
        except ValidationError as error:
            raise ValueError(first_message(error)) from None
        return self


class GenerateArguments(ToolArguments):
    """Draw a new picture from words, optionally with a box for each object."""

    command: str = Field(
        min_length=1,
        max_length=MAX_COMMAND,
        description=COMMAND.format(example="a red circle left of a small blue square on a gray background"),
    )
    layout: tuple[PlacedPhrase, ...] = Field(default=(), max_length=30, description="Where each object shall be.")

    def invocation(self) -> Invocation:
        """Module A with its layout."""
        layout = tuple(GroundedPhrase.model_validate(item.model_dump()) for item in self.layout)
        return Invocation(module=Module.A, command=self.command, layout=layout)


Where = BoxArgument | Literal["drawn"] | None


def _call(
    module: Module, command: str, where: Where, medium: int | str | None, background: str | None = None
) -> Invocation:
    """Return the call of a module that works on a picture or video; one that is named by its handle has no number."""
    return Invocation(
        module=module,
        command=command,
        background=background,
        region=_region(where) if isinstance(where, list) else None,
        uses_drawn_region=where == DRAWN,
        media=medium if isinstance(medium, int) and medium > 0 else None,  # another number is no picture's: `choose`
    )


class AnyPictureArguments(ToolArguments):
    """A call that works on a whole picture of the conversation."""

    picture: int | str | None = Field(default=None, description=PICTURE)

    @property
    def medium(self) -> int | str | None:
        """The picture."""
        return self.picture


class PictureArguments(AnyPictureArguments):
    """A call that works on a picture of the conversation, or a region of it."""

    region: Where = Field(default=None, description=REGION)


class SegmentArguments(PictureArguments):
    """Find something in a picture and return its mask."""

    command: str = Field(
        min_length=1,
        max_length=MAX_COMMAND,
        description="What to find, such as: the red circle; or: everything; or: the background",
    )

    def invocation(self) -> Invocation:
        """Module B."""
        return _call(Module.B, self.command, self.region, self.picture)


class EditArguments(PictureArguments):
    """Change something in a picture and return the new picture."""

    command: str = Field(
        min_length=1,
        max_length=MAX_COMMAND,
        description=(
            "What to change, one of: replace the OLD with a NEW; remove the OLD; add a NEW, also 'at the top left' "
            "or 'above the OLD'; change the background to COLOUR"
        ),
    )

    def invocation(self) -> Invocation:
        """Module C."""
        return _call(Module.C, self.command, self.region, self.picture)


class GenerateVideoArguments(ToolArguments):
    """Make a new video from words."""

    command: str = Field(
        min_length=1,
        max_length=MAX_COMMAND,
        description=COMMAND.format(example="a red circle moves right and a star stands still on a gray background"),
    )

    def invocation(self) -> Invocation:
        """Module D."""
        return Invocation(module=Module.D, command=self.command)


class AnimateArguments(AnyPictureArguments):
    """Make a video that begins with a picture."""

    command: str = Field(
        min_length=1,
        max_length=MAX_COMMAND,
        description="How what the picture shows shall move, such as: the red circle moves left and the star grows",
    )

    def invocation(self) -> Invocation:
        """Module G."""
        return _call(Module.G, self.command, None, self.picture)


class VideoArguments(ToolArguments):
    """A call that works on a video of the conversation."""

    region: Where = Field(default=None, description=FIRST_FRAME)
    video: int | str | None = Field(default=None, description=VIDEO)

    @property
    def medium(self) -> int | str | None:
        """The video."""
        return self.video


class TrackArguments(VideoArguments):
    """Follow one object through a video and return its mask in every frame."""

    command: str = Field(min_length=1, max_length=MAX_COMMAND, description="What to follow, such as: the red circle")

    def invocation(self) -> Invocation:
        """Module E."""
        return _call(Module.E, self.command, self.region, self.video)


class EditVideoArguments(VideoArguments):
    """Change an object of a video, its background, or both, and return the new video."""

    command: str = Field(
        default="",
        max_length=MAX_COMMAND,
        description="What to change of an object: replace the OLD with a NEW; leave out to change the background only.",
    )
    background: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_COMMAND,
        description="What to change of the background: change the background to COLOUR; leave out to keep it.",
    )

    def invocation(self) -> Invocation:
        """Module F."""
        return _call(Module.F, self.command, self.region, self.video, self.background)


ARGUMENTS: dict[Module, type[ToolArguments]] = {
    Module.A: GenerateArguments,
    Module.B: SegmentArguments,
    Module.C: EditArguments,
    Module.D: GenerateVideoArguments,
    Module.E: TrackArguments,
    Module.F: EditVideoArguments,
    Module.G: AnimateArguments,
}
"""What each module's tool takes."""
