"""Stable Diffusion 1.5 held to a picture's edges or depth by ControlNets (Zhang et al. 2023), as StableVideo edits."""

from vitron_agent.specialists.controlnet.editor import ControlDefaults, ControlEditor
from vitron_agent.specialists.controlnet.parts import ControlParts, load_control_parts

__all__ = ["ControlDefaults", "ControlEditor", "ControlParts", "load_control_parts"]
