"""Folders in the layout of llava-hf/llava-1.5-7b-hf, at toy size: shards with an index, published names."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from vitron_agent.errors import CheckpointError
from vitron_agent.planner import PlannerModel
from vitron_agent.planner.loading import load_llava, quantisation, weight_files
from vitron_agent.planner.published import llava_config

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def llava() -> LlavaForConditionalGeneration:
    """The published planner, made small."""
    config = llava_config(120)
    config.text_config.update(
        {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 4, "max_position_embeddings": 256}
    )  # fmt: skip
    config.vision_config.update(
        {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
         "image_size": 28, "patch_size": 7}
    )  # fmt: skip
    config.image_token_index = 100
    torch.manual_seed(0)
    return LlavaForConditionalGeneration(config).eval()


@pytest.fixture
def folder(llava: LlavaForConditionalGeneration, tmp_path: Path) -> Path:
    """Two shards under the published names, and their index."""
    llava.save_pretrained(tmp_path)
    whole = tmp_path / "model.safetensors"
    tensors = load_file(whole)
    whole.unlink()
    # transformers 5 writes the tower without its middle name; the published folder was written before.
    tower = "vision_tower."
    write_shards(
        tmp_path, {k.replace(tower, f"{tower}vision_model.") if tower in k else k: v for k, v in tensors.items()}
    )
    return tmp_path


def write_shards(folder: Path, tensors: dict[str, Tensor]) -> None:
    names = sorted(tensors)
    shards = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, own in shards.items():
        save_file({name: tensors[name] for name in own}, folder / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, own in shards.items() for name in own}}
    (folder / INDEX).write_text(json.dumps(index))


def read_shards(folder: Path) -> dict[str, Tensor]:
    return {name: value for path in weight_files(folder) for name, value in load_file(path).items()}


def answer(llava: LlavaForConditionalGeneration) -> Tensor:
    """Logits for a picture and words, by our own steps."""
    model = PlannerModel(llava)
    pictures = torch.linspace(0, 1, 3 * 28 * 28).reshape(1, 3, 28, 28)
    ids = torch.tensor([[1, 5, *[100] * 16, 7, 9]])
    with torch.no_grad():
        return model.logits(model.hidden(model.merge(ids, model.encode_pictures(pictures).tokens)))


def test_the_toy_folder_has_the_published_names(folder: Path) -> None:
    names = read_shards(folder)
    assert "language_model.model.layers.1.mlp.down_proj.weight" in names
    assert "language_model.lm_head.weight" in names
    assert "vision_tower.vision_model.encoder.layers.2.self_attn.q_proj.weight" in names
    assert "multi_modal_projector.linear_2.bias" in names


def test_a_sharded_folder_answers_as_before_it_was_saved(llava: LlavaForConditionalGeneration, folder: Path) -> None:
    assert not (folder / "model.safetensors").exists()
    assert torch.equal(answer(load_llava(folder)), answer(llava))


def test_a_region_encoder_beside_the_shards_makes_it_a_planner(
    llava: LlavaForConditionalGeneration, folder: Path
) -> None:
    with pytest.raises(CheckpointError, match="extra.safetensors is missing"):
        PlannerModel.load(folder)
    extra = PlannerModel(llava).extra_state()
    save_file(extra, folder / "extra.safetensors")
    loaded = PlannerModel.load(folder, dtype=torch.bfloat16)
    assert all(weight.dtype is torch.bfloat16 for weight in loaded.parameters())
    assert all(torch.equal(value, extra[name].bfloat16()) for name, value in loaded.extra_state().items())


def test_missing_and_surplus_weights_are_named_ten_of_them(folder: Path) -> None:
    tensors = read_shards(folder)
    lost = [name for name in tensors if name.startswith("language_model.model.layers.1.")]
    kept = {name: value for name, value in tensors.items() if name not in lost[:1]}
    write_shards(folder, {**kept, **{f"adapter.{i:02}": torch.ones(1) for i in range(12)}})
    with pytest.raises(CheckpointError) as caught:
        load_llava(folder)
    text = str(caught.value)
    assert f"lacks model.{lost[0].replace('language_model.model', 'language_model')}" in text
    assert "has too many: adapter.00, " in text
    assert "adapter.09 and 2 more" in text


def test_a_weight_of_another_shape_is_named(folder: Path) -> None:
    tensors = read_shards(folder)
    tensors["multi_modal_projector.linear_1.bias"] = torch.ones(31)
    write_shards(folder, tensors)
    with pytest.raises(CheckpointError, match="linear_1.bias"):
        load_llava(folder)


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_bad_shard_is_named(folder: Path, damage: str) -> None:
    shard = folder / "model-00002-of-00002.safetensors"
    data = shard.read_bytes()
    shard.unlink()
    if damage == "truncated":
        shard.write_bytes(data[:-1])
    with pytest.raises(CheckpointError, match=f"{shard.name} is {damage if damage == 'missing' else 'damaged'}"):
        load_llava(folder)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": [1]}'])
def test_a_bad_index_is_named(folder: Path, content: str) -> None:
    (folder / INDEX).write_text(content)
    with pytest.raises(CheckpointError, match=f"{INDEX} is damaged"):
        load_llava(folder)


def test_a_folder_without_weights_is_named(folder: Path) -> None:
    (folder / INDEX).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle is no substitute")
    with pytest.raises(CheckpointError, match="model.safetensors is missing"):
        load_llava(folder)


@pytest.mark.parametrize("bits", [4, 8])
def test_only_the_layers_of_the_language_model_are_held_in_fewer_bits(bits: int) -> None:
    told = quantisation(bits, torch.bfloat16).to_dict()
    assert (told["load_in_4bit"], told["load_in_8bit"]) == (bits == 4, bits == 8)
    assert told["llm_int8_skip_modules"] == ["model.vision_tower", "model.multi_modal_projector", "lm_head"]
    if bits == 4:
        assert (told["bnb_4bit_quant_type"], told["bnb_4bit_compute_dtype"]) == ("nf4", "bfloat16")
        assert told["bnb_4bit_use_double_quant"]


def test_the_names_that_stay_are_those_of_the_model(llava: LlavaForConditionalGeneration) -> None:
    names = {name for name, _ in llava.named_modules()}
    assert set(quantisation(4, torch.float16).llm_int8_skip_modules) <= names


def test_transformers_is_told_of_bits_and_device_and_else_of_neither(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    real = LlavaForConditionalGeneration.from_pretrained

    def load(path: Path, quantization_config: Any = None, device_map: Any = None, **more: Any) -> Any:
        told.append({"config": quantization_config, "map": device_map})
        return real(path, **more)

    monkeypatch.setattr(LlavaForConditionalGeneration, "from_pretrained", load)
    load_llava(folder, torch.bfloat16)
    load_llava(folder, torch.bfloat16, 4, "cuda:1")
    assert told[0] == {"config": None, "map": None}
    assert told[1]["config"].load_in_4bit
    assert told[1]["map"] == {"": "cuda:1"}


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"model_type": "llama"}, r"config.json is of another architecture \('llama', not 'llava'\)"),
        ({"text_config": {}}, r"does not fit its config.json, which describes 6,\d\d\d,\d\d\d,\d\d\d weights"),
        ({"text_config": {"model_type": "llama", "num_attention_heads": 5}}, "config.json is damaged .*not a multiple"),
        ({"text_config": {"model_type": "llama", "hidden_size": -4}}, "config.json describes no model|is damaged"),
    ],
)
def test_a_configuration_of_another_model_is_refused_before_memory_is_taken_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], named: str
) -> None:
    """transformers would fill up what is not said with LLaVA's published sizes, and memory with random weights."""
    change_config(folder, **values)
    monkeypatch.setattr(
        LlavaForConditionalGeneration, "from_pretrained", lambda *_, **__: pytest.fail("it would be built")
    )
    with pytest.raises(CheckpointError, match=named):
        load_llava(folder)
