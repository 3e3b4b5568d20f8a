"""Adapters on the published layout: what learns, and that what is written down is what was learned."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlamaForCausalLM, LlavaForConditionalGeneration

from tests.full_size_folders import toy_tokenizer, write_llava
from vitron_agent.errors import CheckpointError
from vitron_agent.planner.engine import VitronPlanner
from vitron_agent.planner.full_size import load_base, load_full_size, started
from vitron_agent.planner.processor import AssistantTurn, DrawnRegion, UserTurn
from vitron_agent.planner.published import llava_config
from vitron_agent.planner.starts import merged
from vitron_agent.training.lora import LINEAR, STAGES, LoraPlanner
from vitron_agent.training.release_loss import read_conversation

TOLERANCE = 1e-4
"""How far logits of adapters that were merged into the weights may be from those of adapters beside them."""
PICTURE = torch.randint(0, 256, (3, 30, 50), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
MASK = torch.zeros(30, 50, dtype=torch.bool)
MASK[5:20, 10:30] = True
TALK = (UserTurn("cut out <objs>", (PICTURE,), (DrawnRegion(MASK),)), AssistantTurn("There is none."))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora") / "planner"
    write_llava(folder)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "planner"))


def base(folder: Path) -> VitronPlanner:
    return load_base(folder, "cpu", torch.float32)


def adapted(folder: Path, stage: str = "1.2", rank: int = 4) -> LoraPlanner:
    torch.manual_seed(0)
    return LoraPlanner(base(folder), rank, STAGES[stage]).eval()


@torch.no_grad()
def disturb(planner: LoraPlanner) -> LoraPlanner:
    """Change all that learns, as long training would."""
    generator = torch.Generator().manual_seed(1)
    for parameter in planner.learned():
        parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return planner


@torch.no_grad()
def logits(planner: Any) -> Tensor:
    """Of the last word of a conversation with a picture and a region."""
    model, written = planner.model, planner.processor.serialise(TALK)
    ids = torch.tensor([written.ids])
    seen = model.encode_pictures(PICTURE[None])
    places = ids == planner.processor.vocabulary.tags["<objs>"]
    states = model.hidden(model.merge(ids, seen.tokens, model.encode_regions(seen.patches, MASK[None]), places))
    return model.logits(states)


def test_fresh_adapters_change_nothing(folder: Path) -> None:
    assert torch.allclose(logits(adapted(folder)), logits(base(folder)), atol=1e-6)


def test_what_was_learned_is_loaded_from_beside_the_weights(folder: Path) -> None:
    planner = disturb(adapted(folder))
    (folder / "lora").mkdir()
    planner.export(folder / "lora")
    wanted, found = logits(planner), logits(load_full_size(folder, "cpu", torch.float32))
    assert (wanted - found).abs().max() < TOLERANCE
    assert (wanted - logits(base(folder))).abs().max() > 0.1
    assert load_full_size(folder, "cpu", torch.float32).reply([UserTurn("hello")]).new_tokens > 0


def test_the_release_s_seven_layers_learn_and_no_others(folder: Path) -> None:
    planner = adapted(folder)
    learning = {name for name, p in planner.named_parameters() if p.requires_grad}
    kinds = {name.split(".lora_")[0].rpartition(".")[2] for name in learning if ".lora_" in name}
    assert kinds == set(LINEAR)
    others = {name for name in learning if ".lora_" not in name}
    assert all("multi_modal_projector" in name or "token_adapter" in name for name in others)
    assert not any("vision_tower" in name for name in learning)
    assert {type(p) for p in planner.learned()} == {torch.nn.Parameter}
    assert len(planner.learned()) == len(learning)


def test_at_the_published_size_adapters_are_as_large_as_the_release_s() -> None:
    with torch.device("meta"):
        planner = started(LlavaForConditionalGeneration(llava_config()), toy_tokenizer(), "meta")
        learner = LoraPlanner(planner, 128, STAGES["1.2"])
    low_rank = sum(p.numel() for name, p in learner.named_parameters() if ".lora_" in name)
    assert (round(low_rank / 1e6, 1), round(sum(p.numel() for p in learner.beside) / 1e6, 2)) == (319.8, 20.98)


def test_stage_one_leaves_the_language_model_alone(folder: Path) -> None:
    planner = adapted(folder, "1.1")
    learning = {name for name, p in planner.named_parameters() if p.requires_grad}
    assert learning
    assert all("multi_modal_projector" in name for name in learning)
    assert [group["lr"] for group in planner.optimiser().param_groups] == [3e-4]
    assert STAGES["1.1"].scaled_to(1e-3).beside == pytest.approx(1e-3)
    assert STAGES["1.2"].scaled_to(2e-3).beside == pytest.approx(2e-4)


def test_half_precision_weights_learn_in_full_precision(folder: Path) -> None:
    planner = LoraPlanner(load_base(folder, "cpu", torch.bfloat16), 4, STAGES["1.2"])
    assert {p.dtype for p in planner.learned()} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        read_conversation(planner.model, planner.processor, TALK).words_loss(planner.model).backward()
    assert sum(float(p.grad.abs().sum()) for p in planner.learned() if p.grad is not None) > 0


def test_names_are_those_of_the_release(folder: Path, tmp_path: Path) -> None:
    disturb(adapted(folder)).export(tmp_path)
    adapter = load_file(tmp_path / "adapter_model.safetensors")
    assert "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" in adapter
    assert "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight" in adapter
    beside = load_file(tmp_path / "non_lora_trainables.safetensors")
    assert {"base_model.model.model.mm_projector.0.weight", "base_model.model.model.mm_projector.2.bias"} <= set(beside)
    told = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (told["r"], told["lora_alpha"], told["lora_dropout"]) == (4, 8, 0.1)
    assert set(told["target_modules"]) == set(LINEAR)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft asks transformers so
def test_peft_reads_the_adapter_onto_the_language_model(folder: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    disturb(adapted(folder)).export(tmp_path)
    llava = base(folder).model.llava
    words = {f"model.{name}": value for name, value in llava.model.language_model.state_dict().items()}
    words["lm_head.weight"] = llava.lm_head.weight
    llama = LlamaForCausalLM(llava.config.text_config)
    llama.load_state_dict(words)
    ours = LlamaForCausalLM(llava.config.text_config)
    ours.load_state_dict(merged(words, tmp_path))
    ids = torch.tensor([random.Random(0).sample(range(len(words["lm_head.weight"])), 40)])
    with torch.no_grad():
        theirs = PeftModel.from_pretrained(llama, str(tmp_path)).eval()(ids).logits
        assert (theirs - ours.eval()(ids).logits).abs().max() < TOLERANCE


def test_a_later_stage_goes_on_from_an_earlier_one(folder: Path, tmp_path: Path) -> None:
    first, second = disturb(adapted(folder)), adapted(folder, "2")
    first.export(tmp_path)
    second.start_from(tmp_path)
    assert torch.equal(logits(first), logits(second))
    with pytest.raises(CheckpointError, match="of another rank, or for another planner"):
        adapted(folder, rank=8).start_from(tmp_path)


def test_rows_for_words_that_the_weights_lack_are_refused(folder: Path) -> None:
    lora = folder / "lora"
    lora.mkdir()
    adapted(folder).export(lora)
    told = json.loads((lora / "adapter_config.json").read_text())
    told["trainable_token_indices"]["lm_head"][0] = 10**6
    (lora / "adapter_config.json").write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match="lm_head has rows for more words than the base"):
        load_full_size(folder, "cpu", torch.float32)
    del told["trainable_token_indices"]
    (lora / "adapter_config.json").write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match=r"has \d+ rows for words that the base has no place for"):
        load_full_size(folder, "cpu", torch.float32)


def test_an_adapter_of_another_shape_is_refused(folder: Path) -> None:
    lora = folder / "lora"
    lora.mkdir()
    adapted(folder).export(lora)
    tensors = load_file(lora / "adapter_model.safetensors")
    name = next(name for name in tensors if name.endswith("lora_A.weight"))
    save_file({**tensors, name: torch.zeros(4, 3)}, lora / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match="adapts model.layers.* in shape"):
        load_full_size(folder, "cpu", torch.float32)
