"""The head that finds by shape does so, in pictures it was not fitted to."""

import random

import pytest
import torch
import torch.nn.functional as F

from vitron_agent.planner import VitronPlanner
from vitron_agent.profiles import TINY
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import SHAPES, sample_scene
from vitron_agent.training.planner_match import HEAD, put_matching_head


@pytest.fixture(scope="module")
def planner() -> VitronPlanner:
    assert TINY.folder is not None
    return VitronPlanner.from_pretrained(TINY.folder / "planner")


def test_a_shapes_word_attends_to_such_objects(planner: VitronPlanner) -> None:
    model, vocabulary = planner.model, planner.vocabulary
    layer = model.language_model.layers[0]
    others = layer.self_attn.q_proj.weight[: HEAD * 32].clone()
    put_matching_head(model, vocabulary)
    assert torch.equal(layer.self_attn.q_proj.weight[: HEAD * 32], others)
    rows = slice(HEAD * 32, (HEAD + 1) * 32)
    scenes = [sample_scene(random.Random(seed), 3) for seed in range(200)]
    found = total = 0
    with torch.inference_mode():
        words = model.merge(torch.tensor([[vocabulary.encode(f" {shape}")[0] for shape in SHAPES]]))
        tokens = model.encode_pictures(render(scenes).images).tokens
        queries = F.linear(layer.input_layernorm(words), layer.self_attn.q_proj.weight[rows])[0]
        keys = F.linear(layer.input_layernorm(tokens), layer.self_attn.k_proj.weight[rows])
        best = (queries @ keys.transpose(1, 2)).argmax(-1)  # (M, 6): without the rotary code
    for scene, cells in zip(scenes, best, strict=True):
        for column, shape in enumerate(SHAPES):
            here = {int(o.y * 4) * 4 + int(o.x * 4) for o in scene.objects if o.shape == shape}
            total += bool(here)
            found += int(cells[column]) in here
    assert found / total > 0.8
