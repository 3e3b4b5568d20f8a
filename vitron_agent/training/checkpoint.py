"""A run's checkpoint: weights, averages, the optimiser's state and counters in one file, whole or not at all.

Knows names and tensors; when it is written, and what a damaged one means, is the loop's business.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


def write_checkpoint(
    path: Path,
    models: Mapping[str, nn.Module],
    averages: Mapping[str, Mapping[str, Tensor]],
    optimiser: torch.optim.Optimizer,
    counters: Mapping[str, Any],
) -> None:
    """Write everything to one file, atomically.

    Args:
        path: Of the file.
        models: By name.
        averages: Name of a model -> its averaged tensors by name.
        optimiser: Over the models' parameters.
        counters: Plain numbers.

    Raises:
        OSError: The file cannot be written.
        safetensors.SafetensorError: Likewise.
    """
    tensors: dict[str, Tensor] = {}
    for name, model in models.items():
        tensors |= {f"model/{name}/{k}": v for k, v in model.state_dict().items()}
    for name, average in averages.items():
        tensors |= {f"ema/{name}/{k}": v for k, v in average.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{k}": torch.as_tensor(v) for k, v in state.items()}
    # clone: tied weights share memory, which safetensors refuses
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    save_file(tensors, temporary, metadata={"counters": json.dumps(counters)})
    os.replace(temporary, path)


def read_checkpoint(
    path: Path,
    models: Mapping[str, nn.Module],
    averages: Mapping[str, Mapping[str, Tensor]],
    optimiser: torch.optim.Optimizer,
) -> dict[str, Any]:
    """Fill everything with what `write_checkpoint` wrote.

    Returns:
        The counters.

    Raises:
        RuntimeError: A tensor is missing, too many, or of another shape.
        KeyError: A name is unknown.
        ValueError: The counters are damaged.
        safetensors.SafetensorError: The file is.
    """
    with safe_open(path, framework="pt") as file:
        counters: dict[str, Any] = json.loads(file.metadata()["counters"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # safe_open is no mapping
    for name, model in models.items():
        model.load_state_dict(_below(tensors, f"model/{name}/"))
    for name, average in averages.items():
        for key, value in _below(tensors, f"ema/{name}/").items():
            average[key].copy_(value)
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _below(tensors, "optimiser/").items():
        index, slot = key.split("/", 1)
        state.setdefault(int(index), {})[slot] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return counters


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under `prefix` with the prefix taken off."""
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
