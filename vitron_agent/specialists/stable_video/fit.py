"""Fits a layered atlas to a clip: a start from tracks and splatted pixels, then Adam on everything at once.

The start alone reconstructs a rigidly moving object well; the fit sharpens textures, bends the maps a little, and finds
the share of the object in the pixels around its outline. Seconds on a CPU, where layered neural atlases take hours on a
GPU; what is kept of them is the representation that edits need.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vitron_agent.specialists.base import Progress, ignore_progress
from vitron_agent.specialists.stable_video.layers import GRID, Layer, LayeredAtlas, filled, splat
from vitron_agent.specialists.stable_video.motion import affine_tracks

MARGIN = 3.0  # anchor pixels around what any frame shows of a layer
BAND = 3  # pixels: only so near to a mask's outline is the share of the object free; elsewhere the mask is believed


@dataclass(frozen=True)
class FitSettings:
    """How long and how freely to fit an atlas, and an edit of several keyframes.

    Attributes:
        steps: Of Adam.
        density: Texels per pixel; more gives a higher PSNR and a coarser-looking atlas.
        texture_rate: Learning rate of textures (RGB in [0, 1]).
        map_rate: Of shifts, in pixels; turns and scales move as much at the picture's edge.
        smooth: Weight of unevenness of the residual grid, in squared pixels.
        outline: Weight of disagreement with the mask in the band.
        aggregation: Steps of the aggregation network, see aggregation.py; 0 takes the keyframes' mean.
    """

    steps: int = 400
    density: float = 1.5
    texture_rate: float = 0.02
    map_rate: float = 0.03
    smooth: float = 0.002
    outline: float = 0.0003
    aggregation: int = 0


def fit_atlas(
    frames: Tensor, masks: Tensor, settings: FitSettings | None = None, progress: Progress = ignore_progress
) -> LayeredAtlas:
    """Make the layered atlas of a clip.

    Args:
        frames: uint8 (T, 3, H, W) RGB.
        masks: bool (T, H, W), the object; a little rough is good enough.
        settings: See `FitSettings`.
        progress: Called after each step; may raise `Cancelled`.

    Raises:
        ValueError: The shapes do not fit, or no frame shows the object.
    """
    if frames.ndim != 4 or masks.shape != (len(frames), *frames.shape[2:]):
        raise ValueError(f"frames {tuple(frames.shape)} and masks {tuple(masks.shape)} do not belong together")
    if not masks.any():
        raise ValueError("no frame shows the object: an atlas of two layers needs its masks")
    settings = settings or FitSettings()
    start = _start(frames, masks, settings)
    return _optimised(start, frames.float() / 255, masks, settings, progress)


def anchor_frame(masks: Tensor) -> int:
    """The frame that shows the most of the object, the middle one among equals."""
    areas = masks.flatten(1).sum(1).float()
    from_middle = (torch.arange(len(masks)) - (len(masks) - 1) / 2).abs()
    return int((areas - from_middle * areas.max() / len(masks)).argmax())


def _start(frames: Tensor, masks: Tensor, settings: FitSettings) -> LayeredAtlas:
    """Tracks by flow, textures by splatting, alpha from the masks."""
    anchor = anchor_frame(masks)
    pixels = frames.float() / 255
    alpha = F.avg_pool2d(F.pad(masks[:, None].float(), (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
    alpha = torch.where(_band(masks), alpha, masks.float())
    layers = []
    for seen, share, partial in ((masks, alpha, True), (~masks, 1 - alpha, False)):
        affine = affine_tracks(frames, seen, anchor, partial)
        blank = Layer(torch.zeros(3, 1, 1), affine, torch.zeros(len(frames), 2, GRID, GRID), (0.0, 0.0), 1.0)
        layers.append(_painted(blank, pixels, seen, share, settings.density))
    return LayeredAtlas(layers[0], layers[1], alpha)


def _painted(layer: Layer, pixels: Tensor, seen: Tensor, share: Tensor, density: float) -> Layer:
    """The layer with a texture just large enough for what is seen of it, painted with the mean of what falls there."""
    reach = layer.places(*seen.shape[1:])[seen]
    low, high = reach.amin(0) - MARGIN, reach.amax(0) + MARGIN
    layer = replace(layer, origin=(float(low[0]), float(low[1])), density=density)
    size = (int(((high - low)[1] * density).ceil()), int(((high - low)[0] * density).ceil()))
    chosen = seen & (share > 0.5)
    places = layer.places(*seen.shape[1:])[chosen]
    texture, coverage = splat(pixels.permute(0, 2, 3, 1)[chosen], share[chosen], places, size)
    return layer.with_texture(filled(texture, (coverage > 0.05).float()))


def _band(masks: Tensor) -> Tensor:
    """Pixels within `BAND` of the masks' outlines, bool (T, H, W)."""
    side = 2 * BAND + 1
    mask = masks[:, None].float()
    near = F.max_pool2d(mask, side, 1, BAND) - (1 - F.max_pool2d(1 - mask, side, 1, BAND))
    return near[:, 0] > 0.5


