"""Vicuna + CLIP, and VITRON's release, at toy size: pickles in shards, sentencepiece's words, a LoRA adapter."""

import json
import pickle
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.full_size_folders import toy_llava, toy_tokenizer
from vitron_agent.errors import CheckpointError, InputError
from vitron_agent.invocation import Module
from vitron_agent.planner.checkpoints import read_sentencepiece, read_tensors
from vitron_agent.planner.full_size import load_full_size
from vitron_agent.planner.processor import DrawnRegion, UserTurn
from vitron_agent.planner.regions import BoxRegions
from vitron_agent.planner.reply import Settings
from vitron_agent.planner.starts import merged, original_llava, released_vitron, vicuna_and_clip

RANK, ALPHA = 4, 8
PICTURE = torch.randint(0, 256, (3, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def message(number: int, data: bytes) -> bytes:
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def write_sentencepiece(folder: Path) -> int:
    """Write the toy tokenizer as `tokenizer.model`, as sentencepiece would; return its size."""
    model = json.loads(toy_tokenizer().backend_tokenizer.to_str())["model"]
    ranks = {"".join(pair): rank for rank, pair in enumerate(model["merges"])}
    pieces = b""
    for name in sorted(model["vocab"], key=model["vocab"].__getitem__):
        kind = 2 if name == "<unk>" else 3 if name in ("<s>", "</s>") else 6 if name.startswith("<0x") else 1
        score = struct.pack("<f", -float(ranks.get(name, 10_000)))
        pieces += message(1, message(1, name.encode()) + bytes([2 << 3 | 5]) + score + bytes([3 << 3, kind]))
    (folder / "tokenizer.model").write_bytes(pieces + message(2, b"trainer"))
    return len(model["vocab"])


def write_shards(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Write two pickles of tensors and their index."""
    names = sorted(tensors)
    shards = {f"pytorch_model-0000{i + 1}-of-00002.bin": names[i::2] for i in range(2)}
    for file, own in shards.items():
        torch.save({name: tensors[name] for name in own}, folder / file)
    table = {name: file for file, own in shards.items() for name in own}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": table}))


def named(llava: Any, part: str, begin: str) -> dict[str, Tensor]:
    """Weights of a part under another beginning."""
    return {begin + name: value for name, value in llava.get_submodule(part).state_dict().items()}


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of `written`, to be damaged."""
    return Path(shutil.copytree(written, tmp_path / "weights"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vicuna/ and clip/ below `a`, vitron-base/ and vitron-lora/ below `b`; `c` is LLaVA's own, with a tower or not."""
    tmp_path = tmp_path_factory.mktemp("starts")
    for name in ("a/vicuna", "a/clip", "b/vitron-base", "b/vitron-lora", "c/whole/clip", "c/no-tower"):
        (tmp_path / name).mkdir(parents=True)
    size = write_sentencepiece(tmp_path / "a" / "vicuna")
    write_sentencepiece(tmp_path / "b" / "vitron-base")
    llava = the_saved()
    assert size == llava.config.text_config.vocab_size
    text = {k: v for k, v in llava.config.text_config.to_dict().items() if isinstance(v, int | float)}
    vision = llava.config.vision_config.to_dict()
    words = {**named(llava, "model.language_model", "model."), "lm_head.weight": llava.lm_head.weight.detach()}
    write_shards(tmp_path / "a/vicuna", {**words, "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)})
    (tmp_path / "a/vicuna/config.json").write_text(json.dumps({**text, "model_type": "llama"}))
    tower = named(llava, "model.vision_tower", "vision_model.")
    torch.save({**tower, "logit_scale": torch.ones(())}, tmp_path / "a/clip/pytorch_model.bin")
    (tmp_path / "a/clip/config.json").write_text(json.dumps({"vision_config": vision}))
    image, video = (named(llava, "model.vision_tower", f"model.{k}_tower.{k}_tower.") for k in ("image", "video"))
    write_shards(tmp_path / "b/vitron-base", {**words, **image, **video, "model.mm_projector.0.bias": torch.ones(3)})
    (tmp_path / "b/vitron-base/config.json").write_text(json.dumps({**text, "vision_config": vision}))
    write_lora(tmp_path / "b/vitron-lora", words)
    write_original(tmp_path, words, named(llava, "model.vision_tower", TOWER), text)
    return tmp_path


TOWER = "model.vision_tower.vision_tower.vision_model."
PROJECTOR = {"model.mm_projector.0": "linear_1", "model.mm_projector.2": "linear_2"}


def write_original(root: Path, words: dict[str, Tensor], tower: dict[str, Tensor], sizes: dict[str, Any]) -> None:
    """Write LLaVA's own layout: its tower among the weights, or beside them as OpenAI's."""
    llava = the_saved()
    said = {"model_type": "llava", "mm_vision_tower": "openai/clip-vit-large-patch14-336", "mm_vision_select_layer": -2}
    projector = {
        f"{own}.{kind}": llava.get_parameter(f"model.multi_modal_projector.{layer}.{kind}").detach()
        for own, layer in PROJECTOR.items()
        for kind in ("weight", "bias")
    }
    for name in ("whole", "no-tower"):
        folder = root / "c" / name
        write_shards(folder, {**words, **projector, **(tower if name == "whole" else {})})
        (folder / "config.json").write_text(json.dumps({**sizes, **said}))
        write_sentencepiece(folder)
    shutil.copy(root / "a/clip/config.json", root / "c/whole/clip/config.json")
    shutil.copytree(root / "a/clip", root / "c/no-tower/clip")


def the_saved() -> Any:
    """The model that all folders hold."""
    return toy_llava(len(toy_tokenizer()), 0)


def write_lora(folder: Path, words: dict[str, Tensor]) -> None:
    generator = torch.Generator().manual_seed(3)
    adapter = {}
    for name, weight in words.items():
        if "_proj." in name:
            start = f"base_model.model.{name.removesuffix('.weight')}"
            adapter[f"{start}.lora_A.weight"] = torch.randn(RANK, weight.shape[1], generator=generator)
            adapter[f"{start}.lora_B.weight"] = torch.randn(weight.shape[0], RANK, generator=generator)
    torch.save(adapter, folder / "adapter_model.bin")
    (folder / "adapter_config.json").write_text(json.dumps({"r": RANK, "lora_alpha": ALPHA}))
    shapes = {"0.weight": (32, 16), "0.bias": (32,), "2.weight": (32, 32), "2.bias": (32,)}
    extra = {f"mm_projector.{name}": torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    extra |= {f"region_extractor.{name}": value for name, value in BoxRegions(16, 32).state_dict().items()}
    torch.save({f"base_model.model.model.{k}": v for k, v in extra.items()}, folder / "non_lora_trainables.bin")


def test_vicuna_and_clip_come_together_unchanged(folder: Path) -> None:
    llava = vicuna_and_clip(folder / "a/vicuna", folder / "a/clip", torch.float32)
    written = read_tensors(folder / "a/vicuna")
    assert torch.equal(llava.model.language_model.embed_tokens.weight, written["model.embed_tokens.weight"])
    assert torch.equal(llava.lm_head.weight, written["lm_head.weight"])
    tower = read_tensors(folder / "a/clip")["vision_model.embeddings.patch_embedding.weight"]
    assert torch.equal(llava.model.vision_tower.embeddings.patch_embedding.weight, tower)
    assert llava.config.vision_feature_layer == -2


@pytest.mark.parametrize("name", ["whole", "no-tower"])
@torch.no_grad()
def test_llava_s_own_layout_answers_as_before_it_was_saved(folder: Path, name: str) -> None:
    read, saved = original_llava(folder / "c" / name, torch.float32), the_saved()
    ids, pixels = torch.tensor([[1, 5, 7, 9]]), torch.rand(1, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    for look in (lambda llava: llava(ids).logits, lambda llava: llava.get_image_features(pixels).pooler_output[0]):
        assert torch.equal(look(read), look(saved))
    assert read.config.vision_feature_layer == -2


def test_what_llava_s_own_layout_lacks_is_named(folder: Path) -> None:
    clip, config = folder / "c/no-tower/clip", folder / "c/no-tower/config.json"
    for path in clip.glob("pytorch_model.bin"):
        path.unlink()
    with pytest.raises(CheckpointError, match="clip/model.safetensors is missing: fetch"):
        original_llava(folder / "c/no-tower", torch.float32)
    (clip / "config.json").unlink()
    config.write_text(json.dumps({**json.loads(config.read_text()), "mm_vision_tower": "google/siglip"}))
    with pytest.raises(CheckpointError, match="clip is missing, which holds the tower 'google/siglip': fetch"):
        original_llava(folder / "c/no-tower", torch.float32)
    with pytest.raises(InputError, match="planner_bits=4 needs a folder like llava-hf"):
        load_full_size(folder / "c/whole", "cuda", torch.bfloat16, 4)


def test_sentencepiece_s_words_are_those_of_the_tokenizer(folder: Path) -> None:
    read, known = read_sentencepiece(folder / "a/vicuna/tokenizer.model"), toy_tokenizer()
    for text in ("a red circle", "USER: what is in the picture?", "é", "0.37"):
        assert read(text, add_special_tokens=False).input_ids == known(text, add_special_tokens=False).input_ids


def test_a_lora_adapter_is_added_at_its_scale(folder: Path) -> None:
    base, lora = read_tensors(folder / "b/vitron-base"), read_tensors(folder / "b/vitron-lora", "adapter_model.bin")
    name = "model.layers.1.mlp.down_proj"
    a, b = (lora[f"base_model.model.{name}.lora_{kind}.weight"] for kind in "AB")
    out = merged(base, folder / "b/vitron-lora")
    expected = base[f"{name}.weight"] + ALPHA / RANK * b @ a
    assert torch.allclose(out[f"{name}.weight"], expected, atol=1e-6)
    assert torch.equal(out["model.norm.weight"], base["model.norm.weight"])


def test_vitron_s_projector_and_regions_are_the_release_s(folder: Path) -> None:
    llava, regions = released_vitron(folder / "b/vitron-base", folder / "b/vitron-lora", torch.float32)
    extra = read_tensors(folder / "b/vitron-lora", "non_lora_trainables.bin")
    begin = "base_model.model.model."
    assert torch.equal(llava.model.multi_modal_projector.linear_2.weight, extra[f"{begin}mm_projector.2.weight"])
    first = extra[f"{begin}region_extractor.region_linear.layers.0.weight"]
    assert torch.equal(regions.state_dict()["region_linear.layers.0.weight"], first)


@pytest.mark.parametrize("start", ["a", "b", "c/whole"])
def test_all_are_planners(folder: Path, start: str) -> None:
    planner = load_full_size(folder / start, "cpu", torch.bfloat16)
    rotary: Any = planner.model.language_model.rotary_emb
    assert torch.equal(rotary.inv_freq, type(rotary)(rotary.config).inv_freq)  # not rounded with the weights
    assert {weight.dtype for weight in planner.model.parameters()} == {torch.bfloat16}
    mask = torch.zeros(28, 28, dtype=torch.bool)
    mask[:9] = True
    output = planner.reply([UserTurn("what is <objs>?", (PICTURE,), (DrawnRegion(mask),))], [Module.B], Settings(12))
    assert output.new_tokens > 0
    assert planner.vocabulary.decode(planner.vocabulary.encode("a red circle")) == "a red circle"


def test_code_in_a_pickle_is_never_run(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (mark,)

    (folder / "b/vitron-lora/non_lora_trainables.bin").write_bytes(pickle.dumps({"a": Bomb()}))
    with pytest.raises(CheckpointError, match=r"non_lora_trainables.bin holds no plain tensors") as caught:
        released_vitron(folder / "b/vitron-base", folder / "b/vitron-lora", torch.float32)
    assert not mark.exists()
    assert "trust" not in str(caught.value)


@pytest.mark.parametrize(("start", "config"), [("a", "a/vicuna"), ("b", "b/vitron-base"), ("c/whole", "c/whole")])
def test_a_configuration_that_says_no_sizes_fills_no_memory(folder: Path, start: str, config: str) -> None:
    """As that of another architecture: Llama's class would take it for one of seven billion weights."""
    path = folder / config / "config.json"
    kept = {"mm_vision_tower", "vision_config"}
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name in kept}))
    with pytest.raises(CheckpointError, match=r"does not fit its config.json, which describes 6,\d\d\d,\d"):
        load_full_size(folder / start, "cpu", torch.float32)


@pytest.mark.parametrize("missing", ["a/clip/config.json", "a/vicuna/pytorch_model-00002-of-00002.bin"])
def test_missing_files_are_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=f"{missing} is missing: fetch"):
        vicuna_and_clip(folder / "a/vicuna", folder / "a/clip", torch.float32)


def test_what_is_no_adapter_or_for_another_model_is_said(folder: Path) -> None:
    lora = folder / "b/vitron-lora"
    with pytest.raises(CheckpointError, match="adapts model.layers.0.* lacks"):
        merged({}, lora)
    torch.save({}, lora / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="holds no LoRA weights"):
        merged({}, lora)


@pytest.mark.parametrize(
    "name", ["base_model.model.model.embed_tokens.weight", "base_model.model.model.layers.7.mlp.up_proj.lora_B.weight"]
)
def test_what_an_adapter_has_too_many_is_said(folder: Path, name: str) -> None:
    """Not left out silently: the model would not be the one that was published."""
    base, lora = read_tensors(folder / "b/vitron-base"), folder / "b/vitron-lora"
    torch.save({**read_tensors(lora, "adapter_model.bin"), name: torch.ones(2, 2)}, lora / "adapter_model.bin")
    with pytest.raises(CheckpointError, match=f"vitron-lora has too many: {name}"):
        merged(base, lora)


def test_an_adapter_s_scale_may_go_with_the_root_of_its_rank(folder: Path) -> None:
    base, lora = read_tensors(folder / "b/vitron-base"), folder / "b/vitron-lora"
    name = "model.layers.1.mlp.down_proj.weight"
    plain = merged(base, lora)[name] - base[name]
    (lora / "adapter_config.json").write_text(json.dumps({"r": RANK, "lora_alpha": ALPHA, "use_rslora": True}))
    assert torch.allclose(merged(base, lora)[name] - base[name], plain * RANK**0.5, atol=1e-5)


@pytest.mark.parametrize("data", [b"", b"\x0a\xff", b"no protobuf at all", b"\x0a\x03\x0a\x01a"])
def test_what_is_no_sentencepiece_model_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(CheckpointError, match="is no sentencepiece model"):
        read_sentencepiece(tmp_path / "tokenizer.model")
