"""Planners put together of parts: Vicuna and a CLIP tower to start training from, and VITRON's released weights.

    vicuna/        as lmsys/vicuna-7b-v1.5   clip/          as openai/clip-vit-large-patch14-336
    vitron-base/   as Vitron/vitron-base     vitron-lora/   as Vitron/vitron-lora, merged into it
    lora/          an adapter of our own training, laid out as Vitron/vitron-lora, for whatever stands beside it

Vicuna and VITRON are pickles: of those nothing but tensors is read. VITRON's names are those that `vitron/model` of
SkyworkAI/Vitron writes; its weights were not at hand when this was written. This file makes models, no planners.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from vitron_agent.errors import CheckpointError, listed
from vitron_agent.planner.checkpoints import read_config, read_tensors

_LAYERS = -2  # LLaVA reads the tower's last layer but one; VITRON's training script says the same
ADAPTED = "base_model.model."
"""What peft puts before every name."""
PROJECTOR, REGIONS = "model.mm_projector.", "model.region_extractor."
"""How the release calls what it trains beside LoRA."""
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
    told = read_config(clip)
    llava = _empty(read_config(vicuna), told.get("vision_config", told), dtype)
    begin = "vision_model."
    tower = {name.removeprefix(begin): value for name, value in read_tensors(clip).items() if name.startswith(begin)}
    _fill(llava.model.vision_tower, tower, clip)
    _fill_language_model(llava, read_tensors(vicuna), vicuna)
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
    told = read_config(base)
    llava = _empty(told, {**_LANGUAGE_BIND, **told.get("vision_config", {})}, dtype)
    tensors, begin = read_tensors(base), "model.image_tower.image_tower."
    tower = {name.removeprefix(begin): value for name, value in tensors.items() if name.startswith(begin)}
    _fill(llava.model.vision_tower, tower, base)
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


class BoxRegions(nn.Module):
    """VITRON's region encoder: the patches under a box's mask, and the box itself on a frame of 224 pixels.

    The release fills its mask with rows and columns swapped, in training and use alike; weights that learned that want
    it so.
    """

    def __init__(self, d_vision: int, d_llm: int) -> None:
        """Build it untrained; names are the release's."""
        super().__init__()
        self.region_linear = nn.ModuleDict(
            {"layers": nn.ModuleList(nn.Linear(n, d_llm) for n in (d_vision, d_llm, d_llm))}
        )
        self.loc_encoder = nn.ModuleDict(
            {"loc_encoder": nn.Sequential(nn.Linear(4, d_llm // 2), nn.ReLU(), nn.Linear(d_llm // 2, d_llm))}
        )

    def forward(self, patches: Tensor, masks: Tensor) -> Tensor:
        """Encode one region per picture, as `RegionEncoder.forward` does; of a mask, its box is used."""
        boxes = _boxes(masks).to(patches.device)
        side, count = round(patches.shape[1] ** 0.5), len(patches)
        frame = torch.zeros(count, 1, _FRAME, _FRAME, device=patches.device)
        for place, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
            frame[place, 0, x1 : max(x2, x1 + 1), y1 : max(y2, y1 + 1)] = 1
        inside = nn.functional.interpolate(frame, (side, side), mode="bilinear", align_corners=False).flatten(1) > 0
        weights = inside / inside.sum(1, keepdim=True).clamp(min=1)
        state = torch.einsum("np,npd->nd", weights, patches.float()).to(patches.dtype)
        layers: Any = self.region_linear["layers"]
        for layer in layers[:-1]:
            state = layer(state).relu()
        place_of: Tensor = self.loc_encoder["loc_encoder"](boxes.to(patches.dtype))
        token: Tensor = layers[-1](state) + place_of
        return token


_FRAME = 224
_LANGUAGE_BIND: dict[str, Any] = {  # LanguageBind_Image's tower
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "image_size": _FRAME, "patch_size": 14, "hidden_act": "gelu",
}  # fmt: skip
_NO_WORDS = ("model.image_tower.", "model.video_tower.", PROJECTOR, REGIONS)


def _boxes(masks: Tensor) -> Tensor:
    """Return the boxes (N, 4) xyxy around masks (N, H, W), on a frame of 224 pixels; an empty mask is the whole."""
    boxes = []
    for mask in masks.cpu() > 0:
        mask = mask if mask.any() else torch.ones_like(mask)
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        height, width = mask.shape
        edges = columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
        boxes.append([float(edge) * _FRAME for edge in edges])
    return torch.tensor(boxes)


def _empty(text: Mapping[str, Any], vision: Mapping[str, Any], dtype: torch.dtype) -> LlavaForConditionalGeneration:
    """Return a LLaVA of these sizes, untrained; what configurations say about files and code is left out."""
    sizes = {name: value for name, value in text.items() if name in _OF_LLAMA}
    seen = {name: value for name, value in vision.items() if name in {*_LANGUAGE_BIND, "layer_norm_eps"}}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**seen),
        text_config=LlamaConfig(**sizes, tie_word_embeddings=False, pad_token_id=0),
        vision_feature_layer=_LAYERS,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    return LlavaForConditionalGeneration(config).to(dtype).eval()


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
    layers = {name.removeprefix(PROJECTOR): value for name, value in extra.items() if name.startswith(PROJECTOR)}
    projector = {PROJECTOR_LAYERS.get(name[:2], "?") + name[2:]: value for name, value in layers.items()}
    _fill(llava.model.multi_modal_projector, projector, lora)
    _fill(regions, {name.removeprefix(REGIONS): v for name, v in extra.items() if name.startswith(REGIONS)}, lora)


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
