"""What all denoising loops share: diffusers' schedulers by name, schedules read from folders, guidance.

A schedule is a scheduler's configuration with its class's name under `_class_name`, as `scheduler_config.json` has it.
Schedulers carry state: each request makes one of its own. Knows nothing of models.
"""

import json
from pathlib import Path
from typing import Any

from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, PNDMScheduler
from torch import Tensor

SCHEDULERS = {kind.__name__: kind for kind in (DDIMScheduler, DPMSolverMultistepScheduler, PNDMScheduler)}
DEFAULT = DPMSolverMultistepScheduler.__name__
"""Follows any schedule whose own scheduler is not known here, or not said."""


def read_schedule(folder: Path) -> dict[str, Any]:
    """Read the schedule of a folder; its numbers are checked now, not in the first request.

    Raises:
        OSError: the file is missing.
        ValueError: it is no schedule.
    """
    config = json.loads((folder / "scheduler_config.json").read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError("scheduler_config.json holds no JSON object")
    make_scheduler(config)
    return config


def make_scheduler(schedule: dict[str, Any]) -> Any:
    """Make the scheduler of a schedule, with a state of its own."""
    return SCHEDULERS.get(str(schedule.get("_class_name")), SCHEDULERS[DEFAULT]).from_config(schedule)


def guided(predicted: Tensor, scale: float) -> Tensor:
    """Return a prediction led away from the unconditional one (classifier-free guidance, Ho and Salimans 2022).

    Args:
        predicted: (2B, ...) a model's output, the unconditional half first.
        scale: how far; 1 is the conditional half itself.

    Returns:
        (B, ...).
    """
    without, with_ = predicted.chunk(2)
    return without + scale * (with_ - without)


def with_scheduler(schedule: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a schedule that another scheduler follows; with no name it stays as it is.

    Args:
        schedule: the noise of each step.
        name: of the class. PNDM goes without its Runge-Kutta steps (PLMS), as Stable Diffusion always did.
    """
    if not name:
        return schedule
    plain = {"skip_prk_steps": True} if name == PNDMScheduler.__name__ else {}
    return {**plain, **schedule, "_class_name": name}
