"""StableVideo (Chai et al. 2023): edits of a clip through a layered atlas, one for its object and one for the rest."""

from vitron_agent.specialists.stable_video.fit import FitSettings, fit_atlas
from vitron_agent.specialists.stable_video.layers import Layer, LayeredAtlas
from vitron_agent.specialists.stable_video.nla import load_nla
from vitron_agent.specialists.stable_video.propagation import edit_layer, keyframe_atlas
from vitron_agent.specialists.stable_video.specialist import StableVideo

__all__ = [
    "FitSettings",
    "Layer",
    "LayeredAtlas",
    "StableVideo",
    "edit_layer",
    "fit_atlas",
    "keyframe_atlas",
    "load_nla",
]
