"""The planner's eye: a CLIP vision tower whose patch grid is pooled to a few tokens per picture, or frame of a video.

The tower is transformers' `CLIPVisionModel`, so published CLIP weights fit. This file knows pictures and patch
features; it knows nothing about regions (regions.py), words or the language model.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def to_pixel_values(images: Tensor, size: int) -> Tensor:
    """Bring pictures to the tower's input size and scale.

    Pictures that are not square are stretched, not padded: normalised coordinates then mean the same to the tower, the
    region encoder and the text.

    Args:
        images: (B, 3, H, W) RGB, uint8 in [0, 255] or float in [0, 1].
        size: Side S of the tower's input in pixels.

    Returns:
        (B, 3, S, S) float32, standardised with CLIP's mean and deviation.
    """
    pixels = images if images.dtype == torch.uint8 else images.float()
    if pixels.shape[-2:] != (size, size):  # of bytes it is six times as fast: a photograph takes 20 ms
        pixels = F.interpolate(pixels, (size, size), mode="bilinear", align_corners=False, antialias=True)
    pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.clamp(0, 1)
    mean = pixels.new_tensor(CLIP_MEAN)[:, None, None]
    return (pixels - mean) / pixels.new_tensor(CLIP_STD)[:, None, None]


def patch_features(tower: nn.Module, pixel_values: Tensor, layer: int = -1) -> Tensor:
    """Features of every patch, without the class token (LLaVA's "default" selection).

    Args:
        tower: A `CLIPVisionModel`.
        pixel_values: (B, 3, S, S) as `to_pixel_values` gives them.
        layer: Which hidden state, counted like LLaVA's `vision_feature_layer` (-1 the last, -2 the one before).

    Returns:
        (B, P, D), row-major from the top left.
    """
    if layer == -1:
        return tower(pixel_values).last_hidden_state[:, 1:]
    return tower(pixel_values, output_hidden_states=True).hidden_states[layer][:, 1:]


def patch_embeddings(tower: nn.Module, pixel_values: Tensor) -> Tensor:
    """The tower's first features of every patch, linear in its pixels: before places are added and layers mix them.

    Args:
        tower: A `CLIPVisionModel`.
        pixel_values: (B, 3, S, S) as `to_pixel_values` gives them.

    Returns:
        (B, P, D), row-major from the top left.
    """
    embedded: Tensor = tower.get_submodule("embeddings.patch_embedding")(pixel_values)
    return embedded.flatten(2).transpose(1, 2)


def pool_patches(features: Tensor, factor: int) -> Tensor:
    """Average `factor` x `factor` neighbouring patches into one token.

    Args:
        features: (B, P, D) of a square grid, row-major.
        factor: Neighbours per axis; 1 leaves the features as they are.

    Returns:
        (B, P / factor**2, D), row-major.

    Raises:
        ValueError: If the grid is not square or `factor` does not divide its side.
    """
    if factor == 1:
        return features
    batch, count, width = features.shape
    side = round(count**0.5)
    if side * side != count or side % factor:
        raise ValueError(f"{count} patches are no square grid that {factor} divides; choose another pooling factor")
    grid = features.view(batch, side // factor, factor, side // factor, factor, width)
    return grid.mean(dim=(2, 4)).flatten(1, 2)


def sample_frames(video: Tensor, count: int) -> Tensor:
    """Take `count` frames (count, 3, H, W) of a video (T, 3, H, W), evenly spread, the first and the last among them.

    A video of fewer frames shows some of them again.
    """
    places = torch.linspace(0, len(video) - 1, count).round().long()
    return video[places]


class FeatureAdapter(nn.Module):
    """Brings picture and region tokens to the scale of words and tells picture tokens where (and when) they stand.

    LLaVA has no such step. Measured at toy size: without it the projector's tokens grow to 160 times the words' norm,
    so that no layer of the language model can change them, and a linear probe finds a token's place in 11 % of cases.
    """

    def __init__(self, count: int, width: int, frames: int = 0, numbers: int = 0) -> None:
        """Start with a modest scale, small random places, and numbers that say nothing yet.

        Args:
            count: Tokens per picture.
            width: Width of the language model.
            frames: Frames that are looked at in a video, 0 if none can be.
            numbers: How many of a conversation's pictures are told apart by their number; 0 tells none.
        """
        super().__init__()
        self.picture_gain = nn.Parameter(torch.full((width,), 0.3))
        self.picture_place = nn.Parameter(torch.randn(count, width) * 0.1)
        self.region_gain = nn.Parameter(torch.full((width,), 0.3))
        if frames:  # of the mean over time, then of each frame
            self.video_time = nn.Parameter(torch.randn(1 + frames, width) * 0.1)
        if numbers:
            self.number = nn.Parameter(torch.zeros(numbers, width))
        self.numbers = numbers

    def pictures(self, tokens: Tensor) -> Tensor:
        """Adapt projected picture tokens (B, count, width)."""
        return F.rms_norm(tokens, tokens.shape[-1:]) * self.picture_gain + self.picture_place

    def numbered(self, tokens: Tensor, number: int) -> Tensor:
        """Tell tokens (n, width) the number, from 1, of the picture or video that they are of.

        The words before a picture say it, too ("Picture 2:"). Measured at toy size: a question about an earlier picture
        then finds the number, and the objects of the latest picture. The last number stands for all above it.
        """
        return tokens + self.number[min(number, self.numbers) - 1] if self.numbers else tokens

    def regions(self, tokens: Tensor) -> Tensor:
        """Adapt region tokens (N, width)."""
        return F.rms_norm(tokens, tokens.shape[-1:]) * self.region_gain
