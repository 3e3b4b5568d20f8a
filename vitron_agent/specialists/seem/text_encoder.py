"""SEEM's text encoder: UniCL's CLIP text transformer; token ids to token rows and a phrase embedding.

Parameter names are those of the published checkpoint under `sem_seg_head.predictor.lang_encoder.`. Knows no tokenizer.
"""

import torch
from torch import Tensor, nn

from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.layers import Attention


class TextMlp(nn.Module):
    """`c_fc`, QuickGELU, `c_proj`."""

    def __init__(self, dim: int) -> None:
        """Make the layers for `dim` channels, four times wider inside."""
        super().__init__()
        self.c_fc = nn.Linear(dim, 4 * dim)
        self.c_proj = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) -> (..., C)."""
        x = self.c_fc(x)
        return self.c_proj(x * torch.sigmoid(1.702 * x))


class TextBlock(nn.Module):
    """A pre-norm block; the norm's epsilon is 1e-12 as in UniCL."""

    def __init__(self, dim: int, heads: int) -> None:
        """Make a block of `dim` channels."""
        super().__init__()
        self.attn = Attention(dim, heads)
        self.ln_1 = nn.LayerNorm(dim, eps=1e-12)
        self.mlp = TextMlp(dim)
        self.ln_2 = nn.LayerNorm(dim, eps=1e-12)

    def forward(self, x: Tensor, causal: Tensor) -> Tensor:
        """Map (N, L, C) -> (N, L, C); `causal` (L, L) bool, True where a row may see a column."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, causal)
        return x + self.mlp(self.ln_2(x))


class TextTransformer(nn.Module):
    """Embeddings, causal blocks and a final norm."""

    def __init__(self, config: SeemConfig) -> None:
        """Build the transformer of `config`."""
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.text_width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context_length, config.text_width))
        self.resblocks = nn.ModuleList(
            TextBlock(config.text_width, config.text_heads) for _ in range(config.text_layers)
        )
        self.ln_final = nn.LayerNorm(config.text_width, eps=1e-12)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Encode token ids (N, L) int64 -> (N, L, width)."""
        length = ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        x = self.token_embedding(ids) + self.positional_embedding[:length]
        for block in self.resblocks:
            x = block(x, causal[None])
        return self.ln_final(x)


class LanguageEncoder(nn.Module):
    """The transformer, the projection to SEEM's space and the temperature."""

    def __init__(self, config: SeemConfig) -> None:
        """Build the encoder of `config`."""
        super().__init__()
        self.lang_encoder = TextTransformer(config)
        self.lang_proj = nn.Parameter(torch.empty(config.text_width, config.hidden_dim))
        nn.init.normal_(self.lang_proj, std=config.text_width**-0.5)
        self.logit_scale = nn.Parameter(torch.ones(()))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Encode phrases.

        Causal, so trailing padding does not change the rows before it and may be cut.

        Args:
            ids: (N, L) int64, L at most the context length; the end token has the highest id of the vocabulary.

        Returns:
            Token rows (N, L, C) and phrase embeddings (N, C), the row of the first end token; not normalised.
        """
        rows = self.lang_encoder(ids) @ self.lang_proj
        return rows, rows[torch.arange(ids.shape[0], device=ids.device), ids.argmax(dim=1)]
