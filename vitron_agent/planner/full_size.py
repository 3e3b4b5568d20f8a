"""The full-size planner of published weights: what they lack (the template's words, regions) is added to start from.

A published LLaVA knows no tags, signals or regions. The tags get rows made of the pieces that spell them, so that a
model which would write `<` at a place where a call may begin writes the tag; a drawn region is read as a patch. That is
a start for our recipes, and enough for conversation; it calls tools as well as the weights have learned to. This file
knows folders of LLaVA's layout; those of other parts are put together in starts.py.
"""

from pathlib import Path

import torch
from torch import nn
from transformers import AddedToken, LlamaTokenizer, LlavaForConditionalGeneration, PreTrainedTokenizerBase

from vitron_agent.errors import CheckpointError, InputError
from vitron_agent.planner.checkpoints import read_sentencepiece
from vitron_agent.planner.engine import VitronPlanner
from vitron_agent.planner.loading import REMEDY, brought, load_llava
from vitron_agent.planner.model import EXTRA_FILE, PlannerModel
from vitron_agent.planner.regions import ProjectedRegions
from vitron_agent.planner.starts import adapt, is_original_llava, original_llava, released_vitron, vicuna_and_clip
from vitron_agent.planner.tokenizer import TAGS, Vocabulary, signal_names

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
"""Vicuna's sentence, version 1.1. Source: `fastchat/conversation.py` of lm-sys/FastChat."""
SETTINGS = {"pool": 1, "signals_per_module": 4, "shared_signals": 4, "video_frames": 8, "frame_pool": 4}
"""576 tokens a picture, as published; 576 + 8 * 36 a video of which eight frames are looked at (VITRON's release)."""
PREFIX_BYTES = 2 * 2**30  # keys and values of 4,096 tokens, the whole context: half a MiB each
LORA_FOLDER = "lora"
"""Where an adapter of our own training lies, beside the weights that it was trained on."""
_ROWS = 64  # rows are added in multiples of it: matrices of odd sizes are slow on GPUs


def load_full_size(
    folder: Path, device: torch.device | str, dtype: torch.dtype, bits: int | None = None
) -> VitronPlanner:
    """Load what `load_base` loads, with the adapter in `folder`/lora, where there is one, merged into it.

    Args:
        folder: As `load_base`.
        device: Where the weights go.
        dtype: What they become.
        bits: As `load_base`.

    Raises:
        CheckpointError: A file is missing, damaged, or of another shape; the message names it.
        InputError: There is an adapter, and `bits` are asked for.
    """
    is_adapted = (folder / LORA_FOLDER).is_dir()
    if bits is not None and is_adapted:
        raise InputError(f"{folder / LORA_FOLDER} cannot be merged into weights of {bits} bits: leave one of them out")
    planner = load_base(folder, device, dtype, bits)
    if is_adapted:
        adapt(planner.model.llava, planner.model.regions, folder / LORA_FOLDER)
    return planner


def load_base(folder: Path, device: torch.device | str, dtype: torch.dtype, bits: int | None = None) -> VitronPlanner:
    """Load a LLaVA-1.5 folder, one that our recipe made of such a folder, or the folders that starts.py knows.

    Args:
        folder: Laid out as llava-hf/llava-1.5-7b-hf: config.json, tokenizer.json, safetensors in one file or in shards;
            or as liuhaotian/llava-v1.5-7b; or it holds `vitron-base/` and `vitron-lora/`, or `vicuna/` and `clip/`.
        device: Where the weights go.
        dtype: What they become.
        bits: Holds the language model in 4 or 8 of them, see `load_llava`; for folders of LLaVA's layout.

    Raises:
        CheckpointError: A file is missing, damaged, or of another shape; the message names it.
        InputError: The folder holds parts that are put together first, which is not done in fewer bits.
    """
    in_parts = (folder / "vitron-base").is_dir() or (folder / "vicuna").is_dir()
    if bits is not None and (in_parts or is_original_llava(folder)):
        raise InputError(
            f"planner_bits={bits} needs a folder like llava-hf/llava-1.5-7b-hf, and {folder} holds parts to put "
            "together, or other names: leave planner_bits out"
        )
    if bits == 8:
        dtype = torch.float16  # bitsandbytes computes in no other then
    if (folder / "vitron-base").is_dir():
        llava, regions = released_vitron(folder / "vitron-base", folder / "vitron-lora", dtype)
        return started(llava, load_tokenizer(folder / "vitron-base"), device, regions)
    if (folder / "vicuna").is_dir():
        llava = vicuna_and_clip(folder / "vicuna", folder / "clip", dtype)
        return started(llava, load_tokenizer(folder / "vicuna"), device)
    if is_original_llava(folder):
        return started(original_llava(folder, dtype), load_tokenizer(folder), device)
    if (folder / EXTRA_FILE).is_file():
        return full_size(PlannerModel.load(folder, device, dtype, bits), load_tokenizer(folder))
    return started(load_llava(folder, dtype, bits, device), load_tokenizer(folder), device)


