"""Repaints a part of a picture (module C) and leaves every other pixel exactly as it was."""

from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from vitron_agent.errors import InvocationError
from vitron_agent.invocation import EditCommand, parse_edit
from vitron_agent.media import MediaKind
from vitron_agent.signals import SignalMapper
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.specialists.gligen.generator import (
    SamplingDefaults,
    decode_picture,
    empty_condition,
    make_condition,
)
from vitron_agent.specialists.gligen.parts import GligenParts, load_parts
from vitron_agent.specialists.gligen.sampling import putting_back, sample_latents
from vitron_agent.specialists.pixels import as_bytes
from vitron_agent.specialists.schedules import with_scheduler


class GligenEditor:
    """GLIGEN inpainting: picture, mask, command and perhaps a new object's box to a picture changed inside the mask.

    The UNet sees the kept latents and the mask beside the noisy latents (9 channels in the published model). What it
    makes is pasted into the picture at the picture's own size. Safe to share between threads.
    """

    name = "gligen_inpaint"

    def __init__(self, parts: GligenParts, defaults: SamplingDefaults | None = None) -> None:
        """Edit with `parts`, whose UNet is one of inpainting."""
        self.parts = parts
        self.defaults = defaults or SamplingDefaults()

    @classmethod
    def from_pretrained(
        cls,
        folder: Path,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        mapper: SignalMapper | None = None,
        defaults: SamplingDefaults | None = None,
    ) -> Self:
        """Load a profile's weights.

        Args:
            folder: holds `gligen_inpaint/unet`, and `{vae,text_encoder,tokenizer,scheduler}` beside it or in `gligen/`;
                and perhaps `mappers/gligen_inpaint.safetensors`.
            device: where to compute.
            dtype: of the weights in memory.
            mapper: used instead of the one in the folder.
            defaults: steps and guidance; by default those of the tiny model.

        Raises:
            CheckpointError: something is missing, damaged or of another shape.
        """
        root = Path(folder)
        signals = mapper or root / "mappers" / "gligen_inpaint.safetensors"
        own = root / "gligen_inpaint"
        common = own if (own / "text_encoder").is_dir() else root / "gligen"
        return cls(load_parts(common, own / "unet", signals, "gligen-inpaint", device, dtype, edits=True), defaults)

    @property
    def revision(self) -> str:
        """Which weights."""
        return self.parts.revision

    def move_to(self, device: str) -> None:
        """Move all weights: see `Movable`."""
        self.parts.move_to(device)

    @torch.no_grad()
    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        """Edit one picture.

        Returns:
            The picture, uint8 (3, H, W) of the input's size, equal to the input outside the mask; and the mask.

        Raises:
            MissingInputError: no picture, or nothing says where to edit.
            InputError: the mask is of another size than the picture, or empty.
            Cancelled: `progress` asked to stop.
        """
        image, mask = request.picture_and_mask()
        size = self.parts.picture_size
        hole = F.interpolate(mask[None, None].float(), size=(size, size), mode="area")[0] > 0
        latents = self.latents(request, resized(image, size), hole, progress)
        painted = decode_picture(self.parts, latents).float() / 255
        height, width = image.shape[1:]
        if (height, width) != (size, size):
            painted = F.interpolate(painted[None], size=(height, width), mode="bicubic", antialias=True)[0]
        result = torch.where(mask, as_bytes(painted), image)
        boxes, labels = tuple(item.box for item in request.layout), tuple(item.phrase for item in request.layout)
        return SpecialistResult(MediaKind.IMAGE, image=result, mask=mask, boxes=boxes, labels=labels)

    @torch.no_grad()
    def latents(
        self, request: SpecialistRequest, picture: Tensor, hole: Tensor, progress: Progress = ignore_progress
    ) -> Tensor:
        """Return the latents (1, c, h, w) of an edit.

        Args:
            request: command, layout, signals, seed, steps and guidance.
            picture: float (3, S, S) in [0, 1], of the size that the UNet was trained on.
            hole: bool (1, S, S), True where pixels may change.
            progress: told each step.
        """
        parts, unet, defaults = self.parts, self.parts.unet, self.defaults
        generator = torch.Generator().manual_seed(request.seed)
        known = parts.vae.encode(picture[None].to(unet.device, unet.dtype) * 2 - 1).latent_dist.mode()
        known = known * parts.vae.config.scaling_factor
        extra = masked_latents(known, hole[None].to(unet.device))
        noise = randn_tensor(known.shape, generator=generator, device=unet.device, dtype=unet.dtype)
        steps, guidance = request.sampling(defaults.steps, defaults.guidance)
        condition = make_condition(parts, canonical(request.command), request.layout, request.signals)
        schedule = with_scheduler(parts.schedule, defaults.scheduler)
        # GLIGEN's sampler puts back what is kept; the tiny UNet, which has more inputs, is sampled as it was trained
        is_published = unet.config.in_channels == noise.shape[1] + extra.shape[1]
        return sample_latents(
            unet,
            schedule,
            noise,
            condition,
            steps,
            guidance,
            empty_condition(parts, condition) if guidance != 1.0 else None,
            extra=extra,
            before_step=putting_back(known, extra[:, -1:], schedule, generator) if is_published else None,
            grounded=defaults.grounded,
            progress=progress,
        )


def resized(image: Tensor, size: int) -> Tensor:
    """Return a picture, uint8 (3, H, W), as float (3, size, size) in [0, 1]; stretched, so boxes stay right."""
    picture = image.float() / 255
    if picture.shape[1:] == (size, size):
        return picture
    return F.interpolate(picture[None], size=(size, size), mode="bilinear", antialias=True)[0]


def masked_latents(latents: Tensor, hole: Tensor) -> Tensor:
    """Return what the inpainting UNet sees beside the noise: kept latents and the keep mask.

    Args:
        latents: (B, c, h, w) of the whole picture.
        hole: bool (B, 1, S, S), True where pixels may change; a cell is kept only if none of its pixels may.

    Returns:
        (B, c + 1, h, w): latents times mask, then the mask: 1 kept, 0 to be painted (GLIGEN's convention).
    """
    keep = 1 - F.adaptive_max_pool2d(hole.float(), latents.shape[-2:])
    keep = keep.to(latents.dtype)
    return torch.cat([latents * keep, keep], 1)


def canonical(command: str) -> str:
    """Return an edit command in the form the editor was trained on; what is not understood stays as it is."""
    try:
        edit = parse_edit(command)
    except InvocationError:
        return command
    return edit_words(edit)


def edit_words(edit: EditCommand) -> str:
    """Return the canonical words of an edit."""
    article = "an" if (edit.new or "")[:1] in "aeiou" else "a"
    if edit.operation == "background":
        return f"change the background to {edit.new}"
    if edit.operation == "remove":
        return f"remove the {edit.target}"
    if edit.operation == "add":
        return f"add {article} {edit.new}"
    return f"replace the {edit.target} with {article} {edit.new}"
