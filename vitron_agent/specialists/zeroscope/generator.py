"""Makes a clip of a command (module D)."""

from pathlib import Path
from typing import Self

import torch
from diffusers import UNet3DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from vitron_agent.media import MediaKind
from vitron_agent.signals import SignalMapper
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.specialists.schedules import with_scheduler
from vitron_agent.specialists.video_diffusion import VideoDefaults, VideoParts
from vitron_agent.specialists.video_diffusion.conditioning import clip_input, encode_text, with_signals
from vitron_agent.specialists.video_diffusion.parts import home, load_video_parts
from vitron_agent.specialists.video_diffusion.sampling import sample_clip

NAME = "zeroscope"
PUBLISHED = VideoDefaults(
    frames=24, height=320, width=576, steps=50, guidance=7.5, scheduler="DPMSolverMultistepScheduler"
)
"""As VITRON's release calls ZeroScope v2 576w."""
TINY = VideoDefaults(frames=8, height=64, width=64, steps=8, guidance=1.0)
"""Guidance shifts flat colours: on two clips learned by heart, 5 to 6 levels of 255 off without, 21 to 52 at 3."""


class ZeroscopeGenerator:
    """ZeroScope: text to a clip. Safe to share between threads: a request changes nothing here."""

    name = NAME

    def __init__(self, parts: VideoParts, defaults: VideoDefaults = PUBLISHED) -> None:
        """Make clips with `parts`."""
        self.parts = parts
        self.defaults = defaults

    @classmethod
    def from_pretrained(
        cls,
        folder: Path,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        mapper: SignalMapper | None = None,
        defaults: VideoDefaults | None = None,
        frugal: bool = False,
    ) -> Self:
        """Load weights; safetensors only.

        Args:
            folder: a published folder (`tokenizer`, `text_encoder`, `vae`, `unet`, `scheduler`), or a profile's, which
                holds `zeroscope/` with the same, and perhaps `mappers/zeroscope.safetensors`.
            device: where to compute.
            dtype: of the weights in memory.
            mapper: used instead of the one in the folder.
            defaults: size and steps; by default those of the published model, for a profile those of the tiny one.
            frugal: whether rows of guidance and frames are computed one by one: the same clip, in less memory.

        Raises:
            CheckpointError: something is missing, damaged or of another shape.
        """
        folder = Path(folder)
        parts = load_video_parts(folder, NAME, UNet3DConditionModel, device, dtype, mapper, frugal)
        return cls(parts, defaults or (PUBLISHED if home(folder, NAME) == folder else TINY))

    @property
    def revision(self) -> str:
        """Which weights."""
        return self.parts.revision

    def move_to(self, device: str) -> None:
        """Move all weights: see `Movable`."""
        self.parts.move_to(device)

    @torch.no_grad()
    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        """Make one clip, uint8 (T, 3, H, W).

        Raises:
            Cancelled: `progress` asked to stop.
        """
        latents = self.latents(request, progress)
        return SpecialistResult(MediaKind.VIDEO, video=self.parts.decode(latents))

    @torch.no_grad()
    def latents(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> Tensor:
        """Return the latents (1, c, T, h, w) of the clip that `run` makes."""
        parts, defaults, unet = self.parts, self.defaults, self.parts.unet
        steps, guidance = request.sampling(defaults.steps, defaults.guidance)
        encoder, tokenizer, skipped = parts.text_encoder, parts.tokenizer, defaults.skipped_layers
        text = with_signals(encode_text(encoder, tokenizer, request.command, skipped), parts.mapper, request.signals)
        if guidance != 1.0:
            text = torch.cat([encode_text(encoder, tokenizer, defaults.negative, skipped), text])
        generator = torch.Generator().manual_seed(request.seed)
        noise = randn_tensor(parts.noise_shape(defaults), generator=generator, device=unet.device, dtype=unet.dtype)
        return sample_clip(
            lambda noisy, time: parts.predict(
                clip_input(noisy, unet.config.in_channels), time, encoder_hidden_states=text
            ),
            with_scheduler(parts.schedule, defaults.scheduler),
            noise,
            steps,
            guidance,
            progress=progress,
        )
