from pathlib import Path

import torch

from tests.specialists.gligen_parts_on_disk import write_random_gligen
from vitron_agent.specialists.captions import encode_captions, encode_phrases
from vitron_agent.specialists.gligen import GligenGenerator


def test_captions_and_phrases_do_not_share_a_padding(tmp_path: Path) -> None:
    """The tokenizer is shared: what one thread asks of it must not change what another gets."""
    parts = GligenGenerator.from_pretrained(write_random_gligen(tmp_path)).parts
    length = parts.text_encoder.config.max_position_embeddings
    with torch.inference_mode():
        before = encode_captions(parts.text_encoder, parts.tokenizer, ["a red circle"])
        state = str(parts.tokenizer.backend_tokenizer.padding), str(parts.tokenizer.backend_tokenizer.truncation)
        encode_phrases(parts.text_encoder, parts.tokenizer, ["red circle", "a small blue square"])
        assert state == (
            str(parts.tokenizer.backend_tokenizer.padding),
            str(parts.tokenizer.backend_tokenizer.truncation),
        )
        assert torch.equal(before, encode_captions(parts.text_encoder, parts.tokenizer, ["a red circle"]))
    assert before.shape[1] == length
