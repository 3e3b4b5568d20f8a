"""What ZeroScope and I2VGen-XL share: latent diffusion of clips by a 3D UNet that is told a text."""

from vitron_agent.specialists.video_diffusion.parts import VideoDefaults, VideoParts

__all__ = ["VideoDefaults", "VideoParts"]
