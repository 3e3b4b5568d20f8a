"""The contract of every vision specialist: one request in, one result out, progress on the way.

This file does not know planners, conversations, files or stores: a request holds pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor

from vitron_agent.errors import InputError, MissingInputError
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import Box, MediaKind, Region
from vitron_agent.signals import SignalEmbeddings

Progress = Callable[[int, int], None]
"""Called as (step, total) after each step; it may raise `Cancelled` to stop the work."""


def ignore_progress(step: int, total: int) -> None:
    """Watch nothing: the default of `Specialist.run`."""


@dataclass(frozen=True, eq=False)
class SpecialistRequest:
    """All that a specialist needs for one call.

    Attributes:
        command: what to do, in words.
        image: the picture to work on, uint8 (3, H, W) RGB; None for generation.
        region: where in the picture, or in the first frame of the region's span.
        layout: for generation, what is drawn where.
        mask: where an edit may change pixels, bool (H, W).
        reference: another picture, uint8 (3, H, W), and a region of it: "like this one".
        signals: the planner's embeddings; None runs on the command alone.
        seed: of all randomness in the call.
        steps: denoising steps, None for the specialist's own number.
        guidance: classifier-free guidance scale, 1 is none; None for the specialist's own.
        video: the clip to work on, uint8 (T, 3, H, W) RGB.
        masks: the object in every frame of the clip, bool (T, H, W).
        keyframes: edited frames of the clip, frame number -> uint8 (3, H, W): the rest of it shall look like them.
        draft: a rough version of the picture to come, uint8 (3, H, W) RGB: the work goes on from it.
    """

    command: str
    image: Tensor | None = None
    region: Region | None = None
    layout: tuple[GroundedPhrase, ...] = ()
    mask: Tensor | None = None
    reference: tuple[Tensor, Region] | None = None
    signals: SignalEmbeddings | None = None
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    video: Tensor | None = None
    masks: Tensor | None = None
    keyframes: Mapping[int, Tensor] = field(default_factory=dict)
    draft: Tensor | None = None

    def sampling(self, steps: int, guidance: float) -> tuple[int, float]:
        """Return the steps and the guidance scale that are asked for, else a specialist's own, which are given."""
        return self.steps or steps, guidance if self.guidance is None else self.guidance

    def picture_and_mask(self) -> tuple[Tensor, Tensor]:
        """Return an edit's picture, uint8 (3, H, W), and its mask, bool (H, W), both on the CPU.

        Raises:
            MissingInputError: no picture, or nothing says where to edit.
            InputError: the mask is of another size than the picture, or empty.
        """
        if self.image is None:
            raise MissingInputError("there is no picture to edit: give one, or generate it first")
        image, (height, width) = self.image.cpu(), self.image.shape[1:]
        if self.mask is not None:
            mask = self.mask.cpu()
        elif self.region is not None:
            mask = self.region.to_mask(height, width)
        else:
            raise MissingInputError("it is not said where to edit: name the object, or draw a region")
        if mask.shape != (height, width):
            raise InputError(f"the mask is {tuple(mask.shape)}, the picture {(height, width)}: give them the same size")
        if not mask.any():
            raise InputError("the mask is empty: mark where to edit")
        return image, mask


@dataclass(frozen=True, eq=False)
class SpecialistResult:
    """What a specialist made or found.

    Attributes:
        kind: which of the following is the result proper.
        image: uint8 (3, H, W) RGB: the picture, or a mask shown over its picture.
        mask: bool (H, W), True where something was found or changed.
        boxes: (x1, y1, x2, y2) in [0, 1], one for each thing found.
        labels: the name of each box.
        score: how sure the specialist is, in [0, 1].
        masks: bool (T, H, W), the mask of every frame of a clip.
        track: the box around each of `masks`, None where nothing is seen.
        video: uint8 (T, 3, H, W) RGB: the clip that was made.
        looks: pictures of how it was done, for people: name -> uint8 (3, h, w).
    """

    kind: MediaKind
    image: Tensor | None = None
    mask: Tensor | None = None
    boxes: tuple[Box, ...] = ()
    labels: tuple[str, ...] = ()
    score: float | None = None
    masks: Tensor | None = None
    track: tuple[Box | None, ...] = ()
    video: Tensor | None = None
    looks: Mapping[str, Tensor] = field(default_factory=dict)


class Specialist(Protocol):
    """One vision model behind one method.

    Attributes:
        name: which specialist, such as "gligen".
        revision: which weights: results of another revision are other results.
    """

    @property
    def name(self) -> str:
        """Which specialist."""
        ...

    @property
    def revision(self) -> str:
        """Which weights."""
        ...

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        """Carry out one request.

        Raises:
            NothingFoundError: nothing in the picture matches the command.
            MissingInputError: the request lacks a picture or region that this command needs.
            Cancelled: `progress` asked to stop.
        """
        ...


@runtime_checkable
class Supplied(Specialist, Protocol):
    """A specialist that an application may hand things for single requests, besides the weights that it has."""

    def supplied(self, request: SpecialistRequest) -> str:
        """Return a digest of what was handed over and counts for a request; "" where nothing was.

        Results depend on it as they do on `revision`. It is asked at any time, also while another request runs.
        """
        ...


@runtime_checkable
class Movable(Specialist, Protocol):
    """A specialist whose weights may wait in another memory than the one it computes in.

    One that is not movable is built anew after it had to leave.
    """

    def move_to(self, device: str) -> None:
        """Move all that is kept between requests; no request runs meanwhile. `revision` and results stay as they were.

        Args:
            device: as torch calls it, such as "cpu" or "cuda:0".
        """
        ...
