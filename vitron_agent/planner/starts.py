"""Planners put together of parts: Vicuna and a CLIP tower to start training from, and VITRON's released weights.

    vicuna/        as lmsys/vicuna-7b-v1.5   clip/          as openai/clip-vit-large-patch14-336
    vitron-base/   as Vitron/vitron-base     vitron-lora/   as Vitron/vitron-lora, merged into it
    (the folder)   as liuhaotian/llava-v1.5-7b, LLaVA's own layout; clip/ where its weights have no tower
    lora/          an adapter of our own training, laid out as Vitron/vitron-lora, for whatever stands beside it

Most of these are pickles: of those nothing but tensors is read. VITRON's names are those that `vitron/model` of
SkyworkAI/Vitron writes; its weights were not at hand when this was written. This file makes models, no planners.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from vitron_agent.errors import CheckpointError, listed
from vitron_agent.planner.checkpoints import REMEDY, read_config, read_tensors
from vitron_agent.planner.loading import check_size
from vitron_agent.planner.published import CLIP_NAME, clip_vision_config
from vitron_agent.planner.regions import FRAME, BoxRegions

_LAYERS = -2  # LLaVA reads the tower's last layer but one; VITRON's training script says the same
ADAPTED = "base_model.model."
"""What peft puts before every name."""
PROJECTOR, REGIONS = "model.mm_projector.", "model.region_extractor."
"""How LLaVA calls its projector, and the release what it trains beside LoRA."""
_TOWER = "model.vision_tower.vision_tower.vision_model."  # LLaVA's own
PROJECTOR_LAYERS = {"0.": "linear_1.", "2.": "linear_2."}
"""The release's name of a projector's layer -> LLaVA's."""
_NEW_ROWS = ".token_adapter.trainable_tokens_delta"  # where peft keeps the rows of words that it trained


def vicuna_and_clip(vicuna: Path, clip: Path, dtype: torch.dtype) -> LlavaForConditionalGeneration:
    """Join a language model and a tower; the projector between them is fresh, and has to be trained first.

    Args:
        vicuna: config.json and weights of a Llama.
        clip: config.json and weights of a CLIP, of which the vision tower is taken.
        dtype: What the weights become.

    Raises:
        CheckpointError: A file is missing or damaged, or weights are missing, too many, or of another shape.
    """
    told, text = read_config(clip), read_config(vicuna)
    tower, words = _below(read_tensors(clip), "vision_model."), read_tensors(vicuna)
    llava = _empty(text, told.get("vision_config", told), dtype, (tower, words), vicuna)
    _fill(llava.model.vision_tower, tower, clip)
    _fill_language_model(llava, words, vicuna)
    return llava


def is_original_llava(folder: Path) -> bool:
    """Whether a folder is laid out as LLaVA's authors publish it, which transformers' own class does not read."""
    return (folder / "config.json").is_file() and "mm_vision_tower" in read_config(folder)


def original_llava(folder: Path, dtype: torch.dtype) -> LlavaForConditionalGeneration:
    """Load LLaVA-1.5 as its authors publish it.

    Args:
        folder: As liuhaotian/llava-v1.5-7b; where its weights hold no tower (those of fine-tuned ones may not), or the
            tower is no CLIP ViT-L/14@336, with `clip/` as the tower is published.
        dtype: What the weights become.

    Raises:
        CheckpointError: A file is missing or damaged, or weights are missing, too many, or of another shape.
    """
    told, clip = read_config(folder), folder / "clip"
    if (clip / "config.json").is_file():
        seen = read_config(clip)
    elif str(told["mm_vision_tower"]).endswith(CLIP_NAME):
        seen = clip_vision_config().to_dict()
    else:
        raise CheckpointError(f"{clip} is missing, which holds the tower {told['mm_vision_tower']!r}: {REMEDY}")
    tensors = read_tensors(folder)
    tower = _below(tensors, _TOWER) or _below(read_tensors(clip), "vision_model.")
    llava = _empty(told, seen.get("vision_config", seen), dtype, (tensors, tower), folder)
    llava.config.vision_feature_layer = int(told.get("mm_vision_select_layer", _LAYERS))
    _fill(llava.model.vision_tower, tower, folder)
    _fill_projector(llava, tensors, folder)
    words = {name: value for name, value in tensors.items() if not name.startswith((_TOWER, PROJECTOR))}
    _fill_language_model(llava, words, folder)
    return llava


