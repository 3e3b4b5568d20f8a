"""Which parts of a profile fit into a budget of memory together. Arithmetic only; nothing is loaded or measured here.

Weights count in half precision. Besides them, a part at work needs room for what it computes: the planner, which never
leaves, has its own, and of the specialists, one of which works at a time, the largest counts. The same sums hold when
the agent runs (tools/budget.py). The planner keeps conversations besides.
What a device's driver and libraries keep for themselves (half a gigabyte on a common GPU) is not in it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from vitron_agent.errors import InputError, quoted
from vitron_agent.parts import QUANTISED, Part, Profile

MIB = 2**20
_UNITS = {"MB": 10**6, "MIB": MIB, "GB": 10**9, "GIB": 2**30, "TB": 10**12, "TIB": 2**40}
_AMOUNT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s?([mgt]i?b)", re.IGNORECASE | re.ASCII)


def parse_memory(text: str) -> float:
    """Read an amount of memory such as 24GB, 24GiB, 1.5 TB or 8000MB.

    Returns:
        MiB; TB, GB and MB are powers of ten, as on a graphics card's box, TiB, GiB and MiB powers of two.

    Raises:
        InputError: it is none, or zero.
    """
    match = _AMOUNT.fullmatch(text.strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None or float(match[1]) == 0:
        raise InputError(f"memory {quoted(text, 40)} is no amount: give a number and a unit, as 24GB, 24GiB or 8000MB")
    return float(match[1]) * unit / MIB


@dataclass(frozen=True)
class MemoryPlan:
    """What becomes of each part within a budget.

    Attributes:
        stay: parts that stay loaded together, in the profile's order.
        turns: parts that are offloaded, and take the place of others when they are called.
        too_large: parts that do not fit even alone, or not beside the planner, where that fits.
    """

    stay: tuple[Part, ...]
    turns: tuple[Part, ...]
    too_large: tuple[Part, ...]


def plan_memory(profile: Profile, budget: float) -> MemoryPlan:
    """Keep what is needed most often: parts stay in the profile's order, which begins with the planner.

    Args:
        profile: its parts and extras.
        budget: MiB.
    """
    parts = (*profile.parts, *profile.extras)
    stay: tuple[Part, ...] = ()
    for part in parts:
        if needed(*stay, part) <= budget:
            stay = (*stay, part)
    turns = tuple(part for part in parts if part not in stay and needed(*_planner(stay), part) <= budget)
    return MemoryPlan(stay, turns, tuple(part for part in parts if part not in (*stay, *turns)))


def least(profile: Profile, parts: Iterable[Part]) -> float:
    """MiB in which the planner fits, and beside it each of some parts by itself."""
    return max(needed(*{*_planner(profile.parts), part}) for part in parts)


def _planner(parts: Iterable[Part]) -> tuple[Part, ...]:
    return tuple(part for part in parts if part.name == "planner")


def in_bits(profile: Profile, bits: int) -> Profile:
    """Return a profile whose planner's language model is held in 4 or 8 bits, where it is made for that.

    Raises:
        InputError: other bits.
    """
    if bits not in QUANTISED:
        raise InputError(f"planner_bits is {bits}: give 4 or 8, or leave it out")
    spared = 1 - QUANTISED[bits]
    parts = tuple(replace(part, size=part.size - part.quantisable * spared) for part in profile.parts)
    return replace(profile, parts=parts)


def with_compiled_step(profile: Profile) -> Profile:
    """Return a profile whose planner reads by a compiled step, with keys and values in a place of their own."""
    parts = tuple(replace(part, kept=part.kept + part.kept_compiled) for part in profile.parts)
    return replace(profile, parts=parts)


def fitted(profile: Profile, budget: float, *, with_planner: bool) -> Profile:
    """Return a profile some of whose specialists run the slower way, which takes less: those that fit no other way.

    Args:
        profile: its parts and extras.
        budget: MiB.
        with_planner: whether the planner takes its share of it first.
    """
    room = budget - needed(*_planner(profile.parts)) if with_planner else budget

    def within(parts: tuple[Part, ...]) -> tuple[Part, ...]:
        return tuple(part if needed(part) <= room else part.frugal for part in parts)

    return replace(profile, parts=within(profile.parts), extras=within(profile.extras))


def needed(*parts: Part) -> float:
    """MiB that parts take that are loaded together: all that stays, and what the planner and one other need at work."""
    others = (part.work for part in parts if part.name != "planner")
    working = sum(part.work for part in _planner(parts)) + max(others, default=0.0)
    return sum(part.size + part.kept for part in parts) + working
