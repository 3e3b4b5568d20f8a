"""Where things lie on this machine, and where they compute: the user's folder, each profile's weights, the device.

Weights of a profile that is not packaged are looked for in the folder that the caller names, else in $VITRON_WEIGHTS,
else below the user's folder, where `vitron-agent models pull` puts them. Nothing is loaded here.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from vitron_agent.errors import CheckpointError, InputError, quoted
from vitron_agent.parts import QUANTISED, Profile
from vitron_agent.profiles import DEFAULT_PROFILE, find_profile

if TYPE_CHECKING:
    import torch

Weights: TypeAlias = str | Path | Mapping[str, str] | None
"""Where a profile's weights are: the folder that holds its parts; or, of single parts, the repositories on the hub they
come from ("owner/name", or "owner/name@revision"); None for the usual places."""
HOME_VARIABLE = "VITRON_HOME"
WEIGHTS_VARIABLE = "VITRON_WEIGHTS"


def user_folder() -> Path:
    """Return where conversations and media lie: $VITRON_HOME, else a folder of this user's.

    Raises:
        InputError: it begins with the home folder of a user that is not known.
    """
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return _folder(os.environ.get(HOME_VARIABLE) or f"{data}/vitron-agent", HOME_VARIABLE)


def _folder(named: str | Path, by: str) -> Path:
    """Return a folder that may begin with a user's home."""
    try:
        return Path(named).expanduser()
    except RuntimeError:
        raise InputError(f"{quoted(str(named))} is no folder (no such user): set {by} to a full path") from None


def placed(name: str, weights: Weights = None) -> Profile:
    """Return a profile with the folder that its weights belong in, whether they are there or not.

    Args:
        name: of the profile.
        weights: the folder; None for the packaged one, else $VITRON_WEIGHTS, else one below the user's folder, where
            those parts are looked for too that are not said to come from the hub.

    Raises:
        InputError: unknown profile or part, no repository, or the folder begins with the home of an unknown user.
    """
    profile = find_profile(name)
    if isinstance(weights, Mapping):
        from vitron_agent import hub

        return replace(placed(name), repositories=hub.checked(profile, weights))
    if weights is not None:
        return replace(profile, folder=_folder(weights, "weights"))
    if profile.folder is not None:
        return profile
    chosen = os.environ.get(WEIGHTS_VARIABLE)
    own = _folder(chosen, WEIGHTS_VARIABLE) if chosen else user_folder() / "weights" / name
    return replace(profile, folder=own)


def loadable(name: str, weights: Weights = None) -> Profile:
    """Return a profile whose planner's weights are there; the other parts are looked for when they are first needed.

    Args:
        name: of the profile.
        weights: as in `placed`.

    Raises:
        InputError: unknown profile.
        CheckpointError: the planner's files are missing; the message says which, and how to come by them.
    """
    profile = placed(name, weights)
    require(profile, "planner")
    return profile


def require(profile: Profile, part: str) -> Path:
    """Return the folder of a profile whose part is complete, fetched first if it comes from the hub.

    Raises:
        CheckpointError: files of the part are missing.
        DownloadError: the hub does not answer, or has no such repository.
        StorageError: what comes from it cannot be written.
    """
    if part in profile.repositories:
        from vitron_agent import hub

        return hub.fetched(profile, part, user_folder() / "weights" / "hub")
    assert profile.folder is not None  # `placed` made sure
    if missing := profile.missing(profile.part(part)):
        raise CheckpointError(
            f"weights of {part} are incomplete: {profile.folder / missing[0]} is missing; {_remedy(profile, part)}"
        )
    return profile.folder


def _remedy(profile: Profile, part: str) -> str:
    if find_profile(profile.name).folder is not None:
        return "install the package again, or make them with `vitron-agent train`"
    return (
        f"get them with `vitron-agent models pull {profile.name}`, or name the folder that holds {part}/ (from "
        f"{profile.part(part).source}) with weights=..., --weights or ${WEIGHTS_VARIABLE}, "
        f"or use profile {DEFAULT_PROFILE!r}"
    )


