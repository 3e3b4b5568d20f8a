"""A small run of recipe `synergy`: a planner of width 32 and a specialist that wants to know a shade.

Run as a program (out, run, steps) it begins such a run, for a test to kill.
"""

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlamaTokenizer

from vitron_agent.invocation import Module
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.tiny import tiny_planner_config
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.profiles import TINY
from vitron_agent.signals import SignalMapper
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.signals_data import SignalledCall
from vitron_agent.training.synergy import Trainer

WIDTH = 32


class ShadeReader:
    """A specialist that must say the exact shade of the example; its loss is NaN after `spoiled` steps of learning."""

    module = Module.C

    def __init__(self, spoiled: int | None = None) -> None:
        self.mapper = SignalMapper(WIDTH, 3, 2, width=16, heads=2)
        self.calls, self.spoiled = 0, spoiled

    def usable(self, call: SignalledCall) -> bool:
        return "wanted" in call.facts

    def loss(self, calls: Sequence[SignalledCall], signals: Tensor, generator: torch.Generator) -> Tensor:
        self.calls += torch.is_grad_enabled()
        wanted = torch.tensor([call.facts["wanted"].rgb for call in calls])
        loss = (self.mapper(signals).mean(1) - wanted).square().mean()
        return loss * float("nan") if self.spoiled is not None and self.calls > self.spoiled else loss


def small_planner() -> tuple[PlannerModel, Vocabulary]:
    """Random weights of width 32 over the packaged tokenizer."""
    assert TINY.folder is not None
    vocabulary = Vocabulary(LlamaTokenizer.from_pretrained(TINY.folder / "planner"), 4, 4)
    config = tiny_planner_config(len(vocabulary.tokenizer), vocabulary.tags["<image>"], vocabulary.tags["<pad>"])
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = WIDTH, 64, 2
    text.num_attention_heads = text.num_key_value_heads = 2
    text.head_dim = WIDTH // 2
    vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers, vision.num_attention_heads = 32, 64, 1, 2
    torch.manual_seed(0)
    random.seed(0)
    return PlannerModel.new(config).eval(), vocabulary


def trainer(out: Path, run: Path, steps: int, spoiled: int | None = None, **more: object) -> Trainer:
    """A run that saves after every step."""
    options = {"batch": "6", "probe": "12", "width": "16", "lr": "0.01", **more.pop("options", {})}  # type: ignore[dict-item]
    config = TrainingConfig(out, run, steps=steps, export_minutes=0.0, options=options, **more)  # type: ignore[arg-type]
    torch.manual_seed(1)
    return Trainer(*small_planner(), {"shade": ShadeReader(spoiled)}, config)


if __name__ == "__main__":
    trainer(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])).train()
