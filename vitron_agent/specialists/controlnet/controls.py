"""What a ControlNet is shown of a picture: its edges, or its depth. Pictures in, maps out; no noise and no words."""

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DPTForDepthEstimation

LOW, HIGH = 100, 200
"""Canny's thresholds, of gradients in grey values; StableVideo's."""


def edge_map(picture: Tensor) -> Tensor:
    """Return Canny's edges of a picture, uint8 (3, H, W): float32 (3, H, W), 1 on an edge and 0 elsewhere."""
    edges = cv2.Canny(picture.permute(1, 2, 0).contiguous().numpy(), LOW, HIGH)
    return torch.from_numpy(edges).float().div(255).expand(3, -1, -1)


@torch.no_grad()
def depth_map(estimator: DPTForDepthEstimation, picture: Tensor) -> Tensor:
    """Return how near everything in a picture is: float32 (3, H, W) in [0, 1], 1 for the nearest, on the CPU.

    Args:
        estimator: MiDaS' hybrid DPT, whose output is the inverse depth; it takes squares of one size alone, to which
            the picture is stretched (as its published preprocessing does).
        picture: uint8 (3, H, W).
    """
    side, weight = int(estimator.config.image_size), next(estimator.parameters())
    square = scaled(picture.float() / 127.5 - 1, (side, side))[None].to(weight.device, weight.dtype)
    depth = estimator(square).predicted_depth.float().cpu()
    depth = depth - depth.min()
    depth = scaled(depth / depth.max().clamp_min(1e-6), (picture.shape[1], picture.shape[2]))
    return depth.clamp(0, 1).expand(3, -1, -1)


def scaled(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a picture, float (C, H, W), stretched to another height and width."""
    if picture.shape[1:] == size:
        return picture
    return F.interpolate(picture[None], size, mode="bilinear", antialias=True)[0]
