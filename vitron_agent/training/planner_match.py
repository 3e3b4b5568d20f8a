"""One attention head that finds things by their shape, put into the planner's first layer before training.

Heads that match words with what picture tokens hold come late, if at all: by colour they came by themselves, by shape
they did not in some 60 million ids, and behind the first layer it is too late, because there a word's own direction is
a twentieth of what the other heads have added. So one head begins as such a match (after the mimetic initialisation of
Trockman and Kolter, 2023, which begins with queries that equal keys) and learns on from there. Knows the network and
the small world's words.
"""

import random

import torch
import torch.nn.functional as F
from torch import Tensor

from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.shapes.language import phrasebook, plural
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import SHAPES, Scene, sample_scene
from vitron_agent.training.planner_batch import cell_words

HEAD = 7
SHARPNESS = 7.5
"""Of queries and keys each: a match then weighs as much as some thousand other tokens."""
_SCENES, _CHUNK = 600, 100
_RIDGE = 3.0
_SLOW = 10
"""First pair of a head's numbers that the rotary code turns so slowly that a match survives hundreds of tokens."""


def put_matching_head(model: PlannerModel, vocabulary: Vocabulary, seed: int = 11) -> None:
    """Replace head `HEAD` of layer 0: a shape's word attends to the picture tokens that hold such an object.

    What it reads there, the directions in which such tokens differ most, it writes as it is.

    Args:
        model: The planner, changed in place.
        vocabulary: Its words.
        seed: Of the pictures that the tokens are taken from.
    """
    layer = model.language_model.layers[0]
    scale, attention, width = layer.input_layernorm.weight.float(), layer.self_attn, model.d_llm
    words = F.rms_norm(model.language_model.get_input_embeddings().weight.float(), (width,)) * scale
    rng = random.Random(seed)
    scenes = [sample_scene(rng) for _ in range(_SCENES)]
    with torch.no_grad():
        tokens = torch.cat([_tokens(model, scenes[i : i + _CHUNK]) for i in range(0, _SCENES, _CHUNK)])
        held = (F.rms_norm(tokens.float(), (width,)) * scale).flatten(0, 1)
        named, shown = _shape_words(vocabulary).to(words), _shapes_held(scenes, vocabulary).to(held)
        queries = _fit(words, named, 30.0)
        keys = _fit(torch.cat([held, words]), torch.cat([shown, torch.zeros_like(named)]), 4.0)
        objects = held[shown.sum(1) > 0] - held.mean(0)
        directions = torch.linalg.svd(objects, full_matrices=False)[2][: attention.head_dim]
        rows = slice(HEAD * attention.head_dim, (HEAD + 1) * attention.head_dim)
        for projection, match in ((attention.q_proj, queries), (attention.k_proj, keys)):
            projection.weight[rows] = 0
            begin = rows.start + _SLOW
            projection.weight[begin : begin + len(SHAPES)] = SHARPNESS * match.T.to(projection.weight)
        attention.v_proj.weight[rows] = directions.to(attention.v_proj.weight)
        attention.o_proj.weight[:, rows] = directions.T.to(attention.o_proj.weight)


def _tokens(model: PlannerModel, scenes: list[Scene]) -> Tensor:
    return model.encode_pictures(render(scenes).images).tokens


def _fit(inputs: Tensor, targets: Tensor, emphasis: float) -> Tensor:
    """Ridge regression (d, k) of targets (n, k) on inputs (n, d); rows with a target count `emphasis` times."""
    weights = torch.where(targets.sum(1, keepdim=True) > 0, emphasis, 1.0)
    square = (inputs * weights).T @ inputs + _RIDGE * torch.eye(inputs.shape[1], device=inputs.device)
    return torch.linalg.solve(square, (inputs * weights).T @ targets)


def _shape_words(vocabulary: Vocabulary) -> Tensor:
    """(V, 6) float: which shape a piece means, where one piece says it."""
    means = torch.zeros(len(vocabulary.pieces), len(SHAPES))
    for column, shape in enumerate(SHAPES):
        for word in (*(template.text for template in phrasebook()[f"word.{shape}"].templates), plural(shape)):
            ids = vocabulary.encode(f" {word}")
            if len(ids) == 1:
                means[ids[0], column] = 1
    return means


def _shapes_held(scenes: list[Scene], vocabulary: Vocabulary) -> Tensor:
    """(M * n, 6) float: the shapes of the objects whose centre a picture token holds."""
    cells = cell_words(scenes, vocabulary).flatten(0, 1)
    return torch.stack([(cells == vocabulary.encode(f" {shape}")[0]).any(1) for shape in SHAPES], 1).float()
