"""From amounts of memory and a profile to a budget for its specialists; says what will not fit before it is loaded.

Profiles count weights in half precision; here they are counted as the device holds them.
"""

import contextlib
import logging
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vitron_agent.errors import MemoryExhausted, is_lack_of_memory, quoted
from vitron_agent.locations import Device
from vitron_agent.memory import MIB, fitted, in_bits, needed, parse_memory, with_compiled_step
from vitron_agent.parts import Profile
from vitron_agent.profiles import DEFAULT_PROFILE

if TYPE_CHECKING:
    from vitron_agent.tools.budget import Budget
    from vitron_agent.tools.shelf import Shelf

DRIVER = 512.0  # MiB of a GPU that its driver and libraries keep for themselves
RESERVE = 4096.0  # MiB of the machine's free memory that waiting specialists leave to others

MEMINFO = Path("/proc/meminfo")
CONTAINER = Path("/sys/fs/cgroup")  # control groups, version 2

_log = logging.getLogger(__name__)


def fitted_for(profile: Profile, device: Device, memory: str | None, *, with_planner: bool) -> Profile:
    """Return a profile as it is loaded on a device.

    The planner is in fewer bits, or has its compiled step, where that was asked for; specialists that fit no other way
    run the slower one. The arguments are those of `budget_for`, which is to be asked about what this returns.

    Raises:
        InputError: `memory` is no amount.
    """
    if device.planner_bits is not None:
        profile = in_bits(profile, device.planner_bits)
    if device.compiles_planner:
        profile = with_compiled_step(profile)
    return fitted(profile, _total(device, memory) / device.scale, with_planner=with_planner)


def budget_for(profile: Profile, device: Device, memory: str | None, *, with_planner: bool) -> "Budget":
    """Make the budget of a profile's specialists on a device, and warn of those that will never fit.

    Args:
        profile: whose specialists.
        device: where they compute.
        memory: an amount such as "24GB"; None for all that a GPU has, and on a CPU for no limit.
        with_planner: whether the profile's planner takes its share of it.

    Raises:
        InputError: `memory` is no amount.
        MemoryExhausted: the planner alone does not fit; the message says what would.
    """
    from vitron_agent.tools.budget import Budget

    total = _total(device, memory)
    scale = device.scale
    planner = profile.part("planner")
    reserved = needed(planner) * scale if with_planner else 0.0
    if reserved > total:
        raise MemoryExhausted(
            f"the planner of {profile.name} needs {reserved:,.0f} MiB on {device.name}, and the budget is "
            f"{total:,.0f} MiB: give at least {math.ceil(reserved):,} MiB, or choose a larger device"
            f"{_instead(profile.name)}"
        )
    specialists = [part for part in (*profile.parts, *profile.extras) if part is not planner]
    budget = Budget(
        total,
        reserved,
        {part.name: part.size * scale for part in specialists},
        {part.name: part.work * scale for part in specialists},
    )
    for part in specialists:
        if lack := budget.lack(part.name):
            _log.warning("%s", lack)
    return budget


@contextlib.contextmanager
def lack_said(profile: str, device: Device) -> Iterator[None]:
    """Say it, where the planner that is loaded in the block finds too little memory, whatever the budget was.

    Args:
        profile: the planner's.
        device: where it is loaded.

    Raises:
        MemoryExhausted: it did; other errors pass.
    """
    try:
        yield
    except Exception as error:
        if not is_lack_of_memory(error):
            raise
        raise MemoryExhausted(
            f"the planner of {profile} did not fit into the memory that is left on {device.name} "
            f"({quoted(str(error))}): end other programs, or choose a larger device{_instead(profile)}"
        ) from None


def _instead(profile: str) -> str:
    """Return what else to choose than a larger device."""
    return f", or use profile {DEFAULT_PROFILE!r}" if profile != DEFAULT_PROFILE else ""


def _total(device: Device, memory: str | None) -> float:
    """Return the MiB of an amount, or those that a GPU has for us; elsewhere the limit is the machine's own."""
    import torch

    if memory is not None:
        return parse_memory(memory)
    if torch.device(device.name).type != "cuda":
        return math.inf
    return torch.cuda.get_device_properties(device.name).total_memory / MIB - DRIVER


def shelf_for(device: Device, host_memory: str | None) -> "Shelf":
    """Make the shelf on which specialists wait that had to leave an accelerator.

    Args:
        device: where they compute.
        host_memory: of the machine's memory, an amount such as "64GB"; None for what is free now, less a reserve.

    Raises:
        InputError: `host_memory` is no amount.
    """
    from vitron_agent.tools.shelf import Shelf

    total = parse_memory(host_memory) if host_memory is not None else max(free_memory() - RESERVE, 0.0)
    return Shelf(device.name, total)


def free_memory() -> float:
    """Return the MiB that this machine, or the container that we run in, has free; 0 where neither is known."""
    try:
        known = re.search(r"^MemAvailable:\s+(\d+) kB$", MEMINFO.read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    free = int(known[1]) * 1024 / MIB if known else 0.0
    try:
        limit, taken = ((CONTAINER / f"memory.{name}").read_text().strip() for name in ("max", "current"))
    except OSError:
        return free
    return free if limit == "max" else min(free, max(int(limit) - int(taken), 0) / MIB)
