"""SEEM as one module: images and prompt tokens to masks; parameter names of the published checkpoints.

Source: Zou et al. 2023, "Segment Everything Everywhere All at Once", demo wiring of the focal-L variant
(SkyworkAI/Vitron `modules/SEEM/demo_code`, licence Apache-2.0). Own code. Knows no pictures of arbitrary size,
no regions and no words: see `specialist.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitron_agent.errors import CheckpointError, listed
from vitron_agent.specialists.seem.backbone import FocalNet
from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.decoder import Decoder, Features
from vitron_agent.specialists.seem.pixel_decoder import PixelDecoder
from vitron_agent.specialists.seem.prompts import GROUNDING, PAD, PromptTokens

PIXEL_MEAN = (123.675, 116.28, 103.53)  # of 0..255, R G B
PIXEL_STD = (58.395, 57.12, 57.375)
DIVISIBILITY = 32
IGNORED = ("dilation_kernel", "criterion.empty_weight")  # constants in checkpoints, never read


@dataclass(frozen=True)
class Prediction:
    """What the heads say of N prompts and Q queries."""

    masks: Tensor  # (N, Q, h, w) logits at stride 4 of the padded input
    mask_embeddings: Tensor  # (N, Q, M), M = mask_dim
    captions: Tensor  # (N, Q, C), not normalised


class SegmentationHead(nn.Module):
    """Holds the two parts that checkpoints keep under `sem_seg_head`."""

    def __init__(self, config: SeemConfig) -> None:
        """Build both parts of `config`."""
        super().__init__()
        self.pixel_decoder = PixelDecoder(config)
        self.predictor = Decoder(config)


class Seem(nn.Module):
    """Backbone, pixel decoder, decoder."""

    def __init__(self, config: SeemConfig) -> None:
        """Build an untrained model of `config`."""
        super().__init__()
        self.config = config
        self.backbone = FocalNet(config)
        self.sem_seg_head = SegmentationHead(config)

    @property
    def decoder(self) -> Decoder:
        """The decoder, which also makes stroke tokens."""
        return self.sem_seg_head.predictor

    def load_weights(self, weights: Mapping[str, Tensor], source: str) -> None:
        """Take over the tensors of a checkpoint, strictly.

        Args:
            weights: under the published names; constant buffers among them are ignored.
            source: file name for errors.

        Raises:
            CheckpointError: a name is missing, unknown, or has another shape.
        """
        given = {name: value for name, value in weights.items() if name not in IGNORED}
        own = self.state_dict()
        if missing := [name for name in own if name not in given]:
            raise CheckpointError(
                f"{source} lacks {listed(missing)}; it is not a SEEM of this configuration, fetch it again"
            )
        if surplus := [name for name in given if name not in own]:
            raise CheckpointError(f"{source} has unknown tensors {listed(surplus)}; its configuration is another one")
        if other := [name for name in own if own[name].shape != given[name].shape]:
            shapes = f"{tuple(given[other[0]].shape)}, the configuration wants {tuple(own[other[0]].shape)}"
            raise CheckpointError(
                f"{source}: {other[0]} has shape {shapes} ({len(other)} such); use the config.json that came with it"
            )
        # A model on the meta device has no memory to copy into: it takes the tensors themselves.
        self.load_state_dict(given, assign=next(self.parameters()).is_meta)

    def encode_images(self, images: Tensor) -> Features:
        """Extract what all prompts of an image share.

        Args:
            images: (B, 3, H, W) from `prepare_images`.
        """
        return self.add_level_embedding(*self.sem_seg_head.pixel_decoder(self.backbone(images)))

    def add_level_embedding(self, mask_features: Tensor, levels: list[Tensor]) -> Features:
        """Bring the pixel decoder's levels, each (B, convs_dim, h, w), to the decoder, marked by learned embeddings."""
        marks, projections = self.decoder.level_embed.weight[..., None, None], self.decoder.input_proj
        return Features(mask_features, tuple(p(m) + e for p, m, e in zip(projections, levels, marks, strict=True)))

    def text_tokens(self, ids: Tensor, attention: Tensor) -> tuple[PromptTokens, Tensor]:
        """Encode phrases.

        Args:
            ids: (N, L) int64.
            attention: (N, L), nonzero for begin token, words and the first end token.

        Returns:
            Grounding tokens, and phrase embeddings (N, C), not normalised.
        """
        rows, phrases = self.decoder.lang_encoder(ids)
        return PromptTokens((rows, rows, rows), torch.where(attention > 0, GROUNDING, PAD)), phrases

    def predict(self, states: Tensor, features: Features) -> Prediction:
        """Apply the heads to one entry of the decoder's list of states (N, Q, C)."""
        masks, embeddings = self.decoder.mask_logits(states, features.mask_features)
        return Prediction(masks, embeddings, self.decoder.captions(states))

    def forward(self, features: Features, prompts: PromptTokens, bias: Tensor | None = None) -> Prediction:
        """Decode N prompts on B images (N a multiple of B); `bias` (N, Q, C) joins the query features."""
        return self.predict(self.decoder(features, prompts, bias)[-1], features)

    def text_scores(self, captions: Tensor, phrases: Tensor) -> Tensor:
        """Compare every query's caption with its own prompt's phrase: min(exp(logit_scale), 100) * cosine.

        Args:
            captions: (N, Q, C).
            phrases: (N, C).

        Returns:
            (N, Q).
        """
        cosine = F.normalize(captions, dim=-1) @ F.normalize(phrases, dim=-1)[..., None]
        return self.decoder.lang_encoder.logit_scale.exp().clamp(max=100) * cosine[..., 0]

    def class_logits(self, captions: Tensor, classes: Tensor) -> Tensor:
        """Compare captions (N, Q, C) with unit class embeddings (K, C) -> (N, Q, K)."""
        return self.decoder.lang_encoder.logit_scale.exp() * (F.normalize(captions, dim=-1) @ classes.T)


def stroke_scores(mask_embeddings: Tensor, pooled: Tensor) -> Tensor:
    """Score queries for a stroke or an example: mask embeddings (N, Q, M) on its pooled features (N, M) -> (N, Q)."""
    return (mask_embeddings @ pooled[..., None])[..., 0]


def prepare_images(images: Tensor) -> Tensor:
    """Normalise and pad.

    Args:
        images: (B, 3, H, W), RGB, 0..255, any number type; already resized.

    Returns:
        float32 (B, 3, H', W'), zero-padded right and bottom to multiples of 32, after normalisation.
    """
    mean = torch.tensor(PIXEL_MEAN, device=images.device)[:, None, None]
    std = torch.tensor(PIXEL_STD, device=images.device)[:, None, None]
    height, width = images.shape[-2:]
    return F.pad((images.float() - mean) / std, (0, -width % DIVISIBILITY, 0, -height % DIVISIBILITY))