def started(
    llava: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    device: torch.device | str,
    regions: nn.Module | None = None,
) -> VitronPlanner:
    """Make a planner of a published LLaVA and its tokenizer, both of which are changed.

    Args:
        llava: The model, on the CPU.
        tokenizer: Its words; `<image>` may be missing.
        device: Where the weights go.
        regions: Its region encoder; by default a region is read as a patch.
    """
    llava.config.vitron = dict(SETTINGS)
    add_words(llava, tokenizer)
    model = PlannerModel(llava, regions or ProjectedRegions(llava.model.multi_modal_projector))
    return full_size(brought(model, device, llava.dtype), tokenizer)


def full_size(model: PlannerModel, tokenizer: PreTrainedTokenizerBase) -> VitronPlanner:
    """Put model and words together, with Vicuna's sentence and room to keep a whole conversation.

    Raises:
        CheckpointError: The tokenizer has words that the weights have no rows for, or lacks the template's.
    """
    own, shared = model.settings.get("signals_per_module", 4), model.settings.get("shared_signals", 4)
    vocabulary = Vocabulary(tokenizer, own, shared)
    rows = model.llava.config.text_config.vocab_size
    if len(tokenizer) > rows:
        raise CheckpointError(
            f"planner weights: the tokenizer has {len(tokenizer)} words, the weights {rows}; {REMEDY}"
        )
    try:
        _ = vocabulary.tags
    except KeyError as error:
        raise CheckpointError(f"planner weights: {error.args[0]}; {REMEDY}") from error
    return VitronPlanner(model.eval().requires_grad_(False), vocabulary, PREFIX_BYTES, SYSTEM)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Read a Llama tokenizer; blanks are put before a text's first word only, not behind every tag.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    path = folder / "tokenizer.json"
    if not path.is_file() and (folder / "tokenizer.model").is_file():
        return read_sentencepiece(folder / "tokenizer.model")
    if not path.is_file():
        raise CheckpointError(f"planner weights: {path} is missing; {REMEDY}")
    try:
        return LlamaTokenizer.from_pretrained(folder, local_files_only=True, legacy=False, add_bos_token=False)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CheckpointError(f"planner weights: {path} is damaged ({error}); {REMEDY}") from error


@torch.no_grad()
def add_words(llava: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerBase) -> None:
    """Add the tags and the signal tokens that a tokenizer lacks, with rows to start from.

    A tag is read as the mean of the pieces that spell it, and is as likely as the first of them. Signals are read as
    the mean word; the first of a run is as likely as the end of the reply, for it ends a call.
    """
    names = [*TAGS, *signal_names(SETTINGS["signals_per_module"], SETTINGS["shared_signals"])]
    have = tokenizer.get_vocab()
    new = [name for name in names if name not in have]
    spelled = {name: _pieces(tokenizer, name) for name in new}
    tokenizer.add_tokens([AddedToken(name, normalized=False, special=True) for name in new], special_tokens=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = "<pad>"
    known = llava.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > known:
        llava.resize_token_embeddings(-(-len(tokenizer) // _ROWS) * _ROWS, mean_resizing=False)
    read, write = llava.get_input_embeddings().weight, llava.get_output_embeddings().weight
    words = min(known, len(have))
    mean_read, mean_write = read[:words].float().mean(0), write[:words].float().mean(0)
    for name in new:
        place = tokenizer.convert_tokens_to_ids(name)
        if name.startswith("<signal_"):
            read[place] = mean_read.to(read.dtype)
            ends_call = name.endswith("_0>") and not name.startswith("<signal_s_")
            write[place] = write[tokenizer.eos_token_id] if ends_call else mean_write.to(write.dtype)
        else:
            read[place] = read[spelled[name]].float().mean(0).to(read.dtype)
            write[place] = write[spelled[name][0]]
    llava.config.image_token_index = int(tokenizer.convert_tokens_to_ids("<image>"))


def _pieces(tokenizer: PreTrainedTokenizerBase, name: str) -> list[int]:
    """Ids that spell a tag as it stands in a reply: a call's first behind a blank, the others behind another tag."""
    if name == "<module>":
        return list(tokenizer(name, add_special_tokens=False).input_ids)
    return list(tokenizer(f"</s>{name}", add_special_tokens=False).input_ids[1:])
