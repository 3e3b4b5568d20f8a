"""Repaints what a video shows so that its form stays: an object along its edges, a background along its depth.

This is StableVideo's way to edit a keyframe or an atlas (Chai et al. 2023, and its release): a ControlNet holds Stable
Diffusion to what was there, and a keyframe after the first goes on from what the others make of it. Videos and atlases
are not known here: pictures go in and come out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from vitron_agent.errors import InvocationError
from vitron_agent.invocation import parse_edit
from vitron_agent.media import MediaKind
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress
from vitron_agent.specialists.captions import encode_captions
from vitron_agent.specialists.controlnet.controls import depth_map, edge_map, scaled
from vitron_agent.specialists.controlnet.parts import ControlParts, load_control_parts
from vitron_agent.specialists.controlnet.sampling import sample_latents
from vitron_agent.specialists.pixels import as_bytes, unit_range

QUALITY = "best quality, extremely detailed"
AVOID = (
    "longbody, lowres, bad anatomy, bad hands, missing fingers, extra digit, fewer digits, cropped, worst quality, "
    "low quality"
)
"""What the release adds to every command, and what its guidance leads away from."""
MARGIN = 30 / 768  # kept around an object, as a share of the picture's longer side: 30 pixels of the release's frames
LONGEST = 2  # times the trained side, which bounds the memory that a panorama takes


@dataclass(frozen=True)
class ControlDefaults:
    """What a request that does not say gets; the numbers are those of StableVideo's release.

    Attributes:
        steps: denoising steps.
        guidance: classifier-free guidance scale; 1 is none.
        strength: the share of the steps that is done where a draft is given.
    """

    steps: int = 20
    guidance: float = 9.0
    strength: float = 0.9


class ControlEditor:
    """Picture, mask and command to a picture changed inside the mask. Safe to share between threads.

    A command that changes the background keeps the picture's depth, any other the edges of what the mask shows. A
    request's `draft` is where sampling begins, instead of noise.
    """

    name = "controlnet"

    def __init__(self, parts: ControlParts, defaults: ControlDefaults | None = None) -> None:
        """Edit with `parts`."""
        self.parts = parts
        self.defaults = defaults or ControlDefaults()

    @classmethod
    def from_pretrained(
        cls,
        folder: Path,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        defaults: ControlDefaults | None = None,
    ) -> Self:
        """Load a profile's weights.

        Args:
            folder: holds `controlnet/`, and in it what `load_control_parts` reads.
            device: where to compute.
            dtype: of the weights in memory.
            defaults: steps, guidance and strength.

        Raises:
            CheckpointError: something is missing, damaged or of another shape.
        """
        return cls(load_control_parts(Path(folder) / "controlnet", device, dtype), defaults)

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
            The picture, uint8 (3, H, W) of the input's size, equal to the input outside the mask; the mask; and in
            `looks` the control, what the ControlNet was shown.

        Raises:
            MissingInputError: no picture, or nothing says where to edit.
            InputError: the mask is of another size than the picture, or empty.
            Cancelled: `progress` asked to stop.
        """
        image, mask = request.picture_and_mask()
        words, scenery = wish_of(request.command)
        rows, columns = around(mask)
        inside = torch.ones_like(mask) if scenery else mask  # an object is shown alone, on black
        size = self.working_size(rows.stop - rows.start, columns.stop - columns.start)
        shown = as_bytes(scaled((image * inside)[:, rows, columns].float() / 255, size))
        control = depth_map(self.parts.estimator, shown) if scenery else edge_map(shown)
        begun = None if request.draft is None else (request.draft.cpu() * inside)[:, rows, columns].float() / 255
        draft = None if begun is None else scaled(begun, size)
        latents = self.latents(request, words, control, scenery, draft, progress)
        painted = scaled(self._decoded(latents), (rows.stop - rows.start, columns.stop - columns.start))
        result = image.clone()
        result[:, rows, columns] = torch.where(mask[rows, columns], as_bytes(painted), image[:, rows, columns])
        return SpecialistResult(MediaKind.IMAGE, image=result, mask=mask, looks={"control": as_bytes(control)})

    @torch.no_grad()
    def latents(
        self,
        request: SpecialistRequest,
        words: str,
        control: Tensor,
        scenery: bool,
        draft: Tensor | None = None,
        progress: Progress = ignore_progress,
    ) -> Tensor:
        """Return the latents (1, c, h, w) of an edit.

        Args:
            request: seed, steps and guidance.
            words: what shall be seen.
            control: float (3, H, W) in [0, 1], of a working size.
            scenery: whether the control is depth, not edges.
            draft: float (3, H, W) in [0, 1].
            progress: told each step.
        """
        parts, unet, defaults = self.parts, self.parts.unet, self.defaults
        steps, guidance = request.sampling(defaults.steps, defaults.guidance)
        texts = [words] if guidance == 1.0 else [AVOID, words]
        generator = torch.Generator().manual_seed(request.seed)
        begun = None if draft is None else self._encoded(draft, generator)
        height, width = (side // parts.factor for side in control.shape[1:])
        shape = (1, int(unet.config.in_channels), height, width)
        return sample_latents(
            unet,
            parts.depth if scenery else parts.canny,
            parts.schedule,
            randn_tensor(shape, generator=generator, device=unet.device, dtype=unet.dtype),
            control[None].to(unet.device, unet.dtype),
            encode_captions(parts.text_encoder, parts.tokenizer, texts),
            steps,
            guidance,
            begun,
            defaults.strength,
            progress,
        )

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that a picture is edited at: its short side the trained one, as in the release.

        The sides keep their ratio up to the UNet's multiple, and none is longer than `LONGEST` trained sides.
        """
        parts = self.parts
        scale = min(parts.side / min(height, width), LONGEST * parts.side / max(height, width))
        tall, wide = (max(round(side * scale / parts.multiple), 1) * parts.multiple for side in (height, width))
        return tall, wide

    def _encoded(self, picture: Tensor, generator: torch.Generator) -> Tensor:
        """Return the latents of a picture, float (3, H, W) in [0, 1]."""
        vae = self.parts.vae
        seen = vae.encode((2 * picture[None] - 1).to(vae.device, vae.dtype)).latent_dist
        latents: Tensor = seen.sample(generator) * vae.config.scaling_factor
        return latents

    def _decoded(self, latents: Tensor) -> Tensor:
        """Return the picture, float (3, H, W) in [0, 1] on the CPU, of latents (1, c, h, w)."""
        vae = self.parts.vae
        decoded: Tensor = vae.decode(latents / vae.config.scaling_factor).sample[0]
        return unit_range(decoded).cpu()


def wish_of(command: str) -> tuple[str, bool]:
    """Return what shall be seen, in words, and whether it is a background; what is not understood is all words."""
    try:
        edit = parse_edit(command)
    except InvocationError:
        return f"{command}, {QUALITY}", False
    return f"{edit.new or command}, {QUALITY}", edit.operation == "background"


def around(mask: Tensor) -> tuple[slice, slice]:
    """Return the rows and columns around a mask, bool (H, W), that is not empty, with a margin."""
    margin = round(MARGIN * max(mask.shape))
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    ranges = [
        slice(max(int(seen[0]) - margin, 0), min(int(seen[-1]) + 1 + margin, side))
        for seen, side in zip((rows, columns), mask.shape, strict=True)
    ]
    return ranges[0], ranges[1]
