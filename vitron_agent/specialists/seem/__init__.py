"""SEEM, the segmentation specialist (Zou et al. 2023), focal-L architecture, own implementation."""

from vitron_agent.specialists.seem.config import SeemConfig
from vitron_agent.specialists.seem.model import Seem
from vitron_agent.specialists.seem.specialist import SeemSegmenter
from vitron_agent.specialists.seem.tracking import SeemTracker

__all__ = ["Seem", "SeemConfig", "SeemSegmenter", "SeemTracker"]
