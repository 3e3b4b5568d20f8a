"""I2VGen-XL, the specialist that sets pictures in motion (module G): latent diffusion of clips, told a first frame."""

from vitron_agent.specialists.i2vgen_xl.animator import I2VGenAnimator
from vitron_agent.specialists.i2vgen_xl.unet import AnimationUNet

__all__ = ["AnimationUNet", "I2VGenAnimator"]
