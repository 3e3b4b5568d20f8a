"""ZeroScope, the specialist that makes videos of words (module D): latent diffusion of clips."""

from vitron_agent.specialists.zeroscope.generator import ZeroscopeGenerator

__all__ = ["ZeroscopeGenerator"]