def _optimised(
    start: LayeredAtlas, pixels: Tensor, masks: Tensor, settings: FitSettings, progress: Progress
) -> LayeredAtlas:
    """Adam on textures, maps and the band's alpha; the anchor's map may move too, since the texture moves with it."""
    band, inside = _band(masks), masks.float()
    logits = torch.logit(start.alpha.clamp(0.02, 0.98)).requires_grad_()
    textures = [layer.texture.clone().requires_grad_() for layer in (start.foreground, start.background)]
    turns = [layer.affine[:, :, :2].clone().requires_grad_() for layer in (start.foreground, start.background)]
    shifts = [layer.affine[:, :, 2].clone().requires_grad_() for layer in (start.foreground, start.background)]
    grids = [layer.residual.clone().requires_grad_() for layer in (start.foreground, start.background)]
    rate, side = settings.map_rate, max(pixels.shape[-2:])
    adam = torch.optim.Adam(
        [
            {"params": textures, "lr": settings.texture_rate},
            {"params": turns, "lr": rate / side},
            {"params": [*shifts, *grids], "lr": rate},
            {"params": [logits], "lr": 0.1},
        ]
    )
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, settings.steps)

    def now() -> LayeredAtlas:
        layers = [
            replace(layer, texture=texture, affine=torch.cat([turn, shift[..., None]], -1), residual=grid)
            for layer, texture, turn, shift, grid in zip(
                (start.foreground, start.background), textures, turns, shifts, grids, strict=True
            )
        ]
        return LayeredAtlas(layers[0], layers[1], torch.where(band, logits.sigmoid(), inside))

    for step in range(settings.steps):
        loss = _loss(now(), logits, pixels, band, inside, settings)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        decay.step()
        progress(step + 1, settings.steps)
    with torch.no_grad():
        return _detached(now())


def _loss(
    atlas: LayeredAtlas, logits: Tensor, pixels: Tensor, band: Tensor, inside: Tensor, settings: FitSettings
) -> Tensor:
    """Squared error of the pictures, unevenness of the grids, and disagreement with the masks."""
    size = pixels.shape[-2:]
    front, back = (layer.seen_at(layer.places(*size)) for layer in (atlas.foreground, atlas.background))
    error = (back.lerp(front, atlas.alpha[:, None]) - pixels).square().mean()
    for layer in (atlas.foreground, atlas.background):
        rough = sum((layer.residual.diff(dim=dim).square().mean() for dim in (2, 3)), layer.residual.new_zeros(()))
        error = error + settings.smooth * (rough + 0.1 * layer.residual.square().mean())
    agree = F.binary_cross_entropy_with_logits(logits[band], inside[band])
    return error + settings.outline * agree


def _detached(atlas: LayeredAtlas) -> LayeredAtlas:
    """The atlas without its history of gradients."""

    def plain(layer: Layer) -> Layer:
        texture, affine, residual = layer.texture.detach(), layer.affine.detach(), layer.residual.detach()
        return replace(layer, texture=texture.clone(), affine=affine.clone(), residual=residual.clone())

    return LayeredAtlas(plain(atlas.foreground), plain(atlas.background), atlas.alpha.detach().clone())
