"""Pickled weights, as older repositories publish them: tensors and plain values are read, and code never runs.

The only file that reads pickles. Knows no models, and not where their weights come from: who reads says the remedy.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitron_agent.errors import CheckpointError, is_lack_of_memory, quoted


def pickled_table(path: Path, remedy: str) -> dict[str, Any]:
    """Read a pickled table of tensors, numbers, texts, and lists and tables of these.

    Args:
        path: of the file.
        remedy: what to do where it is no good, for the error's text.

    Returns:
        What is in it, tensors on the CPU, of the shapes and types that were written.

    Raises:
        CheckpointError: it is missing or damaged, is no table, or holds something else, which does not run.
    """
    try:
        table = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: {remedy}") from None
    except Exception as error:  # bare ones of many kinds, and of the pickle library, which we do not import
        if is_lack_of_memory(error):
            raise  # with the file there is nothing wrong
        if isinstance(error, OSError):
            raise CheckpointError(f"{path} cannot be read ({quoted(str(error))}): {remedy}") from None
        raise CheckpointError(f"{path} holds no plain tensors ({_reason(error)}): {remedy}") from None
    if not isinstance(table, dict):
        raise CheckpointError(f"{path} is no table of named tensors: {remedy}")
    return table


def pickled_tensors(path: Path, remedy: str) -> dict[str, Tensor]:
    """Read a pickled table of which every value is a tensor; see `pickled_table`.

    Raises:
        CheckpointError: as `pickled_table` does, or a value is no tensor.
    """
    table = pickled_table(path, remedy)
    if not all(isinstance(value, Tensor) for value in table.values()):
        raise CheckpointError(f"{path} is no table of named tensors: {remedy}")
    return table


def _reason(error: Exception) -> str:
    """Return why a file is no table: the first line of torch's words at most, for the others advise to run it."""
    if "Weights only load failed" in str(error):
        return "something else is in it"
    return quoted((str(error) or repr(error)).splitlines()[0], 160)
