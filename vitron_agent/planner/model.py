"""The planner's network: LLaVA's layout (CLIP tower, projector, Llama) plus the region encoder and the signal tokens.

Weights live in `LlavaForConditionalGeneration`, so folders are laid out like published ones; the region encoder, which
LLaVA does not have, lies beside it in `extra.safetensors`. This file merges features and runs forward passes; it does
not know words, templates or how the next token is chosen.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import Cache, LlavaConfig, LlavaForConditionalGeneration, PreTrainedModel

from vitron_agent.errors import CheckpointError, listed
from vitron_agent.planner.details import DetailEncoder
from vitron_agent.planner.loading import REMEDY, brought, load_llava, read_weights
from vitron_agent.planner.motion import MotionEncoder
from vitron_agent.planner.regions import RegionEncoder
from vitron_agent.planner.vision import (
    FeatureAdapter,
    patch_embeddings,
    patch_features,
    pool_patches,
    to_pixel_values,
)

EXTRA_FILE = "extra.safetensors"


@dataclass(frozen=True)
class Encoded:
    """What the tower made of B pictures or videos.

    Attributes:
        tokens: (B, n, d_llm) projected tokens that stand where `<image>` stands.
        patches: (B, P, d_vision) features that regions are pooled from, of a video those of its first frame; with a
            detail encoder (B, P, 2 d_vision), the tower's first features behind its last.
    """

    tokens: Tensor
    patches: Tensor


class PlannerModel(nn.Module):
    """Tower, projector, region encoder and language model, with separate steps for each."""

    def __init__(self, llava: LlavaForConditionalGeneration, regions: nn.Module | None = None) -> None:
        """Wrap a LLaVA model; its config's `vitron` entry (pooling, signal and frame counts) may be absent.

        Args:
            llava: The model.
            regions: Makes tokens of what the user drew, called as `RegionEncoder`; None for a fresh one.
        """
        super().__init__()
        config = llava.config
        self.llava = llava
        fresh = RegionEncoder(config.vision_config.hidden_size, config.text_config.hidden_size)
        self.regions = fresh if regions is None else regions
        self.settings: dict[str, int] = dict(getattr(config, "vitron", None) or {})
        self.pool = self.settings.get("pool", 1)
        has_adapter = bool(self.settings.get("adapter", 0))
        self.video_frames = self.settings.get("video_frames", 0)
        self.sees_frames = True  # False: of a video the mean over time alone, as in the paper, to measure what is lost
        shape = self.image_tokens, self.d_llm, self.video_frames, self.settings.get("numbers", 0)
        self.adapter = FeatureAdapter(*shape) if has_adapter else None
        feels_motion = bool(self.settings.get("motion", 0))
        self.motion = MotionEncoder(self.d_vision, self.d_llm, self.video_frames) if feels_motion else None
        sees_details = bool(self.settings.get("details", 0))
        self.details = DetailEncoder(self.d_vision, self.d_llm, self.pool) if sees_details else None

    @classmethod
    def new(cls, config: LlavaConfig) -> "PlannerModel":
        """A model with fresh weights."""
        return cls(LlavaForConditionalGeneration(config))

    @property
    def tower(self) -> PreTrainedModel:
        """The CLIP vision tower."""
        return self.llava.model.vision_tower

    @property
    def language_model(self) -> PreTrainedModel:
        """The Llama without its head."""
        return self.llava.model.language_model

    @property
    def d_llm(self) -> int:
        """Width of the language model."""
        return int(self.llava.config.text_config.hidden_size)

    @property
    def d_vision(self) -> int:
        """Width of the vision tower."""
        return int(self.llava.config.vision_config.hidden_size)

    @property
    def image_tokens(self) -> int:
        """Tokens per picture."""
        vision = self.llava.config.vision_config
        return int((vision.image_size // vision.patch_size // self.pool) ** 2)

    @property
    def video_tokens(self) -> int:
        """Tokens per video: the mean over time, then every frame's own; 0 where these weights know no videos."""
        if not self.sees_frames:
            return self.image_tokens if self.video_frames else 0
        own = self.image_tokens // self.settings.get("frame_pool", 1) ** 2
        return self.image_tokens + self.video_frames * own if self.video_frames else 0

    @property
    def folds_case(self) -> bool:
        """Whether it was trained on users' words in lower case."""
        return bool(self.settings.get("folds_case", 0))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def encode_pictures(self, images: Tensor) -> Encoded:
        """Encode pictures.

        Args:
            images: (B, 3, H, W) RGB, uint8 in [0, 255] or float in [0, 1].
        """
        config = self.llava.config
        pixels = to_pixel_values(images.to(self.device), config.vision_config.image_size)
        dtype = next(self.tower.parameters()).dtype
        patches = patch_features(self.tower, pixels.to(dtype), config.vision_feature_layer)
        tokens = self.llava.model.multi_modal_projector(pool_patches(patches, self.pool))
        if self.adapter is not None:
            tokens = self.adapter.pictures(tokens)
        if self.details is not None:
            first = patch_embeddings(self.tower, pixels.to(dtype))
            tokens, patches = tokens + self.details.pictures(first), torch.cat([patches, first], -1)
        return Encoded(tokens, patches)

    def encode_videos(self, videos: Tensor) -> Encoded:
        """Encode videos of F = `video_frames` frames each, see `sample_frames`.

        The paper takes the mean over time alone, which cannot tell left from right: the frames' own tokens, pooled
        further by the setting `frame_pool`, stand behind it (unless `sees_frames` is off), with what moved there added.

        Args:
            videos: (B, F, 3, H, W) RGB, uint8 in [0, 255] or float in [0, 1].
        """
        count, frames = videos.shape[:2]
        each = self.encode_pictures(videos.flatten(0, 1))
        tokens = each.tokens.unflatten(0, (count, frames))
        mean = tokens.mean(1, keepdim=True)
        frame_pool = self.settings.get("frame_pool", 1)
        own = pool_patches(tokens.flatten(0, 1), frame_pool).unflatten(0, (count, frames))
        if self.motion is not None and self.sees_frames:
            last = each.patches[..., : self.d_vision].unflatten(0, (count, frames))
            own = own + self.motion(last, self.pool * frame_pool)
        if self.adapter is not None:
            mean, own = mean + self.adapter.video_time[0], own + self.adapter.video_time[1:, None]
        shown = [mean, own] if self.sees_frames else [mean]
        return Encoded(torch.cat([part.flatten(1, 2) for part in shown], 1), each.patches[::frames])

    def numbered(self, tokens: Tensor, number: int) -> Tensor:
        """Tell the tokens (n, d_llm) of a picture, or a video, its number in the conversation, from 1.

        They come from `encode_pictures` and `encode_videos` without it: what a picture shows is known before where it
        is shown. LLaVA knows numbers from the words before a picture alone, and so does a model without the setting.
        """
        return tokens if self.adapter is None else self.adapter.numbered(tokens, number)

    def encode_regions(self, patches: Tensor, masks: Tensor) -> Tensor:
        """One token per region.

        Args:
            patches: `Encoded.patches` of the N pictures, or first frames, that were drawn on.
            masks: (N, H, W) bool.

        Returns:
            (N, d_llm).
        """
        masks = masks.to(patches.device)
        tokens: Tensor = self.regions(patches[..., : self.d_vision], masks)
        if self.adapter is not None:
            tokens = self.adapter.regions(tokens)
        return tokens if self.details is None else tokens + self.details.regions(patches, masks)

    def merge(
        self,
        ids: Tensor,
        pictures: Tensor | None = None,
        regions: Tensor | None = None,
        region_places: Tensor | None = None,
    ) -> Tensor:
        """Embed ids and put features where `<image>` stands and where the user drew.

        Args:
            ids: (B, T) int64.
            pictures: Tokens of pictures and videos (..., d_llm) in order of appearance (row by row), as many as there
                are `<image>` ids; or None.
            regions: (R, d_llm) likewise for the places of regions; or None.
            region_places: (B, T) bool: the `<objs>` ids of user turns. In a call of the planner's own, `<objs>` keeps
                its plain embedding.

        Returns:
            (B, T, d_llm).

        Raises:
            ValueError: The features do not match the number of placeholders.
        """
        embeds = self.language_model.get_input_embeddings()(ids)
        if region_places is None:
            region_places = torch.zeros_like(ids, dtype=torch.bool)
        pairs = ((ids == self.llava.config.image_token_index, pictures), (region_places, regions))
        for places, features in pairs:
            wanted = int(places.sum())
            flat = embeds.new_zeros(0, self.d_llm) if features is None else features.reshape(-1, self.d_llm)
            if wanted != len(flat):
                raise ValueError(f"{wanted} placeholders, but {len(flat)} features")
            if wanted:
                embeds = embeds.masked_scatter(places[..., None], flat.to(embeds.dtype))
        return embeds

    def hidden(self, embeds: Tensor, cache: Cache | None = None) -> Tensor:
        """Last-layer states (B, T, d_llm) of embeddings (B, T, d_llm); new keys and values go into `cache`.

        Rows of different length are padded on the right: causal attention never looks there, so no mask is needed.
        """
        output = self.language_model(inputs_embeds=embeds, past_key_values=cache, use_cache=cache is not None)
        return output.last_hidden_state

    def logits(self, states: Tensor) -> Tensor:
        """Next-token logits (..., V) of states (..., d_llm)."""
        return self.llava.lm_head(states)

    def save(self, folder: Path) -> None:
        """Write config.json, model.safetensors and extra.safetensors, in the weights' own dtype."""
        folder.mkdir(parents=True, exist_ok=True)
        self.llava.save_pretrained(folder)
        save_file(self.extra_state(), folder / EXTRA_FILE, metadata={"format": "pt"})

    def extra_state(self) -> dict[str, Tensor]:
        """The weights that LLaVA's layout has no place for: region encoder, feature adapter, motion, details."""
        return {key: value.contiguous() for key, value in self.state_dict().items() if not key.startswith("llava.")}

    @classmethod
    def load(
        cls,
        folder: Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        bits: int | None = None,
    ) -> "PlannerModel":
        """Read a folder written by `save`, or a published LLaVA folder with a region encoder beside it.

        Args:
            folder: Holds config.json, model.safetensors (or shards and their index) and extra.safetensors.
            device: Where the weights go.
            dtype: What they become.
            bits: As in `load_llava`.

        Raises:
            CheckpointError: A file is missing, damaged, or of another shape.
        """
        for name in ("config.json", EXTRA_FILE):
            if not (folder / name).is_file():
                raise CheckpointError(f"planner weights: {folder / name} is missing; {REMEDY}")
        model = cls(load_llava(folder, dtype, bits, device))
        extra = read_weights(folder / EXTRA_FILE)
        wanted = {key: value.shape for key, value in model.extra_state().items()}
        found = {key: value.shape for key, value in extra.items()}
        if wanted != found:
            bad = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
            raise CheckpointError(f"planner weights: {folder / EXTRA_FILE} does not fit ({listed(bad)}); {REMEDY}")
        model.load_state_dict(extra, strict=False)
        return brought(model, device, dtype).eval()
