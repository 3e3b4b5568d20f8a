"""Reads a SEEM folder: `config.json`, `model.safetensors`, `tokenizer/`; every damage is one clear error."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor
from transformers import CLIPTokenizer

from vitron_agent.errors import CheckpointError
from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.model import Seem

WEIGHTS = "model.safetensors"


def load_model(folder: Path, device: torch.device | str, dtype: torch.dtype) -> tuple[Seem, str]:
    """Read configuration and weights.

    Returns:
        The model in evaluation mode without gradients, and the first 16 hex digits of the weights' sha256.

    Raises:
        CheckpointError: a file is missing, truncated, or of another shape.
    """
    config = SeemConfig.load(folder / "config.json")
    path = folder / WEIGHTS
    weights, digest = _read(path)
    with torch.device("meta"):  # no time and memory for initial values that are replaced at once
        model = Seem(config)
    model.load_weights(weights, str(path))
    return model.to(device, dtype).eval().requires_grad_(False), digest


def _read(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read a safetensors file and its digest in one go."""
    try:
        data = path.read_bytes()
        return load(data), hashlib.sha256(data).hexdigest()[:16]
    except FileNotFoundError:
        raise CheckpointError(f"SEEM weights {path} are missing; fetch them or run the training recipe") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"SEEM weights {path} are damaged ({error}); fetch them again") from None


def load_tokenizer(folder: Path, config: SeemConfig) -> CLIPTokenizer:
    """Read the tokenizer in CLIP's format.

    Raises:
        CheckpointError: it is missing, damaged, or has another vocabulary than the weights.
    """
    path = folder / "tokenizer"
    if not (path / "tokenizer.json").is_file() and not (path / "vocab.json").is_file():
        raise CheckpointError(f"SEEM tokenizer {path} is missing; fetch it or run the training recipe")
    try:
        tokenizer = CLIPTokenizer.from_pretrained(path, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception for damaged files
        raise CheckpointError(f"SEEM tokenizer {path} is damaged ({error}); fetch it again") from None
    if tokenizer.eos_token_id != config.vocab_size - 1:
        size = f"{len(tokenizer)} tokens, the weights have {config.vocab_size}"
        raise CheckpointError(f"SEEM tokenizer {path} has {size}; use the one that came with the weights")
    return tokenizer
