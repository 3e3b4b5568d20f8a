"""I2VGen-XL's UNet for latents of any number of channels."""

import functools
from typing import Any

from diffusers import I2VGenXLUNet
from torch import nn


class AnimationUNet(I2VGenXLUNet):
    """diffusers' `I2VGenXLUNet`, which takes latents of four channels only: it hard-codes them in two layers.

    With four channels it is that class, names, shapes and results; published weights load.
    """

    @functools.wraps(I2VGenXLUNet.__init__)  # type: ignore[misc]  # configurations are read off this signature
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Build the UNet; arguments as `I2VGenXLUNet`'s."""
        super().__init__(*args, **kwargs)
        channels = int(self.config.in_channels)
        for layers in (self.image_latents_proj_in, self.image_latents_context_embedding):
            if layers[0].in_channels != channels:
                layers[0] = nn.Conv2d(channels, layers[0].out_channels, 3, padding=1)
