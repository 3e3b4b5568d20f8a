"""Model folders of diffusers and transformers on disk: loaded whole, or one clear `CheckpointError`.

Safetensors first. Where a repository publishes nothing but a pickle (ZeroScope does), of it nothing but tensors is
read: both libraries load with `weights_only`, which code in it does not survive.

Every way a checkpoint can be bad ends in an error that names the folder and the remedy. Published folders load by the
same calls as ours. Knows nothing about requests, or which models make up a specialist.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import ModelMixin
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPTokenizer, PreTrainedModel

from vitron_agent.errors import CheckpointError, is_lack_of_memory, listed, quoted
from vitron_agent.signals import SignalMapper

Part = TypeVar("Part")
ATTENTION = "sdpa"  # torch's own: a config.json may name code on the web instead ("owner/kernel"), and is not asked


def load_diffusers(kind: type[ModelMixin], folder: Path, recipe: str, dtype: torch.dtype, **more: Any) -> Any:
    """Load a diffusers model; where a repository publishes its half-precision file alone, that one.

    Args:
        kind: the model's class.
        folder: holds its config.json and weights.
        recipe: what to train when something is missing, for the error's text.
        dtype: of the weights in memory.
        **more: further arguments of `from_pretrained`.

    Raises:
        CheckpointError: it is missing, damaged or of another shape.
    """
    options = {**_form(folder), "low_cpu_mem_usage": False, **more}
    kinds = {each.__name__ for each in kind.__mro__}

    def load(path: Path) -> Any:
        _same_kind(path, "_class_name", kinds, kind.__name__)
        return _whole(kind.from_pretrained(path, torch_dtype=dtype, **options, **_HERE))

    return load_part(folder, recipe, load)


def load_transformers(
    kind: type[PreTrainedModel], folder: Path, recipe: str, dtype: torch.dtype, attention: str = ATTENTION
) -> Any:
    """Load a transformers model; see `load_diffusers`. Some have no attention but their own plain one, "eager"."""
    options, made = {"attn_implementation": attention, **_form(folder)}, kind.config_class.model_type

    def load(path: Path) -> Any:
        _same_kind(path, "model_type", {made}, made)
        return _whole(kind.from_pretrained(path, dtype=dtype, **options, **_HERE))

    return load_part(folder, recipe, load)


def load_tokenizer(folder: Path, recipe: str) -> CLIPTokenizer:
    """Load CLIP's tokenizer: one tokenizer.json, or the vocabulary and merges of older repositories.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    needed = "vocab.json" if (folder / "vocab.json").is_file() else "tokenizer.json"
    return load_part(folder, recipe, lambda path: CLIPTokenizer.from_pretrained(path, local_files_only=True), needed)


def load_part(folder: Path, recipe: str, load: Callable[[Path], Part], needed: str = "config.json") -> Part:
    """Load what lies in a folder.

    Args:
        folder: where it lies.
        recipe: what to train when something is missing, for the error's text.
        load: does it.
        needed: the file that must be there.

    Raises:
        CheckpointError: the file is missing, or `load` fails.
    """
    if not (folder / needed).is_file():
        raise CheckpointError(f"{folder / needed} is missing: {remedy(recipe)}")
    try:
        return load(folder)
    except Exception as error:  # of many kinds, and of libraries that we do not import
        if isinstance(error, CheckpointError) or is_lack_of_memory(error):
            raise  # with the folder there is nothing wrong, or it is said already
        raise CheckpointError(f"{folder} cannot be loaded ({_first_line(error)}): {remedy(recipe)}") from None


def load_mapper(file: Path) -> SignalMapper:
    """Load a `SignalMapper` for a text condition; its sizes are read off the tensors.

    Raises:
        CheckpointError: the file is damaged or holds something else.
    """
    try:
        tensors = load_file(file)
        width, d_llm = tensors["proj_in.weight"].shape
        mapper = SignalMapper(d_llm, tensors["proj_out.weight"].shape[0], tensors["queries"].shape[1], width)
        mapper.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{file} holds no signal mapper ({_first_line(error)}): train it again") from None
    return mapper


def settled(models: Iterable[nn.Module | None], device: str) -> str:
    """Put models where they compute, for reading only, and return 16 hex digits that stand for all their weights."""
    digest = hashlib.sha256()
    for model in models:
        if model is not None:
            model.to(device).eval().requires_grad_(False)
            for name, weight in model.state_dict().items():
                digest.update(name.encode() + weight.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]


def move(models: Iterable[nn.Module | None], device: str) -> None:
    """Put models, in place, on another device."""
    for model in models:
        if model is not None:
            model.to(device)


def remedy(recipe: str) -> str:
    """Return what to do about missing or broken weights; `recipe` is "" for what is not trained here."""
    if not recipe:
        return "fetch the published weights again"
    return f"install the package again, fetch published weights again, or train it with `vitron-agent train {recipe}`"


_HERE = {"local_files_only": True, "output_loading_info": True}
_TROUBLE = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


def _same_kind(folder: Path, field: str, kinds: Collection[str], kind: str) -> None:
    """Refuse the configuration of another model: what it does not say would be filled up with defaults."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError("config.json holds no JSON object")
    if (said := config.get(field)) is not None and said not in kinds:
        raise ValueError(f"config.json is of another architecture: {quoted(str(said), 40)}, not {kind!r}")


def _form(folder: Path) -> dict[str, Any]:
    """Return which of a folder's files to load: safetensors, the half-precision ones where they are alone, a pickle."""
    names = [path.name for path in folder.glob("*.safetensors")]
    halves = bool(names) and all(".fp16." in name for name in names)
    pickled = not names and any(folder.glob("*.bin"))
    return {"use_safetensors": not pickled, "variant": "fp16" if halves else None}


def _whole(loaded: tuple[Part, dict[str, Any]]) -> Part:
    """Refuse a model some of whose weights were not in the file: they would be random."""
    model, info = loaded
    problems = [f"{kind.replace('_', ' ')} {listed(_names(info[kind]))}" for kind in _TROUBLE if info.get(kind)]
    if problems:
        raise ValueError("; ".join(problems))
    return model


def _names(found: Iterable[Any]) -> list[str]:
    """Return the names in a list of keys; keys of another shape come with their shapes behind them."""
    return sorted(str(key[0]) if isinstance(key, tuple) else str(key) for key in found)


def _first_line(error: Exception) -> str:
    if "weights_only" in str(error):
        return "something else than tensors is in it"  # torch's own words would advise to run it
    lines = str(error.args[0] if error.args else error).strip().splitlines() or ["no reason given"]
    # torch heads a list of weights that do not fit with a line that names none of them
    said = f"{lines[0]} {listed([line.strip() for line in lines[1:]])}" if lines[0].endswith(":") else lines[0]
    return f"{type(error).__name__}: {said[:2000]}"
