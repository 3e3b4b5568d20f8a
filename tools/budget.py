"""How much memory specialists may take together, and what each takes. Arithmetic, and a look at what is loaded.

What a part takes is what its profile says until it was loaded once; then it is what was found. Work needs room besides
the weights, for as long as it lasts.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

MIB = 2**20
_DEPTH = 6  # specialist, parts, model: attributes of attributes that are looked through for networks


@dataclass
class Budget:
    """A budget and the specialists' shares of it, all in MiB.

    Attributes:
        total: what there is.
        reserved: what is taken all the time by others, such as the planner.
        weights: of specialists by name, as far as they are known.
        work: what each needs besides while it runs.
    """

    total: float = math.inf
    reserved: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    work: Mapping[str, float] = field(default_factory=dict)

    def takes(self, loaded: Collection[str], working: Collection[str]) -> float:
        """Return what is taken with these loaded and these at work; who is at work counts as loaded."""
        weights = sum(self.weights.get(name, 0.0) for name in {*loaded, *working})
        return self.reserved + weights + sum(self.work.get(name, 0.0) for name in working)

    def fits(self, loaded: Collection[str], working: Collection[str]) -> bool:
        """Whether that is within the budget."""
        return self.takes(loaded, working) <= self.total

    def lack(self, name: str) -> str | None:
        """Return why a specialist does not fit even alone, and what to do; None where it does."""
        needed = self.takes((), (name,))
        if needed <= self.total:
            return None
        beside = f" beside the {self.reserved:,.0f} MiB that the planner takes" if self.reserved else ""
        return (
            f"{name} needs {needed - self.reserved:,.0f} MiB{beside}, and the budget is {self.total:,.0f} MiB: give at "
            f"least {math.ceil(needed):,} MiB, choose a larger device, or do without it"
        )

    def found(self, name: str, specialist: object) -> None:
        """Take note of what a loaded specialist takes."""
        self.weights = {**self.weights, name: weight_bytes(specialist) / MIB}


def weight_bytes(thing: object) -> int:
    """Bytes of all weights and buffers that an object holds in its attributes, and theirs; shared ones count once."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for network in _networks(thing, set(), _DEPTH)
        for tensor in (*network.parameters(), *network.buffers())
    }
    return sum(storages.values())


def _networks(thing: Any, seen: set[int], depth: int) -> Iterator[nn.Module]:
    if isinstance(thing, nn.Module):
        yield thing
    if isinstance(thing, nn.Module) or id(thing) in seen or depth == 0:
        return
    seen.add(id(thing))
    if isinstance(thing, list | tuple):
        inner: Collection[Any] = thing
    else:
        inner = [*thing.values()] if isinstance(thing, dict) else [*getattr(thing, "__dict__", {}).values()]
    for each in inner:
        yield from _networks(each, seen, depth - 1)
