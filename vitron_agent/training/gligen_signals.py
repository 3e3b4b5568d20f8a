"""Recipe `gligen_signals`: the editor's mapper learns to say what the editor understands beside words.

The paper draws signal embeddings to the specialist's own encoding of what is meant (section 4.1). Here that is the
encoding that the recipe `gligen_examples` has taught the UNet: the mapper learns to make it of signals, and to add
nothing for edits by words. Needs that recipe and the planner; both stay as they are, so a new planner takes minutes.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vitron_agent.errors import CheckpointError
from vitron_agent.invocation import Module
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import Processor
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.signals import SignalMapper
from vitron_agent.training.gligen_examples import EXAMPLES, NAME, TEACHER, ExampleEncoder, differences
from vitron_agent.training.gligen_parts import CONTEXT, WIDTH, scene_generator
from vitron_agent.training.loop import (
    Ema,
    Run,
    TrainingConfig,
    config_from_arguments,
    half_precision,
    replace_folder_files,
    warm_cosine,
)
from vitron_agent.training.planner_batch import collate
from vitron_agent.training.signals import load_planner
from vitron_agent.training.signals_data import SignalledCall, planner_states, signal_runs, signalled_calls
from vitron_agent.training.synergy_data import sample_example

_TOGETHER = 16  # conversations that the planner reads together
_HELD_OUT = 0.1  # share of the calls that the mapper does not learn from


def example_calls(model: PlannerModel, vocabulary: Vocabulary, seed: int) -> Iterator[SignalledCall]:
    """Yield edits by example with the signals that the planner gives them, without end."""
    processor = Processor(vocabulary, model.image_tokens, folds_case=model.folds_case, video_tokens=model.video_tokens)
    rng = scene_generator("gligen signals", seed)
    while True:
        kinds = rng.choices(tuple(EXAMPLES), tuple(EXAMPLES.values()), k=_TOGETHER)
        examples = [sample_example(rng, processor, "train", kind) for kind in kinds]
        batch = collate([example.written for example in examples], processor, None)
        runs = signal_runs(batch.ids, planner_states(model, batch), vocabulary)
        for example, found in zip(examples, runs, strict=True):
            yield replace(example.call, signals=found[0].float())


class SignalledEdits:
    """Signals of edits, two thirds of them by example, and what the editor is to be told of each.

    Attributes:
        signals: float32 (N, n, d_llm).
        told: (N, 4), see `differences`.
    """

    def __init__(self, model: PlannerModel, vocabulary: Vocabulary, seed: int, count: int) -> None:
        """Take the signals of `count` edits; another seed draws others."""
        by_example = itertools.islice(example_calls(model, vocabulary, seed), count - count // 3)
        by_words = itertools.islice(signalled_calls(model, vocabulary, Module.C, seed), count // 3)
        calls = [*by_example, *by_words]
        self.signals = torch.stack([call.signals for call in calls])
        self.told = differences([call.facts for call in calls])

    def draw(self, rng: random.Random, count: int) -> tuple[Tensor, Tensor]:
        """Return signals and differences of `count` random edits."""
        picks = torch.tensor([rng.randrange(len(self.told)) for _ in range(count)])
        return self.signals[picks], self.told[picks]


def load_encoder(folder: Path) -> ExampleEncoder:
    """Load what the recipe `gligen_examples` has taught the editor of a profile's folder; it does not learn further.

    Raises:
        CheckpointError: There is none, or it is damaged.
    """
    file, encoder = folder / "mappers" / f"{TEACHER}.safetensors", ExampleEncoder()
    try:
        encoder.load_state_dict({name: tensor.float() for name, tensor in load_file(file).items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{file} cannot be used ({reason}): run the recipe gligen-examples first") from None
    return encoder.requires_grad_(False)


@torch.no_grad()
def read_back(mapper: SignalMapper, encoder: ExampleEncoder, signals: Tensor) -> Tensor:
    """Return the differences (B, 4) of which the encoder would say most nearly what the mapper says of signals."""
    said = mapper(signals).mean(1)
    return said @ torch.linalg.pinv(encoder.directions.weight).T


def train(config: TrainingConfig) -> None:
    """Fit the mapper and write ``mappers/gligen_inpaint.safetensors``.

    ``config.out`` is the profile's folder. Options: ``batch`` (256), ``lr`` (0.001), ``calls`` (9000) whose signals
    are learned from, ``held_out`` (600) others, on which the log tells what is missed.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    model, vocabulary = load_planner(config.out / "planner")
    encoder, mapper = load_encoder(config.out), SignalMapper(model.d_llm, WIDTH, CONTEXT)
    torch.nn.init.constant_(mapper.gate, 0.5)
    edits = SignalledEdits(model, vocabulary, config.seed, int(config.option("calls", 9000)))
    held_out = SignalledEdits(model, vocabulary, config.seed + 1, int(config.option("held_out", 600)))
    optimiser = torch.optim.AdamW(mapper.parameters(), config.option("lr", 1e-3), weight_decay=0.1)
    ema = Ema(mapper, 0.99)
    run, batch = Run(config, {"mapper": mapper}, optimiser, {"mapper": ema}), int(config.option("batch", 256))
    while not run.done:
        signals, told = edits.draw(random.Random(f"{NAME}/{config.seed}/{run.step}"), batch)
        loss = (mapper(signals) - encoder(told)).square().mean()
        run.advance(loss, batch, {"gate": float(mapper.gate.detach().tanh())}, factor=warm_cosine(run.fraction))
        if not run.step % 100:
            run.log(100, _missed(mapper, encoder, held_out))
        if run.due() or run.done:
            run.save()
            ema.swap()
            run.written(config.out, lambda: export(config.out, mapper))
            run.write(_missed(mapper, encoder, held_out))
            ema.swap()


def _missed(mapper: SignalMapper, encoder: ExampleEncoder, edits: SignalledEdits) -> str:
    """Tell how far the differences read back are from the true ones, and how far nothing at all would be."""
    found, parts = read_back(mapper, encoder, edits.signals), []
    for name, channels in {"shade": slice(0, 3), "size": slice(3, 4)}.items():
        told = edits.told[:, channels]
        asked = told.abs().sum(1) > 0
        missed = (found[:, channels] - told)[asked].abs().mean()
        parts.append(f"{name} {float(missed):.3f} of {float(told[asked].abs().mean()):.3f} missed")
    return ", ".join(parts)


def export(out: Path, mapper: SignalMapper) -> None:
    """Write the mapper in half precision; the file appears whole."""
    tensors = half_precision(mapper.state_dict())
    replace_folder_files(out / "mappers", lambda scratch: save_file(tensors, scratch / f"{NAME}.safetensors"))


if __name__ == "__main__":
    train(config_from_arguments("gligen_signals", Path("vitron_agent/weights/tiny")))
