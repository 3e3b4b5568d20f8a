"""Words and special tokens."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaTokenizer

from vitron_agent.invocation import Module
from vitron_agent.planner.tokenizer import TAGS, Vocabulary


@given(st.text(max_size=40).filter(lambda text: "\u2581" not in text and "<" not in text))
def test_every_text_can_be_written_and_read_back(vocabulary: Vocabulary, text: str) -> None:
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_a_side_of_a_box_is_one_piece_and_other_digits_stand_alone(vocabulary: Vocabulary) -> None:
    pieces = [vocabulary.pieces[i] for i in vocabulary.encode("(0.12, 0.99, 1.00) 2026 7.5%")]
    assert pieces[:7] == ["(", "0.12", ",", " 0.99", ",", " 1.00", ")"]
    assert [piece.strip() for piece in pieces[7:] if piece != " "] == ["2", "0", "2", "6", "7", ".", "5", "%"]
    shares = {f"{lead}{n / 100:.2f}" for n in range(101) for lead in ("", " ")}
    assert shares <= set(vocabulary.pieces)


def test_text_behind_a_tag_gets_no_blank_of_its_own(vocabulary: Vocabulary) -> None:
    ids = vocabulary.encode("<module>A</module> <instruction>generation: x</instruction>")
    assert vocabulary.tokenizer.decode(ids) == "<module>A</module> <instruction>generation: x</instruction>"
    assert ids[0] == vocabulary.tags["<module>"]


def test_encoding_by_pieces_is_encoding_the_whole(vocabulary: Vocabulary) -> None:
    parts = ["USER:", " draw a red circle", " ASSISTANT:", " Sure. <module>A</module> <region>red", "</region>"]
    assert sum((vocabulary.encode(part) for part in parts), []) == vocabulary.encode("".join(parts))


def test_a_signal_run_is_the_modules_own_tokens_then_the_shared_ones(vocabulary: Vocabulary) -> None:
    runs = {module: vocabulary.signals(module) for module in Module}
    assert all(len(set(run)) == 8 for run in runs.values())
    assert len({tuple(run[4:]) for run in runs.values()}) == 1
    assert len({i for run in runs.values() for i in run[:4]}) == 28


def test_a_saved_tokenizer_reads_the_same(vocabulary: Vocabulary, tmp_path: Path) -> None:
    vocabulary.tokenizer.save_pretrained(tmp_path)
    again = Vocabulary(LlamaTokenizer.from_pretrained(tmp_path), 4, 4)
    text = "\u00e9 \u65e5 <region>red circle: (0.10, 0.20, 0.30, 0.40)</region></s>"
    assert again.encode(text) == vocabulary.encode(text)
    assert again.tags == vocabulary.tags
    assert set(again.tags) == set(TAGS)


def test_an_unknown_special_token_is_named(vocabulary: Vocabulary) -> None:
    with pytest.raises(KeyError, match="<nonsense>"):
        vocabulary.id("<nonsense>")
