"""Makes a clip that begins with a picture (module G)."""

from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from vitron_agent.errors import CheckpointError, MissingInputError
from vitron_agent.media import MediaKind
from vitron_agent.signals import SignalMapper
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.specialists.checkpoints import load_transformers, move, remedy, settled
from vitron_agent.specialists.i2vgen_xl.picture import fitted, guide_latents, picture_embedding, picture_latents
from vitron_agent.specialists.i2vgen_xl.unet import AnimationUNet
from vitron_agent.specialists.schedules import with_scheduler
from vitron_agent.specialists.video_diffusion import VideoDefaults, VideoParts
from vitron_agent.specialists.video_diffusion.conditioning import encode_text, with_signals
from vitron_agent.specialists.video_diffusion.parts import home, load_video_parts
from vitron_agent.specialists.video_diffusion.sampling import Denoise, sample_clip

NAME = "i2vgen_xl"
PUBLISHED = VideoDefaults(
    frames=16,
    height=704,
    width=1280,
    steps=50,
    guidance=9.0,
    negative="Distorted, discontinuous, Ugly, blurry, low resolution, motionless, static, disfigured, "
    "disconnected limbs, Ugly faces, incomplete arms",
    fps=16,
    skipped_layers=1,
    scheduler="DDIMScheduler",
)
"""As VITRON's release and the model's own example call I2VGen-XL."""
TINY = VideoDefaults(frames=8, height=64, width=64, steps=4, guidance=1.5)
"""Steps: more of them made no better clips (3 to 24 were tried). Guidance: with more of it shapes are kept less often,
without it motions follow the words less often."""


class I2VGenAnimator:
    """I2VGen-XL: a picture and words to a clip. Safe to share between threads: a request changes nothing here.

    The clip's first frame is the picture itself (scaled and cut to the clip's size where it has another). During
    sampling the first frame's latents are held to the picture's, so that the others go on from it.
    """

    name = NAME

    def __init__(
        self, parts: VideoParts, image_encoder: CLIPVisionModelWithProjection, defaults: VideoDefaults = PUBLISHED
    ) -> None:
        """Animate with `parts`, whose UNet is an `AnimationUNet`, and CLIP's encoder of pictures."""
        self.parts = parts
        self.image_encoder = image_encoder
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
            folder: a published folder (`tokenizer`, `text_encoder`, `image_encoder`, `vae`, `unet`, `scheduler`), or a
                profile's, which holds `i2vgen_xl/` with the same, and perhaps `mappers/i2vgen_xl.safetensors`.
            device: where to compute.
            dtype: of the weights in memory.
            mapper: used instead of the one in the folder.
            defaults: size and steps; by default those of the published model, for a profile those of the tiny one.
            frugal: whether rows of guidance and frames are computed one by one: the same clip, in less memory.

        Raises:
            CheckpointError: something is missing, damaged or of another shape.
        """
        folder = Path(folder)
        parts = load_video_parts(folder, NAME, AnimationUNet, device, dtype, mapper, frugal)
        root = home(folder, NAME)
        encoder = load_transformers(CLIPVisionModelWithProjection, root / "image_encoder", NAME, dtype)
        if encoder.config.projection_dim != parts.unet.config.cross_attention_dim:
            raise CheckpointError(
                f"{root / 'unet'} expects pictures of width {parts.unet.config.cross_attention_dim}, image_encoder "
                f"gives {encoder.config.projection_dim}: they are not of one model, {remedy(NAME)}"
            )
        parts = replace(parts, revision=f"{parts.revision}-{settled((encoder,), device)}")
        return cls(parts, encoder, defaults or (PUBLISHED if root == folder else TINY))

    @property
    def revision(self) -> str:
        """Which weights."""
        return self.parts.revision

    def move_to(self, device: str) -> None:
        """Move all weights: see `Movable`."""
        self.parts.move_to(device)
        move((self.image_encoder,), device)

    @torch.no_grad()
    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        """Make one clip, uint8 (T, 3, H, W), that begins with the request's picture.

        Raises:
            MissingInputError: there is no picture.
            Cancelled: `progress` asked to stop.
        """
        if request.image is None:
            raise MissingInputError("there is no picture to set in motion: give one, or draw it first")
        picture = fitted(request.image.cpu(), self.defaults.height, self.defaults.width)
        video = self.parts.decode(self.latents(request, picture, progress))
        return SpecialistResult(MediaKind.VIDEO, video=torch.cat([picture[None], video[1:]]))

    @torch.no_grad()
    def latents(
        self,
        request: SpecialistRequest,
        picture: Tensor,
        progress: Progress = ignore_progress,
        hold: bool = True,
    ) -> Tensor:
        """Return the latents (1, c, T, h, w) of a clip.

        Args:
            request: command, signals, seed, steps and guidance.
            picture: uint8 (3, height, width), of the clip's size.
            progress: told each step.
            hold: whether the first frame is held to the picture; the published sampler leaves it free.
        """
        parts, defaults, unet = self.parts, self.defaults, self.parts.unet
        steps, guidance = request.sampling(defaults.steps, defaults.guidance)
        first = picture_latents(parts.vae, picture)
        generator = torch.Generator().manual_seed(request.seed)
        noise = randn_tensor(parts.noise_shape(defaults), generator=generator, device=unet.device, dtype=unet.dtype)
        return sample_clip(
            self._told(request, picture, first, guidance != 1.0),
            with_scheduler(parts.schedule, defaults.scheduler),
            noise,
            steps,
            guidance,
            first if hold else None,
            progress,
        )

    def _told(self, request: SpecialistRequest, picture: Tensor, first: Tensor, guided: bool) -> Denoise:
        """Return the UNet with all that it is told: words, signals, the picture in three forms, frames per second.

        The unconditional row of guidance knows the picture's latents, but neither its embedding nor the words.
        """
        parts, defaults, unet = self.parts, self.defaults, self.parts.unet
        encoder, tokenizer, skipped = parts.text_encoder, parts.tokenizer, defaults.skipped_layers
        text = with_signals(encode_text(encoder, tokenizer, request.command, skipped), parts.mapper, request.signals)
        embedding = picture_embedding(self.image_encoder, picture)
        guide = guide_latents(first, defaults.frames)
        if guided:
            text = torch.cat([encode_text(encoder, tokenizer, defaults.negative, skipped), text])
            embedding = torch.cat([torch.zeros_like(embedding), embedding])
            guide = torch.cat([guide, guide])
        told = {
            "fps": torch.full((len(text),), defaults.fps, device=unet.device),
            "image_latents": guide,
            "image_embeddings": embedding,
            "encoder_hidden_states": text,
        }
        return lambda noisy, time: parts.predict(noisy, time, **told)