def released_vitron(base: Path, lora: Path, dtype: torch.dtype) -> tuple[LlavaForConditionalGeneration, nn.Module]:
    """Merge VITRON's adapter into its base, with its projector and its image tower (of 224 pixels).

    Args:
        base: As Vitron/vitron-base: Vicuna with LanguageBind's towers, of which that for pictures is taken.
        lora: As Vitron/vitron-lora: adapter_config.json, adapter_model, non_lora_trainables.bin.
        dtype: What the weights become.

    Returns:
        The model, and what makes tokens of regions.

    Raises:
        CheckpointError: A file is missing or damaged, or weights are missing, too many, or of another shape.
    """
    told, tensors = read_config(base), read_tensors(base)
    llava = _empty(told, {**_LANGUAGE_BIND, **told.get("vision_config", {})}, dtype, (tensors,), base)
    _fill(llava.model.vision_tower, _below(tensors, "model.image_tower.image_tower."), base)
    words = {name: value for name, value in tensors.items() if not name.startswith(_NO_WORDS)}
    _fill_language_model(llava, merged(words, lora), base)
    regions = BoxRegions(llava.config.vision_config.hidden_size, llava.config.text_config.hidden_size)
    fill_beside_words(llava, regions, lora)
    return llava, regions.to(dtype)


def adapt(llava: LlavaForConditionalGeneration, regions: nn.Module, lora: Path) -> None:
    """Merge an adapter into the model that it was trained on, and take over what was trained beside it.

    Args:
        llava: The model, with rows for all words; it is changed.
        regions: Its region encoder; it is changed.
        lora: adapter_config.json, adapter_model.safetensors, non_lora_trainables.safetensors, by the release's names.

    Raises:
        CheckpointError: A file is missing or damaged, or the adapter is for a model of another shape.
    """
    words = {f"model.{name}": value for name, value in llava.model.language_model.state_dict().items()}
    words["lm_head.weight"] = llava.lm_head.weight.detach()
    for name, value in _changes(words, lora):
        words[name].copy_(value)
    fill_beside_words(llava, regions, lora)


def merged(tensors: Mapping[str, Tensor], lora: Path) -> dict[str, Tensor]:
    """Add a LoRA adapter to the weights it was made for: W + (alpha / rank) B A.

    Args:
        tensors: The base's weights by name.
        lora: Folder with adapter_config.json and the adapter's weights.

    Raises:
        CheckpointError: The adapter is for other weights, or for other shapes.
    """
    return {**tensors, **dict(_changes(tensors, lora))}


def _changes(tensors: Mapping[str, Tensor], lora: Path) -> Iterator[tuple[str, Tensor]]:
    """What an adapter makes of the weights that it changes, one by one, in their own dtype."""
    told = read_config(lora, "adapter_config.json")
    adapter = read_tensors(lora, "adapter_model.safetensors", "adapter_model.bin")
    down = {name: value for name, value in adapter.items() if ".lora_A." in name}
    if not down:
        raise CheckpointError(f"{lora} holds no LoRA weights: fetch the folder again")
    pairs = {each for name in down for each in (name, name.replace(".lora_A.", ".lora_B."))}
    if surplus := sorted(name for name in adapter if name not in pairs and not name.endswith(_NEW_ROWS)):
        raise CheckpointError(f"{lora} has too many: {listed(surplus)}: fetch the folder again as it is published")
    for name, a in down.items():
        target = _unadapted(name.partition(".lora_A.")[0]) + ".weight"
        b, weight = adapter.get(name.replace(".lora_A.", ".lora_B.")), tensors.get(target)
        if b is None or weight is None:
            raise CheckpointError(
                f"{lora} adapts {target}, which {'the base' if b is not None else 'it'} lacks half of"
            )
        if (b.shape[0], a.shape[1]) != tuple(weight.shape) or a.shape[0] != b.shape[1]:
            raise CheckpointError(f"{lora} adapts {target} in shape {(b.shape[0], a.shape[1])}, it is {weight.shape}")
        scale = float(told.get("lora_alpha", 1)) / (a.shape[0] ** 0.5 if told.get("use_rslora") else a.shape[0])
        change = scale * b.to(weight.device).float() @ a.to(weight.device).float()
        yield target, (weight.float() + change).to(weight.dtype)
    for name, rows in adapter.items():
        if name.endswith(_NEW_ROWS):
            target = _unadapted(name.removesuffix(_NEW_ROWS))
            places = (told.get("trainable_token_indices") or {}).get(target.rpartition(".")[2])
            yield f"{target}.weight", _with_rows(tensors.get(f"{target}.weight"), places, rows, f"{lora}: {target}")


