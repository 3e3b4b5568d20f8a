"""The FocalNet-L image backbone of SEEM (Yang et al. 2022, "Focal Modulation Networks"); pictures to four maps.

Parameter names are those of the published checkpoint under `backbone.`. Knows nothing of prompts or masks.
"""

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitron_agent.specialists.seem.config import SeemConfig


class FocalModulation(nn.Module):
    """Gathers context at growing windows, gates it, and multiplies it onto the query."""

    def __init__(self, dim: int, levels: int, window: int) -> None:
        """Make a modulation of `levels` depthwise convolutions of sides window, window + 2, ..."""
        super().__init__()
        self.levels = levels
        self.f = nn.Linear(dim, 2 * dim + levels + 1)
        self.h = nn.Conv2d(dim, dim, 1)
        self.proj = nn.Linear(dim, dim)
        sides = [window + 2 * level for level in range(levels)]
        self.focal_layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(dim, dim, side, padding=side // 2, groups=dim, bias=False), nn.GELU())
            for side in sides
        )

    def forward(self, x: Tensor) -> Tensor:
        """Modulate a map (B, H, W, C) -> (B, H, W, C)."""
        dim = x.shape[-1]
        q, context, gates = self.f(x).permute(0, 3, 1, 2).split((dim, dim, self.levels + 1), dim=1)
        total = torch.zeros_like(context)
        for level, layer in enumerate(self.focal_layers):
            context = layer(context)
            total = total + context * gates[:, level : level + 1]
        everything = F.gelu(context.mean((2, 3), keepdim=True))
        total = (total + everything * gates[:, self.levels :]) / (self.levels + 1)
        return self.proj((q * self.h(total)).permute(0, 2, 3, 1))


class Mlp(nn.Module):
    """Two linear layers with a GELU, four times wider inside."""

    def __init__(self, dim: int) -> None:
        """Make the layers for `dim` channels."""
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) -> (..., C)."""
        return self.fc2(F.gelu(self.fc1(x)))


class FocalBlock(nn.Module):
    """Modulation and MLP, each followed by a layer norm, a layer scale and the residual (post-norm)."""

    def __init__(self, dim: int, levels: int, window: int, layerscale: float) -> None:
        """Make a block whose residual scales start at `layerscale`."""
        super().__init__()
        self.modulation = FocalModulation(dim, levels, window)
        self.norm1 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.gamma_1 = nn.Parameter(torch.full((dim,), layerscale))
        self.gamma_2 = nn.Parameter(torch.full((dim,), layerscale))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) -> (B, H, W, C)."""
        x = x + self.gamma_1 * self.norm1(self.modulation(x))
        return x + self.gamma_2 * self.norm2(self.mlp(x))


class PatchEmbed(nn.Module):
    """A strided convolution and a layer norm: the stem, and every step down."""

    def __init__(self, channels: int, dim: int, side: int, stride: int, padding: int) -> None:
        """Make a convolution `channels` -> `dim`."""
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, side, stride=stride, padding=padding)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) -> (B, H / stride, W / stride, dim)."""
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class Stage(nn.Module):
    """The blocks of one resolution, and the step to the next one (absent in the last)."""

    def __init__(self, config: SeemConfig, index: int) -> None:
        """Make stage `index` of `config`."""
        super().__init__()
        dim = config.embed_dim * 2**index
        self.blocks = nn.ModuleList(
            FocalBlock(dim, config.focal_levels, config.focal_window, config.layerscale)
            for _ in range(config.depths[index])
        )
        last = index == len(config.depths) - 1
        self.downsample = None if last else PatchEmbed(dim, 2 * dim, side=3, stride=2, padding=1)


class FocalNet(nn.Module):
    """Four stages at strides 4, 8, 16 and 32."""

    def __init__(self, config: SeemConfig) -> None:
        """Build the backbone of `config`."""
        super().__init__()
        self.patch_embed = PatchEmbed(3, config.embed_dim, side=7, stride=4, padding=2)
        self.layers = nn.ModuleList(Stage(config, index) for index in range(len(config.depths)))
        for index in range(len(config.depths)):
            self.add_module(f"norm{index}", nn.LayerNorm(config.embed_dim * 2**index))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Extract features.

        Args:
            images: (B, 3, H, W) float, normalised, H and W multiples of 32.

        Returns:
            Four maps (B, E * 2**i, H / (4 * 2**i), W / (4 * 2**i)), each before the step down and through its
            own layer norm.
        """
        x = self.patch_embed(images)
        maps = []
        for index, stage in enumerate(cast("Iterable[Stage]", self.layers)):
            for block in stage.blocks:
                x = block(x)
            maps.append(getattr(self, f"norm{index}")(x).permute(0, 3, 1, 2))
            if stage.downsample is not None:
                x = stage.downsample(x.permute(0, 3, 1, 2))
        return maps