@dataclass(frozen=True)
class Device:
    """Where a profile computes, and how.

    Attributes:
        name: as torch calls it, such as "cuda:0" or "cpu".
        dtype: of the weights there.
        compiled: whether the UNets of diffusion models are compiled (see specialists/speed.py).
        planner_bits: in how many bits the planner's language model is held; None for those of `dtype`.
    """

    name: str
    dtype: "torch.dtype"
    compiled: bool = False
    planner_bits: int | None = None

    @property
    def compiles_planner(self) -> bool:
        """Whether the planner's step is compiled too: on a CPU that gains next to nothing, and not in fewer bits."""
        return self.compiled and self.name.startswith("cuda") and self.planner_bits is None

    @property
    def scale(self) -> float:
        """How many times larger weights are here than in half precision, in which profiles count them."""
        return self.dtype.itemsize / 2


def choose_device(profile: Profile, device: str | None = None) -> Device:
    """Choose where a profile computes, and in which precision.

    Half precision (bfloat16 where the GPU computes in it, else float16) on CUDA; float32 on a CPU, which is not faster
    in less. A packaged profile is made for the CPU, and stays there unless a device is named.

    Args:
        profile: whose weights.
        device: as torch calls it; None for CUDA where there is one, and the CPU elsewhere.

    Raises:
        InputError: there is no such device here.
    """
    import torch

    packaged = find_profile(profile.name).folder is not None
    name = device or ("cuda" if torch.cuda.is_available() and not packaged else "cpu")
    try:
        kind = torch.device(name).type
    except RuntimeError:
        raise InputError(f"device {quoted(name, 40)} is none: choose cuda, cuda:1 or cpu") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {quoted(name, 40)} is not there: torch sees no CUDA here; choose cpu")
    if kind == "cuda":
        index = torch.device(name).index or 0
        if index >= torch.cuda.device_count():
            raise InputError(f"device {quoted(name, 40)} is not there: this machine has {torch.cuda.device_count()}")
        half = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        return Device(name, half if not packaged else torch.float32)
    if kind != "cpu":
        raise InputError(f"device {quoted(name, 40)} is not supported: choose cuda, cuda:1 or cpu")
    return Device(name, torch.float32)


def compiling(device: Device) -> Device:
    """Return a device with compiled UNets, after a look at whether torch can compile for it.

    Raises:
        InputError: there is no compiler.
    """
    if device.name.startswith("cuda"):
        if find_spec("triton") is None:
            raise InputError("compiled=True needs the package triton on CUDA: install it, or leave compiled out")
        return replace(device, compiled=True)
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")  # torch looks for the same
    if shutil.which(compiler) is None:
        raise InputError(
            f"compiled=True needs a C++ compiler, and {quoted(compiler, 60)} is not there: install it, set CXX to "
            "another, or leave compiled out"
        )
    return replace(device, compiled=True)


def in_bits(device: Device, bits: int, profile: Profile) -> Device:
    """Return a device on which the planner's language model is held in fewer bits, by bitsandbytes.

    Raises:
        InputError: not 4 or 8, no CUDA, a packaged profile, or a package is missing.
    """
    if bits not in QUANTISED:
        raise InputError(f"planner_bits is {bits!r}: give 4 or 8, or leave it out")
    if not profile.part("planner").quantisable:
        raise InputError(
            f"planner_bits={bits} is not for profile {profile.name!r}, whose planner is small: leave it out"
        )
    if not device.name.startswith("cuda"):
        raise InputError(f"planner_bits={bits} needs CUDA, and {device.name} computes here: leave it out")
    if missing := [name for name in ("bitsandbytes", "accelerate") if find_spec(name) is None]:
        raise InputError(
            f"planner_bits={bits} needs the package {missing[0]}: install vitron-agent[gpu], or leave planner_bits out"
        )
    return replace(device, planner_bits=bits)
