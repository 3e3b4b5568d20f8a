"""A planner with random weights and a small vocabulary: everything but knowledge."""

import pytest
import torch

from vitron_agent.planner import PlannerModel, VitronPlanner, Vocabulary
from vitron_agent.planner.tiny import tiny_planner_config
from vitron_agent.planner.tokenizer import train_tokenizer

TEXTS = [
    "USER: Picture 1: what is the red circle at the top left? ASSISTANT: It is a small red circle.",
    "please draw a large blue square on a gray background, don't forget the star",
    "generation: segmentation: edit: tracking: animation: video edit: replace the red circle with a blue circle",
    "red circle: (0.10, 0.30, 0.42, 0.62), small blue square: (0.60, 0.40, 1.00, 0.80)",
    "Result: the red circle at (0.20, 0.35, 0.41, 0.52), 3.5% of picture 1.",
] * 20


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """Words enough for the template."""
    return Vocabulary(train_tokenizer(TEXTS, 800), per_module=4, shared=4)


@pytest.fixture(scope="session")
def model(vocabulary: Vocabulary) -> PlannerModel:
    """The tiny architecture with random weights, spread wide enough that its choices differ."""
    torch.manual_seed(0)
    tags = vocabulary.tags
    fresh = PlannerModel.new(tiny_planner_config(len(vocabulary.tokenizer), tags["<image>"], tags["<pad>"]))
    with torch.no_grad():
        fresh.language_model.get_input_embeddings().weight.mul_(2)
    return fresh.eval()


@pytest.fixture(scope="session")
def planner(model: PlannerModel, vocabulary: Vocabulary) -> VitronPlanner:
    """Model and words together."""
    return VitronPlanner(model, vocabulary)
