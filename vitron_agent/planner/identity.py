"""What signals are determined by, as digests: the same planner that has read the same writes the same signals.

But for rounding: their last bits depend on how much was read anew and how much was known, so the signals themselves are
no good as a name for what a specialist is given. This file runs no network.
"""

import hashlib

import torch
from torch import Tensor, nn

from vitron_agent.planner.prefix_cache import Tokens

PIECE = 2**16
"""Numbers in one sum."""


def weights_digest(model: nn.Module) -> str:
    """Return 64 hex digits that stand for all weights of a model, wherever they lie.

    Their bit patterns are added up piece by piece, in whole numbers, where the weights are: all that is fetched and
    digested is the sums. Weights that were trained further differ in them; whoever wanted to could make some that do
    not.
    """
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        if isinstance(weight, Tensor):
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)} ".encode())
            digest.update(_sums(weight.detach()).cpu().numpy().tobytes())
    return digest.hexdigest()


def _sums(weight: Tensor) -> Tensor:
    """Sums of a weight's bits, eight bytes at a time where they come out even, of each piece: int64 (pieces,)."""
    flat = weight.reshape(-1)
    many = 8 // flat.element_size()
    bits = flat.view(torch.uint8 if flat.numel() % many or flat.storage_offset() % many else torch.int64)
    return torch.stack([piece.sum(dtype=torch.int64) for piece in bits.split(PIECE)])


def origin_digest(revision: str, tokens: Tokens) -> str:
    """Return 64 hex digits for what a planner has read.

    Args:
        revision: Of its weights.
        tokens: All of it: see `conversation_tokens`; pictures, videos and regions are in it by their contents.
    """
    return hashlib.sha256(repr((revision, tokens)).encode()).hexdigest()
