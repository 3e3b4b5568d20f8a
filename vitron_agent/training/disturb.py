"""Clean renders made to look a little like what an autoencoder or a diffusion model draws.

The planner learns from renders and looks at generated pictures. Knows tensors only.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def disturb(images: Tensor, generator: torch.Generator) -> Tensor:
    """Make clean renders look a little like what an autoencoder or a diffusion model draws.

    Args:
        images: (B, 3, S, S) in [0, 1].
        generator: Source of randomness.

    Returns:
        (B, 3, S, S) in [0, 1]: per picture a random mix of blur, fine and coarse noise, gain and offset; a fifth
        untouched.
    """
    count, size = images.shape[0], images.shape[-1]

    def amount(scale: float) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=generator) * scale

    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    mixed = images.lerp(blurred, amount(1.0) * (amount(1.0) < 0.6))
    coarse = torch.randn(count, 3, size // 8, size // 8, generator=generator)
    mixed = mixed + F.interpolate(coarse, (size, size), mode="bilinear") * amount(0.03)
    mixed = mixed + torch.randn(images.shape, generator=generator) * amount(0.03)
    gain = 1 + (torch.rand(count, 3, 1, 1, generator=generator) - 0.5) * 0.06
    shift = (torch.rand(count, 3, 1, 1, generator=generator) - 0.5) * 0.04
    mixed = mixed * gain + shift
    return torch.where(amount(1.0) < 0.2, images, mixed).clamp(0, 1)
