"""Reads a SEEM folder: `config.json`, weights, `tokenizer/`; every damage is one clear error.

Weights are `model.safetensors`, or the published `seem_focall_v1.pt` (or v0), which is a pickle: of it nothing but
tensors is read, code in it never runs. Beside a published file `config.json` may be absent: its sizes are known, and so
are the classes that it was trained on.
"""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPTokenizer

from vitron_agent.errors import CheckpointError, is_lack_of_memory
from vitron_agent.pickles import pickled_tensors
from vitron_agent.specialists.seem.coco import CLASSES, STUFF, TEMPLATES
from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.model import Seem

WEIGHTS = "model.safetensors"
PUBLISHED = ("seem_focall_v1.pt", "seem_focall_v0.pt")
CLASS_FILE = "classes.safetensors"  # written beside published weights, see classes.py
_REMEDY = "fetch SEEM's published file again"


def load_model(folder: Path, device: torch.device | str, dtype: torch.dtype) -> tuple[Seem, str]:
    """Read configuration and weights.

    Args:
        folder: holds them.
        device: where the weights go.
        dtype: what they become.

    Returns:
        The model in evaluation mode without gradients, and the first 16 hex digits of the weights' sha256.

    Raises:
        CheckpointError: a file is missing, truncated, or of another shape.
    """
    path = _weights(folder)
    given = (folder / "config.json").is_file() or not is_published(folder)
    config = SeemConfig.load(folder / "config.json") if given else published_config()
    weights, digest = _read(path)
    with torch.device("meta"):  # no time and memory for initial values that are replaced at once
        model = Seem(config)
    model.load_weights(weights, str(path))
    return model.to(device, dtype).eval().requires_grad_(False), digest


def published_config() -> SeemConfig:
    """Return the sizes of the published weights, and their classes."""
    return SeemConfig(classes=CLASSES, templates=TEMPLATES, stuff=STUFF)


def is_published(folder: Path) -> bool:
    """Whether a folder's weights are the published file."""
    return _weights(folder).name in PUBLISHED


def _weights(folder: Path) -> Path:
    return next((folder / name for name in (WEIGHTS, *PUBLISHED) if (folder / name).is_file()), folder / WEIGHTS)


def _read(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read a file of weights and its digest."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        return (pickled_tensors(path, _REMEDY) if path.suffix == ".pt" else load_file(path)), digest
    except FileNotFoundError:
        raise CheckpointError(f"SEEM weights {path} are missing; fetch them or run the training recipe") from None
    except (OSError, SafetensorError, RuntimeError) as error:
        if is_lack_of_memory(error):
            raise
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
