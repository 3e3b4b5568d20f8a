"""Attention with the parameter names of `torch.nn.MultiheadAttention`, and SEEM's sine position; nothing else.

Own attention because masks here are "may see" booleans per batch entry, shared by all heads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention; parameters `in_proj_weight`, `in_proj_bias`, `out_proj.{weight,bias}`."""

    def __init__(self, dim: int, heads: int) -> None:
        """Make an attention of `heads` heads on `dim` channels."""
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            query: (N, Lq, C).
            key: (N, Lk, C).
            value: (N, Lk, C).
            allowed: bool, broadcastable to (N, Lq, Lk), True where a row may see a column; every row needs one.

        Returns:
            (N, Lq, C).
        """
        dim = query.shape[-1]
        weights, biases = self.in_proj_weight.split(dim), self.in_proj_bias.split(dim)
        q, k, v = (
            F.linear(x, w, b).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )
        mask = None if allowed is None else allowed.unsqueeze(1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out_proj(out.transpose(1, 2).flatten(2))


def sine_position(height: int, width: int, dim: int, device: torch.device) -> Tensor:
    """DETR's sine position of a map (Carion et al. 2020): y half, then x half, sine and cosine interleaved.

    Returns:
        (height * width, dim) float32, rows in reading order.
    """
    half = dim // 2
    scale = 2 * torch.pi
    exponent = 2 * torch.div(torch.arange(half, device=device), 2, rounding_mode="floor") / half
    wavelength = 10000**exponent

    def encode(length: int) -> Tensor:
        place = torch.arange(1, length + 1, device=device, dtype=torch.float32) / (length + 1e-6) * scale
        angle = place[:, None] / wavelength
        return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=2).flatten(1)

    rows = encode(height)[:, None].expand(height, width, half)
    columns = encode(width)[None].expand(height, width, half)
    return torch.cat((rows, columns), dim=2).flatten(0, 1)
