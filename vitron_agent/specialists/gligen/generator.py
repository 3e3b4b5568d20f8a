"""Draws a picture from a command and a layout (module A)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import Box, MediaKind
from vitron_agent.signals import SignalEmbeddings, SignalMapper
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.specialists.captions import encode_captions, encode_phrases
from vitron_agent.specialists.gligen.conditioning import (
    MAX_PHRASES,
    TINY_PLANES,
    Condition,
)
from vitron_agent.specialists.gligen.parts import GligenParts, load_parts
from vitron_agent.specialists.gligen.sampling import sample_latents
from vitron_agent.specialists.pixels import as_bytes, unit_range
from vitron_agent.specialists.schedules import with_scheduler

_TINY_SLOTS = 3  # the tiny UNets, those with planes for places and layout, were trained with three phrase slots
_TINY_LEAST = 0.1  # half the side of the least box they draw well in: of smaller stars more than half came out as discs


@dataclass(frozen=True)
class SamplingDefaults:
    """What a request that does not say gets, and how it is sampled."""

    steps: int = 2  # denoising steps; with a layout little is left to chance, and more steps only add grain (measured)
    guidance: float = 1.0  # classifier-free guidance scale; 1 is none
    scheduler: str = ""  # diffusers' class; "" for the one that the weights' folder names
    grounded: float = 1.0  # the share of the steps that look at the boxes (GLIGEN's scheduled sampling)


class GligenGenerator:
    """GLIGEN: text and grounded phrases to a picture. Safe to share between threads: a request changes nothing here."""

    name = "gligen"

    def __init__(self, parts: GligenParts, defaults: SamplingDefaults | None = None) -> None:
        """Draw with `parts`, whose UNet is one of generation."""
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
            folder: holds `gligen/{vae,text_encoder,tokenizer,unet,scheduler}`, and perhaps
                `mappers/gligen.safetensors`.
            device: where to compute.
            dtype: of the weights in memory.
            mapper: used instead of the one in the folder.
            defaults: steps and guidance; by default those of the tiny model.

        Raises:
            CheckpointError: something is missing, damaged or of another shape.
        """
        common = Path(folder) / "gligen"
        signals = mapper or Path(folder) / "mappers" / "gligen.safetensors"
        return cls(load_parts(common, common / "unet", signals, "gligen", device, dtype), defaults)

    @property
    def revision(self) -> str:
        """Which weights."""
        return self.parts.revision

    def move_to(self, device: str) -> None:
        """Move all weights: see `Movable`."""
        self.parts.move_to(device)

    @torch.no_grad()
    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        """Draw one picture, uint8 (3, S, S).

        Raises:
            Cancelled: `progress` asked to stop.
        """
        unet = self.parts.unet
        side = int(unet.config.sample_size)
        generator = torch.Generator().manual_seed(request.seed)
        shape = (1, int(unet.config.out_channels), side, side)
        noise = randn_tensor(shape, generator=generator, device=unet.device, dtype=unet.dtype)
        steps, guidance = request.sampling(self.defaults.steps, self.defaults.guidance)
        condition = make_condition(self.parts, request.command, request.layout, request.signals)
        latents = sample_latents(
            unet,
            with_scheduler(self.parts.schedule, self.defaults.scheduler),
            noise,
            condition,
            steps,
            guidance,
            empty_condition(self.parts, condition) if guidance != 1.0 else None,
            grounded=self.defaults.grounded,
            progress=progress,
        )
        picture = decode_picture(self.parts, latents)
        boxes, labels = tuple(item.box for item in request.layout), tuple(item.phrase for item in request.layout)
        return SpecialistResult(MediaKind.IMAGE, image=picture, boxes=boxes, labels=labels)


def make_condition(
    parts: GligenParts, command: str, layout: tuple[GroundedPhrase, ...], signals: SignalEmbeddings | None
) -> Condition:
    """Return the condition of one request (batch 1); phrases beyond GLIGEN's thirty are left out.

    Signals are added to the caption's token states; behind a closed gate that adds exact zeros.
    """
    encoder, device = parts.text_encoder, parts.unet.device
    text = encode_captions(encoder, parts.tokenizer, [command])
    if signals is not None and parts.mapper is not None:
        mapped: Tensor = parts.mapper(signals.joined[None].to(device, next(parts.mapper.parameters()).dtype))
        text = text + mapped.to(text.dtype)
    items = layout[:MAX_PHRASES]
    # absent phrases are tokens too (a learned "nothing"), so their number must be the one of the training
    tiny = parts.unet.config.in_channels - parts.unet.config.out_channels >= TINY_PLANES
    slots = max(_TINY_SLOTS, len(items)) if tiny else MAX_PHRASES
    boxes = torch.zeros(1, slots, 4, device=device, dtype=text.dtype)
    phrases = torch.zeros(1, slots, text.shape[-1], device=device, dtype=text.dtype)
    masks = torch.zeros(1, slots, device=device, dtype=text.dtype)
    if items:
        least = _TINY_LEAST if tiny else 0.0
        boxes[0, : len(items)] = torch.tensor([widened(item.box, least) for item in items], dtype=text.dtype)
        phrases[0, : len(items)] = encode_phrases(encoder, parts.tokenizer, [item.phrase for item in items])
        masks[0, : len(items)] = 1
    return Condition(text, boxes, phrases, masks)


def widened(box: Box, least: float) -> Box:
    """Return the box about the same centre, inside the picture, with sides of at least twice `least`."""
    (x1, x2), (y1, y2) = (_widened(low, high, least) for low, high in (box[::2], box[1::2]))
    return x1, y1, x2, y2


def _widened(low: float, high: float, least: float) -> tuple[float, float]:
    if high - low >= 2 * least:
        return low, high
    centre = min(max((low + high) / 2, least), 1 - least)
    return centre - least, centre + least


def empty_condition(parts: GligenParts, like: Condition) -> Condition:
    """Return the unconditional half for guidance: no caption, and no phrase present."""
    text = encode_captions(parts.text_encoder, parts.tokenizer, [""])
    return Condition(text, like.boxes, like.phrases, torch.zeros_like(like.masks))


def decode_picture(parts: GligenParts, latents: Tensor) -> Tensor:
    """Return the picture, uint8 (3, S, S), of latents (1, c, h, w)."""
    decoded = parts.vae.decode(latents / parts.vae.config.scaling_factor).sample[0]
    return as_bytes(unit_range(decoded)).cpu()
