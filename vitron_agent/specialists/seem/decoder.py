"""SEEM's decoder in its demo wiring: object queries look at the image and at the prompt tokens, layer by layer.

Parameter names are those of the published checkpoint under `sem_seg_head.predictor.`. Several prompts of one image
share its features: N = B * P prompts, those of one image together. Knows no words and no regions, only tokens.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.layers import Attention, sine_position
from vitron_agent.specialists.seem.prompts import GROUNDING, PAD, SPATIAL, PromptTokens, StrokePoints, pool, sample
from vitron_agent.specialists.seem.text_encoder import LanguageEncoder


@dataclass(frozen=True)
class Features:
    """What the decoder needs of B images."""

    mask_features: Tensor  # (B, M, H/4, W/4), M = mask_dim
    levels: tuple[Tensor, ...]  # strides 32, 16, 8: (B, C, h, w), level embedding added


class CrossAttentionLayer(nn.Module):
    """Object queries look at one level of the image."""

    def __init__(self, dim: int, heads: int) -> None:
        """Make a layer of `dim` channels."""
        super().__init__()
        self.multihead_attn = Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)


class SelfAttentionLayer(nn.Module):
    """Object queries and prompt tokens look at each other."""

    def __init__(self, dim: int, heads: int) -> None:
        """Make a layer of `dim` channels."""
        super().__init__()
        self.self_attn = Attention(dim, heads)
        self.norm = nn.LayerNorm(dim)


class FeedForwardLayer(nn.Module):
    """Two linear layers with a ReLU, residual, post-norm."""

    def __init__(self, dim: int, feedforward: int) -> None:
        """Make a layer of `dim` channels."""
        super().__init__()
        self.linear1 = nn.Linear(dim, feedforward)
        self.linear2 = nn.Linear(feedforward, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) -> (..., C)."""
        return self.norm(x + self.linear2(F.relu(self.linear1(x))))


