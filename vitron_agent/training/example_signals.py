"""Recipe `example_signals`: mappers learn to say of signals what their specialists were taught to understand.

A specialist that was told beside words what they leave open (recipes `gligen_examples`, `i2vgen_xl`) has an
`ExampleEncoder`. Here a mapper learns to make of signals what that encoder makes of the truth, and to add nothing where
words say it all. No specialist is run and the planner stays as it is, so this takes minutes for a new planner.
"""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from vitron_agent.errors import CheckpointError
from vitron_agent.invocation import Module
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import Processor
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.signals import SignalMapper
from vitron_agent.training import gligen_examples, gligen_parts, video_parts
from vitron_agent.training.examples import FOLDER, ExampleEncoder, differences
from vitron_agent.training.gligen_parts import WIDTH, scene_generator
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
from vitron_agent.training.planner_like import OPEN, QUALITIES
from vitron_agent.training.signals import load_planner
from vitron_agent.training.signals_data import SignalledCall, planner_states, signal_runs, signalled_calls
from vitron_agent.training.synergy_data import sample_example

_TOGETHER = 16  # conversations that the planner reads together


@dataclass(frozen=True)
class Taught:
    """A specialist that has an `ExampleEncoder`.

    Attributes:
        module: What calls it.
        kinds: Requests by example that it is called for, with their shares.
        context: How many tokens its words take.
        recipe: What teaches it.
        gain: How much louder than it was taught its mapper speaks: what a specialist answers too weakly.
    """

    module: Module
    kinds: Mapping[str, float]
    context: int
    recipe: str
    gain: float = 1.0


TAUGHT = {
    "gligen_inpaint": Taught(Module.C, gligen_examples.EXAMPLES, gligen_parts.CONTEXT, "gligen-examples", gain=1.25),
    "i2vgen_xl": Taught(Module.G, {"speed": 0.5, "reach": 0.5}, video_parts.CONTEXT, "i2vgen_xl"),
}
"""Name of specialist and mapper -> how it was taught."""


def example_calls(model: PlannerModel, vocabulary: Vocabulary, taught: Taught, seed: int) -> Iterator[SignalledCall]:
    """Yield calls by example with the signals that the planner gives them, without end."""
    processor = Processor(vocabulary, model.image_tokens, folds_case=model.folds_case, video_tokens=model.video_tokens)
    rng = scene_generator("example signals", seed)
    while True:
        kinds = rng.choices(tuple(taught.kinds), tuple(taught.kinds.values()), k=_TOGETHER)
        examples = [sample_example(rng, processor, "train", kind) for kind in kinds]
        batch = collate([example.written for example in examples], processor, None)
        runs = signal_runs(batch.ids, planner_states(model, batch), vocabulary)
        for example, found in zip(examples, runs, strict=True):
            yield replace(example.call, signals=found[0].float())


