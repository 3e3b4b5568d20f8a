"""The parts of a text-conditioned video model on disk, in the published layout of diffusers and in a profile's.

Published: one folder with tokenizer, text_encoder, vae, unet and scheduler. A profile: a folder of the specialist's
name with the same, whose vae may be GLIGEN's beside it, and its mapper under `mappers`. Knows nothing about requests.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL, ModelMixin
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from vitron_agent.errors import CheckpointError
from vitron_agent.signals import SignalMapper
from vitron_agent.specialists.checkpoints import (
    load_diffusers,
    load_mapper,
    load_part,
    load_tokenizer,
    load_transformers,
    move,
    remedy,
    settled,
)
from vitron_agent.specialists.schedules import read_schedule
from vitron_agent.specialists.video_diffusion.sampling import AT_ONCE, decode_frames

CLIP_SCHEDULERS = ("DDIMScheduler", "DPMSolverMultistepScheduler")
"""Those of diffusers that the published video models come with, and that were checked on clips."""


@dataclass(frozen=True)
class VideoDefaults:
    """What a request that does not say gets.

    Attributes:
        frames: of a clip.
        height: of a frame, in pixels.
        width: of a frame, in pixels.
        steps: denoising steps.
        guidance: classifier-free guidance scale; 1 is none.
        negative: what guidance leads away from.
        fps: frames per second that the clip is made for, where the model is told.
        skipped_layers: of the text encoder, counted from its end.
        scheduler: diffusers' class; "" for the one that the weights' folder names.
    """

    frames: int
    height: int
    width: int
    steps: int
    guidance: float
    negative: str = ""
    fps: int = 8
    skipped_layers: int = 0
    scheduler: str = ""


@dataclass(frozen=True, eq=False)
class VideoParts:
    """The loaded models; read-only from here on (but for `move_to`), so that requests can share them.

    Attributes:
        tokenizer: CLIP's.
        text_encoder: makes token states of the command.
        vae: pictures to latents and back, frame by frame.
        unet: the 3D UNet.
        schedule: the scheduler's config, with its class's name.
        mapper: makes condition tokens of the planner's signals; None ignores signals.
        revision: stands for all the weights.
        frugal: whether rows of a batch and frames are computed one by one: the same clip, in less memory.
    """

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    unet: Any
    schedule: dict[str, Any]
    mapper: SignalMapper | None
    revision: str
    frugal: bool = False

    @property
    def factor(self) -> int:
        """Pixels per cell of the latents, along each side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    def noise_shape(self, defaults: VideoDefaults) -> tuple[int, int, int, int, int]:
        """Return the shape (1, c, T, h, w) of a clip's latents."""
        channels = int(self.unet.config.out_channels)
        return 1, channels, defaults.frames, defaults.height // self.factor, defaults.width // self.factor

    def predict(self, noisy: Tensor, time: Tensor, **told: Tensor) -> Tensor:
        """Return what the UNet predicts, (B, c, T, h, w), of noisy latents; each row is told its own row of `told`."""
        if not self.frugal:
            return cast(Tensor, self.unet(noisy, time, **told).sample)
        rows = ({name: each[i : i + 1] for name, each in told.items()} for i in range(len(noisy)))
        return torch.cat([self.unet(noisy[i : i + 1], time, **row).sample for i, row in enumerate(rows)])

    def decode(self, latents: Tensor) -> Tensor:
        """Return the frames, uint8 (T, 3, H, W), of latents (1, c, T, h, w)."""
        return decode_frames(self.vae, latents, 1 if self.frugal else AT_ONCE)

    def move_to(self, device: str) -> None:
        """Move the models; no request runs meanwhile."""
        move((self.vae, self.unet, self.text_encoder, self.mapper), device)


def home(folder: Path, name: str) -> Path:
    """Return where a specialist's parts lie: in `folder`/`name` of a profile, or in a published `folder` itself."""
    return folder / name if (folder / name).is_dir() else folder


def load_video_parts(
    folder: Path,
    name: str,
    kind: type[ModelMixin],
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    mapper: SignalMapper | None = None,
    frugal: bool = False,
) -> VideoParts:
    """Load what every video model has.

    Args:
        folder: a profile's folder or a published one.
        name: of the specialist: its folder in a profile, and its training recipe.
        kind: the class of its UNet.
        device: where to put the models.
        dtype: of their weights in memory.
        mapper: used instead of the one in the folder.
        frugal: as in `VideoParts`.

    Raises:
        CheckpointError: a part is missing, damaged or of another shape.
    """
    root = home(folder, name)
    shared = folder / "gligen" / "vae"
    own = (root / "vae").is_dir() or not shared.is_dir()
    vae = load_diffusers(AutoencoderKL, root / "vae" if own else shared, name, dtype)
    unet = load_diffusers(kind, root / "unet", name, dtype)
    encoder = load_transformers(CLIPTextModel, root / "text_encoder", name, dtype)
    tokenizer = load_tokenizer(root / "tokenizer", name)
    schedule = load_part(root / "scheduler", name, _schedule, "scheduler_config.json")
    for what, needs, has in (
        ("text of width", unet.config.cross_attention_dim, encoder.config.hidden_size),
        ("latent channels:", unet.config.out_channels, vae.config.latent_channels),
    ):
        if needs != has:
            raise CheckpointError(
                f"{root / 'unet'} expects {what} {needs}, the part beside it gives {has}: they are not of one model, "
                f"{remedy(name)}"
            )
    file = folder / "mappers" / f"{name}.safetensors"
    if mapper is None and file.is_file():
        mapper = load_mapper(file)
    revision = settled((vae, unet, encoder, mapper), device)
    return VideoParts(tokenizer, encoder, vae, unet, schedule, mapper, revision, frugal)


def _schedule(folder: Path) -> dict[str, Any]:
    config = read_schedule(folder)
    if config.get("_class_name") not in CLIP_SCHEDULERS:
        raise ValueError(f"scheduler {config.get('_class_name')!r} is none of {', '.join(CLIP_SCHEDULERS)}")
    return config
