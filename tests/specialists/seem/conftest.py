"""A very small SEEM with random weights, in memory and as a folder."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vitron_agent.specialists.seem import Seem, SeemConfig, SeemSegmenter
from vitron_agent.training.bpe import clip_tokenizer

CLASSES = ("circle", "square", "background", "nothing")


@pytest.fixture(scope="session")
def tokenizer():
    return clip_tokenizer(["the red circle", "the blue square", "the red circle"], merges=40, context=20)


@pytest.fixture(scope="session")
def config(tokenizer) -> SeemConfig:
    return SeemConfig(
        embed_dim=8, depths=(1, 1, 1, 1), hidden_dim=32, heads=2, feedforward_dim=32, encoder_layers=1,
        decoder_layers=3, queries=6, memories=2, text_width=32, text_heads=2, text_layers=1, context_length=20,
        vocab_size=len(tokenizer), max_points=16, short_side=64, layerscale=0.5, classes=CLASSES,
        stuff=("background",),
    )  # fmt: skip


@pytest.fixture(scope="session")
def model(config) -> Seem:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return Seem(config).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def segmenter(model, tokenizer) -> SeemSegmenter:
    return SeemSegmenter(model, tokenizer, "random")


@pytest.fixture
def folder(tmp_path: Path, model, config, tokenizer) -> Path:
    config.save(tmp_path / "config.json")
    save_file({name: value.half() for name, value in model.state_dict().items()}, tmp_path / "model.safetensors")
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    return tmp_path


@pytest.fixture(scope="session")
def picture() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 48, 80), generator=generator, dtype=torch.uint8)
