"""Clips that several test modules look at."""

from vitron_agent.evaluation.cases import scene_object
from vitron_agent.shapes.clip import Clip, Motion
from vitron_agent.shapes.scene import Scene, recoloured

RED, BLUE = scene_object("circle", "red", 0.25, 0.3, 0.15), scene_object("star", "blue", 0.7, 0.72, 0.12)
CLIP = Clip(Scene("gray", (RED, BLUE)), (Motion("right", 0.3), None))
GREEN = Clip(Scene("gray", (recoloured(RED, "green"), BLUE)), CLIP.motions)
"""The same with a green circle."""
