"""Checkers: read a picture of the small world back into a scene, without learning, and judge results by it."""

from vitron_agent.shapes.check.compare import (
    GenerationCheck,
    Wanted,
    WantedObject,
    check_edit,
    check_generation,
    matches,
    place_holds,
    relation_holds,
    same_objects,
)
from vitron_agent.shapes.check.motion import ClipCheck, check_clip, motion_between
from vitron_agent.shapes.check.read import ReadScene, read_scene

__all__ = [
    "ClipCheck",
    "GenerationCheck",
    "ReadScene",
    "Wanted",
    "WantedObject",
    "check_clip",
    "check_edit",
    "check_generation",
    "matches",
    "motion_between",
    "place_holds",
    "read_scene",
    "relation_holds",
    "same_objects",
]
