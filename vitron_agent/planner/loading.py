"""Reading a planner's folder: whole, of the right shape, and from safetensors only.

Knows files and transformers' loader; what the weights are for is model.py's.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import LlavaConfig, LlavaForConditionalGeneration

from vitron_agent.errors import CheckpointError, listed

REMEDY = "restore the folder from the repository or train it again with `vitron-agent train planner`"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads a safetensors file, with a `CheckpointError` where it is damaged."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"planner weights: {path} is damaged ({error}); {REMEDY}") from error


def load_llava(folder: Path) -> LlavaForConditionalGeneration:
    """Loads the LLaVA part and insists that every weight was there and fitted."""
    path = folder / "model.safetensors"
    read_weights(path)
    try:
        config = LlavaConfig.from_pretrained(folder)
    except (json.JSONDecodeError, OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"planner weights: {folder / 'config.json'} is damaged ({error}); {REMEDY}") from error
    try:
        info: dict[str, Any]
        llava, info = LlavaForConditionalGeneration.from_pretrained(
            folder, config=config, output_loading_info=True, local_files_only=True, dtype=torch.float32
        )
    except (RuntimeError, ValueError, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"planner weights: {path} does not fit its config.json ({reason}); {REMEDY}") from error
    bad = sorted({*info["missing_keys"], *info["unexpected_keys"], *(str(k[0]) for k in info["mismatched_keys"])})
    if bad:
        raise CheckpointError(f"planner weights: {path} does not fit its config.json ({listed(bad)}); {REMEDY}")
    return llava
