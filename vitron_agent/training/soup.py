"""Averages the weights of two runs of one model: a model soup (Wortsman et al., 2022).

A run that goes on from another's weights often answers some requests better and others worse; the weights in
between may be good at both: measure. Knows safetensors files, not what they are of.
"""

import argparse
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from vitron_agent.errors import CheckpointError


def average_folders(first: Path, second: Path, share: float, out: Path) -> None:
    """Write the safetensors files of `first` anew to `out`, each weight moved to `second`'s by `share`.

    Args:
        first: A folder of weights.
        second: One with the same files.
        share: 0 is the first, 1 the second.
        out: Where to write, an existing folder; may be one of the two.

    Raises:
        CheckpointError: The folders hold weights of different names or shapes, or none.
    """
    names = sorted(path.name for path in first.glob("*.safetensors"))
    if not names or names != sorted(path.name for path in second.glob("*.safetensors")):
        raise CheckpointError(f"{first} and {second} do not hold the same weight files: give two runs of one model")
    for name in names:
        one, other = load_file(first / name), load_file(second / name)
        if {key: value.shape for key, value in one.items()} != {key: value.shape for key, value in other.items()}:
            raise CheckpointError(f"{name} differs in names or shapes between {first} and {second}")
        with safe_open(first / name, framework="pt") as file:
            metadata = file.metadata()
        mixed = {key: _between(value, other[key], share) for key, value in one.items()}
        save_file(mixed, out / name, metadata=metadata)


def _between(one: torch.Tensor, other: torch.Tensor, share: float) -> torch.Tensor:
    """A tensor of counts stays the first's."""
    return torch.lerp(one.float(), other.float(), share).to(one.dtype) if one.is_floating_point() else one


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("first", "second", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="how far towards the second")
    given = parser.parse_args()
    average_folders(given.first, given.second, given.share, given.out)
