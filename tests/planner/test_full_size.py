"""What published weights lack is added so that what they know stays as it was."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AddedToken

from tests.full_size_folders import PADDED, toy_llava, toy_tokenizer, write_llava
from vitron_agent.errors import CheckpointError, InputError
from vitron_agent.planner import VitronPlanner
from vitron_agent.planner.full_size import PREFIX_BYTES, add_words, load_full_size
from vitron_agent.planner.loading import load_llava
from vitron_agent.planner.tokenizer import TAGS, signal_names


@pytest.mark.parametrize("padding", [0, 64])
def test_words_are_added_into_padded_rows_or_behind_them(padding: int) -> None:
    tokenizer = toy_tokenizer()
    tokenizer.add_tokens([AddedToken("<image>", special=True)], special_tokens=True)
    known = len(tokenizer)
    llava = toy_llava(known + padding, known - 1)
    before = llava.get_input_embeddings().weight[:known].clone(), llava.lm_head.weight[:known].clone()
    add_words(llava, tokenizer)
    assert set(tokenizer.get_vocab()) >= {*TAGS, *signal_names(4, 4)}
    assert len(tokenizer) == known + len(TAGS) - 1 + 32
    rows = llava.get_input_embeddings().weight.shape[0]
    assert rows == known + padding if padding else rows % 64 == 0 and rows >= len(tokenizer)
    assert torch.equal(llava.get_input_embeddings().weight[:known], before[0])
    assert torch.equal(llava.lm_head.weight[:known], before[1])


def test_a_tag_is_read_as_its_spelling_and_a_run_of_signals_ends_a_reply() -> None:
    tokenizer = toy_tokenizer()
    spelled = tokenizer("</s></module>", add_special_tokens=False).input_ids[1:]
    llava = toy_llava(len(tokenizer), 0)
    add_words(llava, tokenizer)
    read, write = llava.get_input_embeddings().weight, llava.lm_head.weight
    tag, first = (tokenizer.convert_tokens_to_ids(name) for name in ("</module>", "<signal_B_0>"))
    assert torch.allclose(read[tag], read[spelled].mean(0))
    assert torch.equal(write[tag], write[spelled[0]])
    assert torch.equal(write[first], write[tokenizer.eos_token_id])


def test_a_published_folder_keeps_its_padded_rows_and_a_whole_context(tmp_path: Path) -> None:
    planner = load_full_size((write_llava(tmp_path), tmp_path)[1], "cpu", torch.bfloat16)
    rows = planner.model.llava.lm_head.weight.shape[0]
    assert planner.table.size == len(planner.vocabulary.tokenizer) < rows == planner.table.size - 41 + PADDED
    assert planner.prefixes.max_bytes == PREFIX_BYTES
    assert all(weight.dtype is torch.bfloat16 for weight in planner.model.parameters())
    assert precise_places(planner)


def precise_places(planner: VitronPlanner) -> bool:
    """Whether words are placed as the published model places them: by frequencies in full precision."""
    rotary: Any = planner.model.language_model.rotary_emb
    exact = type(rotary)(rotary.config).inv_freq
    return rotary.inv_freq.dtype is torch.float32 and torch.equal(rotary.inv_freq, exact)


def test_a_folder_without_words_is_named(tmp_path: Path) -> None:
    write_llava(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer.json is missing"):
        load_full_size(tmp_path, "cpu", torch.float32)


@pytest.mark.parametrize(("bits", "dtype"), [(None, torch.bfloat16), (4, torch.bfloat16), (8, torch.float16)])
def test_eight_bits_come_with_the_precision_they_compute_in(
    bits: int | None, dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_llava(tmp_path)
    told: list[Any] = []

    def load(folder: Path, *options: Any) -> Any:
        told.append(options)
        return load_llava(folder, options[0])

    monkeypatch.setattr("vitron_agent.planner.full_size.load_llava", load)
    load_full_size(tmp_path, "cpu", torch.bfloat16, bits)
    assert told == [(dtype, bits, "cpu")]


@pytest.mark.parametrize("folder", ["vicuna", "vitron-base"])
def test_parts_are_not_put_together_in_fewer_bits(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    with pytest.raises(InputError, match="planner_bits=4 needs a folder like llava-hf/llava-1.5-7b-hf"):
        load_full_size(tmp_path, "cuda", torch.bfloat16, 4)


def test_an_adapter_is_not_merged_into_fewer_bits(tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    with pytest.raises(InputError, match="lora cannot be merged into weights of 4 bits"):
        load_full_size(tmp_path, "cpu", torch.bfloat16, 4)
