"""What a profile consists of: parts with their files, sizes and licences, and how they sample. Plain values.

Which parts the profiles have stands in profiles.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

QUANTISED = {4: 0.258, 8: 0.5005}
"""Bits -> the share of its half-precision size that a weight takes in so many, its scales included."""


@dataclass(frozen=True)
class Sampling:
    """What a request to a diffusion model that does not say gets.

    Attributes:
        steps: denoising steps.
        guidance: classifier-free guidance scale; 1 is none.
        source: whose numbers these are.
        frames: of a clip.
        height: of its frames, in pixels; pictures have the size that their network's configuration says.
        width: likewise.
        scheduler: diffusers' class; "" for the one that the weights' folder names.
        grounded: the share of the steps that look at boxes, of a model that is told some.
    """

    steps: int
    guidance: float
    source: str
    frames: int = 0
    height: int = 0
    width: int = 0
    scheduler: str = ""
    grounded: float = 1.0


@dataclass(frozen=True)
class Part:
    """One set of weights.

    Attributes:
        name: what build.py calls it: planner, gligen, gligen_inpaint, seem, mappers, zeroscope, i2vgen_xl, controlnet.
        role: what it does, in a few words.
        files: paths below the profile's folder that must be there; `a|b` is either.
        source: public name of the weights.
        size: in half precision, MiB.
        licence: under which they may be used.
        work: what it needs besides while it runs, MiB; 0 where that is next to nothing.
        sampling: how a diffusion model samples; None for the specialist's own defaults.
        frugal_work: what it needs while it runs the slower way that takes less; 0 where there is none.
        quantisable: how much of `size` may be held in fewer bits; 0 for nothing.
        kept: what it keeps besides its weights, also when it does not run, MiB: conversations that were read.
        kept_compiled: what it keeps more of where its step is compiled, MiB.
    """

    name: str
    role: str
    files: tuple[str, ...]
    source: str
    size: float
    licence: str
    work: float = 0.0
    sampling: Sampling | None = None
    frugal_work: float = 0.0
    quantisable: float = 0.0
    kept: float = 0.0
    kept_compiled: float = 0.0

    @property
    def is_frugal(self) -> bool:
        """Whether it runs the slower way."""
        return 0 < self.work == self.frugal_work

    @property
    def frugal(self) -> "Part":
        """The same weights, run the slower way where there is one."""
        return replace(self, work=self.frugal_work) if self.frugal_work else self


@dataclass(frozen=True)
class Profile:
    """A whole system.

    Attributes:
        name: what users call it.
        summary: one line for people.
        folder: where the weights lie; None where that is for each user to say.
        parts: what it is made of.
        picture_size: side of the pictures it draws, in pixels.
        extras: what it works without; a tool that needs one is offered only where its weights are there.
        repositories: part -> where on the hub it comes from, in place of the folder: "owner/name", or with "@revision".
    """

    name: str
    summary: str
    folder: Path | None
    parts: tuple[Part, ...]
    picture_size: int
    extras: tuple[Part, ...] = ()
    repositories: Mapping[str, str] = field(default_factory=dict, hash=False)

    def part(self, name: str) -> Part:
        """Return the part of this name.

        Raises:
            KeyError: there is none.
        """
        return {part.name: part for part in (*self.parts, *self.extras)}[name]

    def missing(self, part: Part) -> list[str]:
        """Return the files of a part that are not there; without a folder, its weights as a whole.

        What comes from the hub counts as there: it is fetched before it is loaded.
        """
        if part.name in self.repositories:
            return []
        folder = self.folder
        if folder is None:
            return [part.source]
        wanted = [name.split("|") for name in part.files]
        return [_either(names) for names in wanted if not any((folder / name).is_file() for name in names)]


def _either(names: list[str]) -> str:
    """Name alternatives, the first of many."""
    return " or ".join(names) if len(names) <= 3 else f"{names[0]} (or another form of it)"
