"""Stable Diffusion's conventions for CLIP's text encoder: captions without attention mask, phrases pooled with one."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer


def encode_captions(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Tensor:
    """Return the token states (B, n, d) of captions, padded or cut to the encoder's length, without attention mask."""
    length = int(encoder.config.max_position_embeddings)
    ids, _ = _padded(tokenizer, captions, length, least=length)
    states: Tensor = encoder(ids.to(encoder.device)).last_hidden_state
    return states


def encode_phrases(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, phrases: Sequence[str]) -> Tensor:
    """Return the pooled states (n, d) of phrases, with attention mask."""
    if not phrases:
        return torch.zeros(0, encoder.config.hidden_size, device=encoder.device)
    ids, mask = _padded(tokenizer, phrases, int(encoder.config.max_position_embeddings))
    pooled: Tensor = encoder(ids.to(encoder.device), attention_mask=mask.to(encoder.device)).pooler_output
    return pooled


def _padded(tokenizer: CLIPTokenizer, texts: Sequence[str], most: int, least: int = 0) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask, both (n, length) int64, cut to `most` and padded to the longest, or to `least`.

    A fast tokenizer's own padding is a state of its: threads that pad differently would spoil each other's captions.
    """
    rows = tokenizer(list(texts), truncation=True, max_length=most).input_ids
    length = max(least, *(len(row) for row in rows))
    ids = [row + [tokenizer.pad_token_id] * (length - len(row)) for row in rows]
    mask = [[1] * len(row) + [0] * (length - len(row)) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)