class TaughtCalls:
    """Signals of calls of one specialist, two thirds of them by example, and what it is to be told of each.

    Attributes:
        signals: float32 (N, n, d_llm).
        told: (N, 5), see `differences`.
    """

    def __init__(self, model: PlannerModel, vocabulary: Vocabulary, taught: Taught, seed: int, count: int) -> None:
        """Take the signals of `count` calls; another seed draws others."""
        by_example = itertools.islice(example_calls(model, vocabulary, taught, seed), count - count // 3)
        by_words = itertools.islice(signalled_calls(model, vocabulary, taught.module, seed), count // 3)
        calls = [*by_example, *by_words]
        self.signals = torch.stack([call.signals for call in calls])
        self.told = differences([call.facts for call in calls])

    def draw(self, rng: random.Random, count: int) -> tuple[Tensor, Tensor]:
        """Return signals and differences of `count` random calls."""
        picks = torch.tensor([rng.randrange(len(self.told)) for _ in range(count)])
        return self.signals[picks], self.told[picks]


def fit_mapper(name: str, config: TrainingConfig) -> dict[str, tuple[float, float]]:
    """Fit one mapper and write `mappers/<name>.safetensors`.

    Args:
        name: One of `TAUGHT`.
        config: As `train`'s.

    Returns:
        For every quality that was asked for, how far what the mapper says of other calls is off on average, and how
        far saying nothing would be; in the units of `planner_like.QUALITIES`.

    Raises:
        CheckpointError: Planner or encoder are missing or damaged.
    """
    torch.manual_seed(config.seed)
    taught = TAUGHT[name]
    model, vocabulary = load_planner(config.out / "planner")
    encoder = ExampleEncoder.from_pretrained(config.out / name / FOLDER, taught.recipe)
    mapper = SignalMapper(model.d_llm, WIDTH, taught.context)
    torch.nn.init.constant_(mapper.gate, 0.5)
    calls = TaughtCalls(model, vocabulary, taught, config.seed, int(config.option("calls", 9000)))
    held_out = TaughtCalls(model, vocabulary, taught, config.seed + 1, int(config.option("held_out", 600)))
    optimiser = torch.optim.AdamW(mapper.parameters(), config.option("lr", 1e-3), weight_decay=0.1)
    ema = Ema(mapper, 0.99)
    run, batch = Run(config, {"mapper": mapper}, optimiser, {"mapper": ema}), int(config.option("batch", 256))
    while not run.done:
        signals, told = calls.draw(random.Random(f"{name}/{config.seed}/{run.step}"), batch)
        loss = (mapper(signals) - taught.gain * encoder(told)).square().mean()
        run.advance(loss, batch, {"gate": float(mapper.gate.detach().tanh())}, factor=warm_cosine(run.fraction))
        run.log(100)
        if run.due():
            run.save()
    run.save()
    with ema.averaged():
        run.written(config.out, lambda: export(config.out, mapper, name))
        found = missed(mapper, encoder, held_out, taught.gain)
    run.write(f"{name}: " + ", ".join(f"{key} {a:.3f} of {b:.3f} missed" for key, (a, b) in found.items()))
    return found


@torch.no_grad()
def missed(
    mapper: SignalMapper, encoder: ExampleEncoder, calls: TaughtCalls, gain: float
) -> dict[str, tuple[float, float]]:
    """Return how far what a mapper says with a gain is off, and how far nothing would be: see `fit_mapper`."""
    found, off = encoder.read(mapper(calls.signals)) / gain, {}
    for place, quality in enumerate(QUALITIES):
        asked = calls.told[:, place] != 0
        if asked.any():
            told = calls.told[asked, place] * OPEN[place]
            miss = found[asked, place] * OPEN[place] - told
            off[quality] = float(miss.abs().mean()), float(told.abs().mean())
    return off


def export(out: Path, mapper: SignalMapper, name: str) -> None:
    """Write a mapper in half precision; the file appears whole."""
    tensors = half_precision(mapper.state_dict())
    replace_folder_files(out / "mappers", lambda scratch: save_file(tensors, scratch / f"{name}.safetensors"))


def train(config: TrainingConfig) -> None:
    """Fit the mapper of every specialist that was taught, one after the other, each for its share of the planned time.

    `config.out` is the profile's folder. Options: `batch` (256), `lr` (0.001), `calls` (9000) whose signals
    are learned from, `held_out` (600) others, on which the log tells what is missed.

    Raises:
        CheckpointError: No specialist was taught, or what it was taught or the planner is damaged.
    """
    torch.set_num_threads(config.threads)
    names = [name for name in TAUGHT if (config.out / name / FOLDER).is_dir()]
    if not names:
        recipes = " or ".join(taught.recipe for taught in TAUGHT.values())
        raise CheckpointError(f"no specialist in {config.out} was taught by example: run the recipe {recipes} first")
    for name in names:
        share = replace(config, run=config.run / name, minutes=config.minutes / len(names))
        fit_mapper(name, share)


if __name__ == "__main__":
    train(config_from_arguments("example_signals", Path("vitron_agent/weights/tiny")))