def _with_rows(weight: Tensor | None, places: Any, rows: Tensor, name: str) -> Tensor:
    """Return a copy of a table of words (V, D) in which some rows are replaced by others (N, D)."""
    if weight is None or not isinstance(places, list) or len(places) != len(rows) or rows.shape[1:] != weight.shape[1:]:
        raise CheckpointError(f"{name} has {len(rows)} rows for words that the base has no place for")
    if not all(isinstance(place, int) and 0 <= place < len(weight) for place in places):
        raise CheckpointError(f"{name} has rows for more words than the base, which has {len(weight)}")
    changed = weight.clone()
    changed[places] = rows.to(changed)
    return changed


_LANGUAGE_BIND: dict[str, Any] = {  # LanguageBind_Image's tower
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "image_size": FRAME, "patch_size": 14, "hidden_act": "gelu",
}  # fmt: skip
_NO_WORDS = ("model.image_tower.", "model.video_tower.", PROJECTOR, REGIONS)


def _empty(
    text: Mapping[str, Any],
    vision: Mapping[str, Any],
    dtype: torch.dtype,
    tensors: Iterable[Mapping[str, Tensor]],
    source: Path,
) -> LlavaForConditionalGeneration:
    """Return a LLaVA of these sizes, untrained; what configurations say about files and code is left out.

    Refuses sizes that are not those of the tensors to come by far: a configuration of another model says none.
    """
    sizes = {name: value for name, value in text.items() if name in _OF_LLAMA}
    seen = {name: value for name, value in vision.items() if name in {*_LANGUAGE_BIND, "layer_norm_eps"}}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**seen),
        text_config=LlamaConfig(**sizes, tie_word_embeddings=False, pad_token_id=0),
        vision_feature_layer=_LAYERS,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    check_size(config, sum(value.numel() for table in tensors for value in table.values()), source)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # made in full precision, a language model of half would take three times its memory
    try:
        return LlavaForConditionalGeneration(config).eval()
    finally:
        torch.set_default_dtype(before)


_OF_LLAMA = {
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "rms_norm_eps",
    "num_key_value_heads", "head_dim", "max_position_embeddings", "bos_token_id", "eos_token_id",
}  # fmt: skip


def _fill_language_model(llava: LlavaForConditionalGeneration, tensors: Mapping[str, Tensor], source: Path) -> None:
    words = {name: value for name, value in tensors.items() if "rotary_emb" not in name}  # of old checkpoints
    head = {"weight": words.pop("lm_head.weight")} if "lm_head.weight" in words else {}
    _fill(llava.lm_head, head, source)
    _fill(llava.model.language_model, {name.removeprefix("model."): v for name, v in words.items()}, source)


def fill_beside_words(llava: LlavaForConditionalGeneration, regions: nn.Module, lora: Path) -> None:
    """Fill projector and region encoder with what was trained beside an adapter."""
    read = read_tensors(lora, "non_lora_trainables.safetensors", "non_lora_trainables.bin")
    extra = {_unadapted(name): value for name, value in read.items()}
    _fill_projector(llava, extra, lora)
    _fill(regions, _below(extra, REGIONS), lora)


def _fill_projector(llava: LlavaForConditionalGeneration, tensors: Mapping[str, Tensor], source: Path) -> None:
    layers = _below(tensors, PROJECTOR)
    projector = {PROJECTOR_LAYERS.get(name[:2], "?") + name[2:]: value for name, value in layers.items()}
    _fill(llava.model.multi_modal_projector, projector, source)


def _below(tensors: Mapping[str, Tensor], begin: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin so, by the rest of their names."""
    return {name.removeprefix(begin): value for name, value in tensors.items() if name.startswith(begin)}


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy tensors into a module, all of them and nothing else."""
    own = module.state_dict()
    given = {name: value for name, value in tensors.items() if not name.endswith("position_ids")}
    wrong = {
        "lacks": sorted(own.keys() - given.keys()),
        "has too many:": sorted(given.keys() - own.keys()),
        "has of another shape:": sorted(n for n in own.keys() & given.keys() if own[n].shape != given[n].shape),
    }
    if bad := "; ".join(f"{what} {listed(names)}" for what, names in wrong.items() if names):
        raise CheckpointError(f"{source} does not fit (it {bad}): fetch the folder again as it is published")
    module.load_state_dict(given)


def _unadapted(name: str) -> str:
    """Return a name without what peft and the training script put before it."""
    return name.removeprefix(ADAPTED)
