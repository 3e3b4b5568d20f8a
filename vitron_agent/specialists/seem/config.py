"""The sizes of one SEEM and their file form; knows nothing of tensors.

Every field has the value of `seem_focall_lang.yaml` as its default (SEEM, Zou et al. 2023; SkyworkAI/Vitron
`modules/SEEM/demo_code`), so `SeemConfig()` is the published focal-L model.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vitron_agent.errors import CheckpointError


@dataclass(frozen=True)
class SeemConfig:
    """Sizes and thresholds of a SEEM with a FocalNet-L style backbone."""

    embed_dim: int = 192  # channels of the first backbone stage; stage i has embed_dim * 2**i
    depths: tuple[int, ...] = (2, 2, 18, 2)  # blocks per stage
    focal_levels: int = 4  # depthwise convolutions per modulation
    focal_window: int = 3  # side of the first of them; each next one is 2 wider
    hidden_dim: int = 512  # HIDDEN_DIM of the decoder, and DIM_PROJ
    convs_dim: int = 0  # CONVS_DIM of the pixel decoder, projected to hidden_dim; 0 for hidden_dim itself, as published
    mask_dim: int = 0  # MASK_DIM, of mask features and mask embeddings; 0 for hidden_dim, as published
    norm_groups: int = 32  # of the pixel decoder's group norms; few channels need fewer groups to tell pictures apart
    heads: int = 8  # attention heads of pixel decoder and decoder
    feedforward_dim: int = 2048  # their feed-forward width
    encoder_layers: int = 6  # transformer layers on the stride-32 map
    decoder_layers: int = 9  # DEC_LAYERS - 1
    queries: int = 101  # object queries
    memories: int = 32  # interactive memory tokens: in the checkpoint, unused in the demo wiring
    text_width: int = 512
    text_heads: int = 8
    text_layers: int = 12
    context_length: int = 77  # text positions
    vocab_size: int = 49408
    max_points: int = 512  # points sampled from one stroke, per level
    short_side: int = 512  # pixels the short side of a picture is resized to
    layerscale: float = 1e-4  # initial value of the residual scales, only matters when training from scratch
    classes: tuple[str, ...] = ()  # panoptic classes, the last one is void
    templates: tuple[str, ...] = ("{}",)  # phrases a class name is put into; embeddings are averaged
    stuff: tuple[str, ...] = ()  # the classes whose panoptic segments are merged
    panoptic_score: float = 0.4  # a query below this score is no segment
    panoptic_overlap: float = 0.8  # a segment survives if this share of its mask is visible
    edge_reach: int = 0  # pixels that masks' edges may move to where colours change, see edges.py; 0 as published
    text_threshold: float | None = None  # phrase scores below it mean "nothing matches"; None = never (published)

    @property
    def convs_width(self) -> int:
        """Channels of the pixel decoder."""
        return self.convs_dim or self.hidden_dim

    @property
    def mask_width(self) -> int:
        """Channels of mask features and mask embeddings."""
        return self.mask_dim or self.hidden_dim

    @classmethod
    def load(cls, path: Path) -> "SeemConfig":
        """Read a configuration from a JSON file.

        Args:
            path: the `config.json` of a checkpoint folder.

        Raises:
            CheckpointError: the file is missing, is no JSON object, or has an unknown or ill-typed field.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(f"SEEM configuration {path} is missing; give a folder made by the recipe") from None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"SEEM configuration {path} is unreadable ({error}); fetch it again") from None
        if not isinstance(values, dict):
            raise CheckpointError(f"SEEM configuration {path} must hold a JSON object; fetch it again")
        return cls.from_dict(values, str(path))

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = "dictionary") -> "SeemConfig":
        """Build a configuration from plain values; `source` names them in errors.

        Raises:
            CheckpointError: an unknown field, or a value of the wrong type.
        """
        known = {field.name: field.default for field in fields(cls)}
        clean: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                raise CheckpointError(f"SEEM configuration {source} has an unknown field {name!r}; remove it")
            clean[name] = tuple(value) if isinstance(value, list) else value
            if not _fits(clean[name], known[name]):
                example = f"like {known[name]!r}" if known[name] is not None else "a number"
                raise CheckpointError(f"SEEM configuration {source}: {name} is {value!r}, it must be {example}")
        config = cls(**clean)
        _check(config, source)
        return config

    def save(self, path: Path) -> None:
        """Write the configuration as JSON, every field."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def _check(config: SeemConfig, source: str) -> None:
    """Refuse sizes that no model can have."""
    convs = "convs_dim" if config.convs_dim else "hidden_dim"
    shared = (  # a width, and what its channels are shared out among
        ("hidden_dim", config.hidden_dim, "heads"),
        (convs, config.convs_width, "heads"),
        (convs, config.convs_width, "norm_groups"),
        ("text_width", config.text_width, "text_heads"),
    )
    for name, width, among in shared:
        if width % getattr(config, among):
            raise CheckpointError(
                f"SEEM configuration {source}: {name} {width} must be a multiple of {among} {getattr(config, among)}"
            )
    if len(config.depths) != 4:
        raise CheckpointError(f"SEEM configuration {source}: depths {config.depths} must be four")


def _fits(value: object, default: object) -> bool:
    """Say whether a value can stand where `default` stands; sizes must be above zero, but where zero is the default."""
    if default is None or isinstance(default, float):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number or (default is None and value is None)
    if isinstance(default, tuple):
        kind = type(default[0]) if default else str
        return isinstance(value, tuple) and all(type(item) is kind for item in value)
    return type(value) is int and isinstance(default, int) and value >= min(default, 1)
