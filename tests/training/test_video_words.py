"""A text encoder learns from words alone what moves where: directions come out of it apart from each other."""

import random
from typing import Any

import pytest
import torch

from vitron_agent.shapes.clip import Clip, sample_clip
from vitron_agent.shapes.clip_captions import motion_name
from vitron_agent.shapes.scene import COLOURS, SHAPES
from vitron_agent.training.video_parts import build_text_encoder, build_tokenizer
from vitron_agent.training.video_words import MotionReader, learn_words, looks_of


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer()


def first_only(clip: Clip, rng: random.Random) -> str:
    """Say what every object does in so few words that a short training suffices."""
    pairs = zip(clip.scene.objects, clip.motions, strict=True)
    return ", ".join(f"{obj.colour} {motion_name(motion)}" for obj, motion in pairs)


def nothing(clip: Clip, rng: random.Random) -> str:
    return "it moves"


def test_motions_are_read_from_words_and_from_nothing_else(tokenizer: Any) -> None:
    torch.manual_seed(0)
    encoder = build_text_encoder(tokenizer).eval()
    ids = tokenizer(["red left", "red right"], return_tensors="pt").input_ids
    told = learn_words(encoder, tokenizer, first_only, seed=0, steps=40)
    silent = learn_words(build_text_encoder(tokenizer).eval(), tokenizer, nothing, seed=0, steps=10)
    assert silent < 0.6
    assert told > silent + 0.15
    hidden = encoder(ids).last_hidden_state[:, 2]
    apart = (hidden[0] - hidden[1]).norm() / hidden.norm(dim=-1).mean()
    assert apart > 0.5


def test_an_object_asks_by_its_looks() -> None:
    clip = sample_clip(random.Random(3))
    looks = [looks_of(obj) for obj in clip.scene.objects]
    assert all(len(set(numbers)) == 4 for numbers in looks)
    assert all(numbers[0] < len(COLOURS) <= numbers[1] < len(COLOURS) + len(SHAPES) for numbers in looks)
    reader = MotionReader(32)
    logits = reader(torch.randn(2, 5, 32), torch.tensor([looks, looks]))
    assert logits.shape == (2, len(looks), 7)