class MaskMlp(nn.Module):
    """Three linear layers with ReLU between, under the name `layers`."""

    def __init__(self, dim: int, out: int) -> None:
        """Make the layers for `dim` channels, the last of which gives `out`."""
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(dim, width) for width in (dim, dim, out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) -> (..., M)."""
        return self.layers[2](F.relu(self.layers[1](F.relu(self.layers[0](x)))))


class Decoder(nn.Module):
    """The predictor: queries, layers, heads and the language encoder."""

    def __init__(self, config: SeemConfig) -> None:
        """Build the decoder of `config`."""
        super().__init__()
        dim, layers = config.hidden_dim, range(config.decoder_layers)
        self.transformer_cross_attention_layers = nn.ModuleList(CrossAttentionLayer(dim, config.heads) for _ in layers)
        self.transformer_self_attention_layers = nn.ModuleList(SelfAttentionLayer(dim, config.heads) for _ in layers)
        self.transformer_ffn_layers = nn.ModuleList(FeedForwardLayer(dim, config.feedforward_dim) for _ in layers)
        self.decoder_norm = nn.LayerNorm(dim)
        self.query_feat = nn.Embedding(config.queries, dim)
        self.query_embed = nn.Embedding(config.queries, dim)
        self.level_embed = nn.Embedding(3, dim)
        self.input_proj = nn.ModuleList(
            nn.Conv2d(config.convs_dim, dim, 1) if config.convs_dim else nn.Identity() for _ in range(3)
        )
        self.pn_indicator = nn.Embedding(2, dim)
        self.mask_embed = MaskMlp(dim, config.mask_width)
        self.class_embed = nn.Parameter(torch.empty(dim, dim))
        self.mask_sptial_embed = nn.ParameterList(torch.empty(dim, dim) for _ in range(3))  # sic, the published name
        # The interactive memory of SEEM v0: in every checkpoint, not used by the demo wiring.
        self.spatial_embed = nn.Embedding(config.memories, dim)
        self.spatial_featured = nn.Embedding(config.memories, dim)
        self.lang_encoder = LanguageEncoder(config)
        for weight in (self.class_embed, *self.mask_sptial_embed):
            nn.init.trunc_normal_(weight, std=dim**-0.5)

    def stroke_tokens(self, features: Features, points: StrokePoints, kind: int = SPATIAL) -> PromptTokens:
        """Read a stroke's tokens off the image it was drawn on.

        Args:
            features: of B images.
            points: of N strokes, N a multiple of B.
            kind: SPATIAL for the image itself, VISUAL for a reference image.

        Returns:
            One token per point and level; padding stays padding.
        """
        indicator = self.pn_indicator((points.signs < 0).long())
        levels = tuple(
            sample(level, points.places) @ weight + indicator
            for level, weight in zip(features.levels, self.mask_sptial_embed, strict=True)
        )
        return PromptTokens(levels, torch.where(points.signs == 0, PAD, kind))

    def pooled(self, features: Features, points: StrokePoints) -> tuple[Tensor, Tensor]:
        """Average the mask features over a stroke's positive and negative points: two of (N, M)."""
        return pool(features.mask_features, points, 1), pool(features.mask_features, points, -1)

    def mask_logits(self, states: Tensor, mask_features: Tensor) -> tuple[Tensor, Tensor]:
        """Turn normed query states (N, Q, C) into mask logits (N, Q, h, w) and mask embeddings (N, Q, M)."""
        embeddings = self.mask_embed(states)
        shared = embeddings.reshape(mask_features.shape[0], -1, embeddings.shape[-1])
        logits = (shared @ mask_features.flatten(2)).reshape(*embeddings.shape[:2], *mask_features.shape[2:])
        return logits, embeddings

    def captions(self, states: Tensor) -> Tensor:
        """Turn normed query states (N, Q, C) into caption embeddings (N, Q, C), to be compared with phrases."""
        return states @ self.class_embed

    def forward(self, features: Features, prompts: PromptTokens, bias: Tensor | None = None) -> list[Tensor]:
        """Run all layers.

        Args:
            features: of B images.
            prompts: of N prompts, N a multiple of B.
            bias: (N, Q, C) added to the learned query features, e.g. from a planner's signals; None = as published.

        Returns:
            The normed query states (N, Q, C) before the first layer and behind every layer.
        """
        count, batch = prompts.kinds.shape[0], features.mask_features.shape[0]
        x = self.query_feat.weight.expand(count, -1, -1)
        x = x if bias is None else x + bias
        queries, allowed = x.shape[1], self._visible(prompts.kinds, x.shape[1])
        position = self.query_embed.weight.expand(count, -1, -1)
        tokens = prompts.levels[0]
        memories = [level.flatten(2).transpose(1, 2) for level in features.levels]
        places = [
            sine_position(level.shape[2], level.shape[3], level.shape[1], level.device).to(level.dtype)
            for level in features.levels
        ]
        # Masks are linear in the mask features, so resizing those once equals resizing every query's mask.
        small = [
            F.interpolate(features.mask_features, size=level.shape[2:], mode="bilinear", align_corners=False)
            for level in features.levels
        ]
        states = [self.decoder_norm(x)]
        carried = (prompts.kinds == GROUNDING)[..., None]
        for index, cross in enumerate(cast("Iterable[CrossAttentionLayer]", self.transformer_cross_attention_layers)):
            level = index % 3
            with torch.no_grad():
                inside = self.mask_logits(states[-1], small[level])[0].flatten(2) >= 0
                inside = (inside | ~inside.any(-1, keepdim=True)).reshape(batch, -1, inside.shape[-1])
            query = (x + position).reshape(batch, -1, x.shape[-1])
            seen = cross.multihead_attn(query, memories[level] + places[level], memories[level], inside)
            x = cross.norm(x + seen.reshape(x.shape))
            tokens = torch.where(carried, tokens, prompts.levels[level])
            token_position = torch.where(carried, prompts.levels[0], prompts.levels[level]).detach()
            x, tokens = self._converse(index, x, position, tokens, token_position, allowed)
            states.append(self.decoder_norm(x))
        assert x.shape[1] == queries
        return states

    def _converse(
        self, index: int, x: Tensor, position: Tensor, tokens: Tensor, token_position: Tensor, allowed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Self-attention and feed-forward of one layer over queries (N, Q, C) and tokens (N, T, C)."""
        queries, layer = x.shape[1], cast(SelfAttentionLayer, self.transformer_self_attention_layers[index])
        both = torch.cat((x, tokens), dim=1)
        placed = both + torch.cat((position, token_position), dim=1)
        both = layer.norm(both + layer.self_attn(placed, placed, both, allowed))
        both = self.transformer_ffn_layers[index](both)
        return both[:, :queries], both[:, queries:]

    @staticmethod
    def _visible(kinds: Tensor, queries: int) -> Tensor:
        """Say who sees whom: (N, Q + T, Q + T) bool, rows look at columns.

        Queries see everything but padding; a token sees its own kind, a grounding token the queries too. A padded
        token sees itself only: nobody reads it, and a softmax needs one column.
        """
        count, length = kinds.shape
        real = kinds != PAD
        same = (kinds[:, :, None] == kinds[:, None]) & real[:, None]
        same = same | torch.eye(length, dtype=torch.bool, device=kinds.device)
        top = torch.cat((real.new_ones(count, queries, queries), real[:, None].expand(-1, queries, -1)), dim=2)
        grounded = (kinds == GROUNDING)[..., None].expand(-1, -1, queries)
        return torch.cat((top, torch.cat((grounded, same), dim=2)), dim=1)
