"""Samples of the release teach the full-size architecture, here at a reduced width, on the CPU."""

import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaTokenizer

from vitron_agent.errors import InputError
from vitron_agent.media.images import encode_png
from vitron_agent.media.videos import encode_mp4
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import AssistantTurn, Processor, UserTurn
from vitron_agent.planner.published import llava_config
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.profiles import TINY
from vitron_agent.training.release_data import load_turns, read_release
from vitron_agent.training.release_loss import read_conversation


@pytest.fixture(scope="module")
def planner() -> tuple[PlannerModel, Processor]:
    """LLaVA-1.5's architecture (untied head, last layer but one, four patches) with narrow layers."""
    assert TINY.folder is not None
    vocabulary = Vocabulary(LlamaTokenizer.from_pretrained(TINY.folder / "planner"), 4, 4)
    config = llava_config(len(vocabulary.tokenizer))
    config.image_token_index = vocabulary.tags["<image>"]
    config.image_seq_length = 4
    vision, text = config.vision_config, config.text_config
    vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers, vision.num_attention_heads = 16, 32, 2, 2
    vision.image_size = 28
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 32, 64, 2
    text.num_attention_heads = text.num_key_value_heads = 2
    text.head_dim = 16
    config.vitron = {"video_frames": 2}
    torch.manual_seed(0)
    model = PlannerModel.new(config)
    return model, Processor(vocabulary, model.image_tokens, video_tokens=model.video_tokens)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(encode_png(torch.zeros(3, 30, 50, dtype=torch.uint8)))
    (tmp_path / "b.mp4").write_bytes(encode_mp4(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), 8.0))
    call = "Sure. <module>{}</module> <instruction>{}: the clock</instruction>"
    entries = [
        ({"image": "a.png", "bbox": [5, 5, 30, 20]}, "<image>\nCut out <objs>", call.format("B", "segmentation")),
        ({"video": "b.mp4"}, "<video>\nTrack the clock", call.format("E", "tracking")),
        ({}, "Draw the clock", call.format("A", "generation")),
    ]
    said = [
        {**media, "conversations": [{"from": "human", "value": ask}, {"from": "gpt", "value": answer}]}
        for media, ask, answer in entries
    ]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(said))
    return path


def test_a_handful_of_samples_is_learned(planner: tuple[PlannerModel, Processor], samples: Path) -> None:
    model, processor = planner
    talks = [load_turns(sample) for sample in read_release([samples], samples.parent)]
    optimiser = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        for talk in talks:  # gradients of several conversations, one optimiser step
            loss = read_conversation(model, processor, talk).words_loss(model) / len(talks)
            loss.backward()
            losses.append(float(loss.detach()) * len(talks))
        optimiser.step()
    assert sum(losses[-3:]) < 0.75 * sum(losses[:3])
    for name in (
        "regions.feature.0.weight",
        "llava.model.multi_modal_projector.linear_1.weight",
        "llava.lm_head.weight",
    ):
        gradient = dict(model.named_parameters())[name].grad
        assert gradient is not None, name
        assert float(gradient.abs().sum()) > 0, name


def test_a_conversation_that_is_too_long_is_refused(planner: tuple[PlannerModel, Processor]) -> None:
    model, processor = planner
    with pytest.raises(InputError, match=r"has \d+ tokens, at most"):
        read_conversation(model, processor, [UserTurn("word " * 5000), AssistantTurn("No.")])
