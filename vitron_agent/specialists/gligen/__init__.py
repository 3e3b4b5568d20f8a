"""GLIGEN, the specialist that draws (module A) and edits (module C): latent diffusion with grounded phrases."""

from vitron_agent.specialists.gligen.editor import GligenEditor
from vitron_agent.specialists.gligen.generator import GligenGenerator, SamplingDefaults

__all__ = ["GligenEditor", "GligenGenerator", "SamplingDefaults"]
