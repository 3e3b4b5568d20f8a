"""Reading a planner's folder: whole, of the right shape, and from safetensors only.

Knows files and transformers' loader; what the weights are for is model.py's.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, LlavaConfig, LlavaForConditionalGeneration

from vitron_agent.errors import CheckpointError, is_lack_of_memory, listed, quoted

Model = TypeVar("Model", bound=nn.Module)
ATTENTION = "sdpa"  # torch's own: a config.json may name code on the web instead ("owner/kernel"), and is not asked
_WHOLE = ("model.vision_tower", "model.multi_modal_projector", "lm_head")  # never in fewer bits
REMEDY = "restore the folder from the repository or train it again with `vitron-agent train planner`"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, with a `CheckpointError` where it is damaged."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, RuntimeError) as error:
        if is_lack_of_memory(error):
            raise
        raise CheckpointError(f"planner weights: {path} is damaged ({error}); {REMEDY}") from error


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder: one, or the shards that its index names.

    Raises:
        CheckpointError: There are none, or the index or one of its shards is missing or damaged.
    """
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file() or not index.is_file():
        names = [whole.name]
    else:
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"planner weights: {index} is damaged ({error!r}); {REMEDY}") from error
    for path in (folder / str(name) for name in names):
        try:
            with safe_open(path, "pt"):  # checks the header and that not a byte is missing
                pass
        except FileNotFoundError:
            raise CheckpointError(f"planner weights: {path} is missing; {REMEDY}") from None
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"planner weights: {path} is damaged ({error}); {REMEDY}") from error
    return [folder / str(name) for name in names]


def quantisation(bits: int, dtype: torch.dtype) -> BitsAndBytesConfig:
    """Say how the language model's layers are held in fewer bits; tower, projector, words and head stay as they are.

    Args:
        bits: 4 (NF4, the scales of its blocks quantised too) or 8 (LLM.int8, which computes in float16).
        dtype: What 4-bit layers compute in.
    """
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(_WHOLE))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(_WHOLE),
    )


def _read_config(folder: Path) -> LlavaConfig:
    """Read a configuration; that of another model would be filled up with LLaVA's sizes, and is refused."""
    path = folder / "config.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict) or told.get("model_type") != LlavaConfig.model_type:
            kind = quoted(str(told.get("model_type")), 40) if isinstance(told, dict) else "no object"
            raise CheckpointError(f"planner weights: {path} is of another architecture ({kind}, not 'llava'); {REMEDY}")
        return LlavaConfig.from_pretrained(folder)
    except CheckpointError:
        raise
    except Exception as error:  # bare ones of many kinds: huggingface_hub's checks of sizes too
        raise CheckpointError(f"planner weights: {path} is damaged ({quoted(str(error), 160)}); {REMEDY}") from error


def check_size(config: LlavaConfig, given: int, folder: Path) -> None:
    """Refuse weights that are far fewer than the configuration wants: making up for them would fill the memory.

    Args:
        config: Of the model.
        given: How many weights there are.
        folder: Where they and the configuration lie.

    Raises:
        CheckpointError: They are less than half, or the configuration describes no model.
    """
    try:
        with torch.device("meta"):
            model = LlavaForConditionalGeneration._from_config(config, attn_implementation=ATTENTION)
        wanted = sum(weight.numel() for weight in model.parameters())
    except Exception as error:  # of whatever kind the sizes make torch and transformers raise
        raise CheckpointError(
            f"planner weights: {folder / 'config.json'} describes no model ({quoted(str(error))}); {REMEDY}"
        ) from error
    if wanted > 2 * given:
        raise CheckpointError(
            f"planner weights: {folder} does not fit its config.json, which describes {wanted:,} weights and not "
            f"{given:,}; {REMEDY}"
        )


def _count(paths: Iterable[Path]) -> int:
    """How many numbers safetensors files hold, by their headers."""
    given = 0
    for path in paths:
        with safe_open(path, "pt") as file:
            given += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())
    return given


def brought(model: Model, device: torch.device | str, dtype: torch.dtype) -> Model:
    """Move a model to a device and bring its weights to a dtype, in place; weights in fewer bits stay as they are.

    Buffers keep their precision, as when transformers loads a model in half: with frequencies of positions rounded to
    eight bits, words some hundred places apart would seem to stand elsewhere.
    """
    for weight in model.parameters():
        if weight.is_floating_point():
            weight.data = weight.data.to(device, dtype)
    return model.to(device)


def load_llava(
    folder: Path, dtype: torch.dtype = torch.float32, bits: int | None = None, device: torch.device | str = "cpu"
) -> LlavaForConditionalGeneration:
    """Load a LLaVA folder and insist that every weight was there and fitted.

    Args:
        folder: Ours, or one in the layout of llava-hf/llava-1.5-7b-hf: one file or shards with an index.
        dtype: What the weights become.
        bits: Holds the language model in 4 or 8 of them; needs bitsandbytes.
        device: Where the weights go that are held in fewer bits; without `bits` all stay on the CPU.

    Raises:
        CheckpointError: A file is missing or damaged, or weights are missing, too many, or of another shape.
    """
    path = weight_files(folder)[0]
    config = _read_config(folder)
    check_size(config, _count(weight_files(folder)), folder)
    fewer: dict[str, Any] = {}
    if bits is not None:
        fewer = {"quantization_config": quantisation(bits, dtype), "device_map": {"": device}}
    try:
        info: dict[str, Any]
        llava, info = LlavaForConditionalGeneration.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            attn_implementation=ATTENTION,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            **fewer,
        )
    except Exception as error:  # of many kinds, and of libraries that we do not import
        if is_lack_of_memory(error):
            raise  # with the folder there is nothing wrong
        reason = quoted(str(error))
        raise CheckpointError(f"planner weights: {path} does not fit its config.json ({reason}); {REMEDY}") from error
    wrong = {
        "lacks": sorted(info["missing_keys"]),
        "has too many:": sorted(info["unexpected_keys"]),
        "has of another shape:": sorted(str(key[0]) for key in info["mismatched_keys"]),
    }
    if bad := "; ".join(f"{what} {listed(names)}" for what, names in wrong.items() if names):
        raise CheckpointError(f"planner weights: {path} does not fit its config.json (it {bad}); {REMEDY}")
    return llava
