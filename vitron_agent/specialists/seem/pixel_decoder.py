"""SEEM's pixel decoder `transformer_encoder_fpn` (MaskFormer's, not deformable): four maps to three levels and masks.

Parameter names are those of the published checkpoint under `sem_seg_head.pixel_decoder.`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.layers import Attention, sine_position


class ConvNorm(nn.Module):
    """A convolution without bias, then a group norm: `weight`, `norm.{weight,bias}`."""

    def __init__(self, channels: int, dim: int, side: int, groups: int) -> None:
        """Make a side x side convolution `channels` -> `dim`, same size."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, channels, side, side))
        nn.init.kaiming_uniform_(self.weight, a=1)
        self.norm = nn.GroupNorm(groups, dim)
        self.padding = side // 2

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) -> (B, dim, H, W), no activation."""
        return self.norm(F.conv2d(x, self.weight, padding=self.padding))


class EncoderLayer(nn.Module):
    """A post-norm transformer layer with ReLU; positions are added to query and key only."""

    def __init__(self, dim: int, heads: int, feedforward: int) -> None:
        """Make a layer of `dim` channels."""
        super().__init__()
        self.self_attn = Attention(dim, heads)
        self.linear1 = nn.Linear(dim, feedforward)
        self.linear2 = nn.Linear(feedforward, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        """Map tokens (B, L, C) with positions (L, C) -> (B, L, C)."""
        placed = x + position
        x = self.norm1(x + self.self_attn(placed, placed, x))
        return self.norm2(x + self.linear2(F.relu(self.linear1(x))))


class Encoder(nn.Module):
    """A pile of encoder layers under the name `layers`."""

    def __init__(self, config: SeemConfig) -> None:
        """Make `config.encoder_layers` layers."""
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(config.convs_width, config.heads, config.feedforward_dim) for _ in range(config.encoder_layers)
        )

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        """Map tokens (B, L, C) with positions (L, C) -> (B, L, C)."""
        for layer in self.layers:
            x = layer(x, position)
        return x


class PixelDecoder(nn.Module):
    """Transformer on the coarsest map, then a top-down pyramid."""

    def __init__(self, config: SeemConfig) -> None:
        """Build the pixel decoder of `config`."""
        super().__init__()
        dim, embed, groups = config.convs_width, config.embed_dim, config.norm_groups
        self.input_proj = nn.Conv2d(8 * embed, dim, 1)
        self.transformer = nn.ModuleDict({"encoder": Encoder(config)})
        self.layer_4 = ConvNorm(dim, dim, 3, groups)
        for index in (1, 2, 3):
            self.add_module(f"adapter_{index}", ConvNorm(embed * 2 ** (index - 1), dim, 1, groups))
            self.add_module(f"layer_{index}", ConvNorm(dim, dim, 3, groups))
        self.mask_features = nn.Conv2d(dim, config.mask_width, 3, padding=1)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Fuse the backbone's maps.

        Args:
            maps: strides 4, 8, 16, 32, as `FocalNet` gives them.

        Returns:
            The mask features (B, M, H/4, W/4) and the levels, strides 32, 16 and 8, each (B, C, h, w).
        """
        x = self.input_proj(maps[3])
        height, width = x.shape[-2:]
        position = sine_position(height, width, x.shape[1], x.device).to(x.dtype)
        tokens = self.transformer["encoder"](x.flatten(2).transpose(1, 2), position)
        x = F.relu(self.layer_4(tokens.transpose(1, 2).unflatten(2, (height, width))))
        levels = [x]
        for index in (3, 2, 1):
            lateral = getattr(self, f"adapter_{index}")(maps[index - 1])
            x = lateral + F.interpolate(x, size=lateral.shape[-2:], mode="nearest")
            x = F.relu(getattr(self, f"layer_{index}")(x))
            levels.append(x)
        return self.mask_features(x), levels[:3]
