"""Recipe `synergy`: stage 3 in miniature. The signals learn what specialists need of them, and to share what they can.

The planner's signal tokens (or with `--set planner_lr=...` its language model too) and the mappers learn through the
specialists' own losses on calls of several tasks; beside them a discriminator learns to tell the task from the shared
features `vs`, and its gradient comes back reversed (paper, section 4.3). Specialists stay frozen. A linear probe says
before and after how much of the task `vs` and `vp` give away. Needs planner and specialists trained.
"""

import json
import random
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.specialists.checkpoints import load_mapper
from vitron_agent.training.loop import (
    Ema,
    Run,
    TrainingConfig,
    config_from_arguments,
    half_precision,
    replace_folder_files,
    step_generator,
)
from vitron_agent.training.planner_files import averaged, export
from vitron_agent.training.signals import Aligned, AlignedGenerator, AlignedSegmenter, load_planner
from vitron_agent.training.synergy_data import ExampleEditor, sample_example
from vitron_agent.training.synergy_parts import reversal_strength
from vitron_agent.training.synergy_stage import Stage

DEFAULTS = {
    "batch": 24,  # conversations per step
    "lr": 1e-3,  # of the mappers, the discriminator and the signal tokens
    "planner_lr": 0.0,  # of the planner's language model; above 0 its words are learned beside, so as not to be lost
    "synergy": 0.3,  # greatest weight of the reversed gradient; 0 leaves synergy off (the discriminator learns anyway)
    "gate": 0.1,  # where a new or closed gate of a mapper begins (before tanh): closed, it passes nothing on for long
    "width": 64,  # of the discriminator
    "probe": 200,  # held-out conversations for the linear probes
}
"""The recipe's own settings (`--set NAME=NUMBER`)."""


class Trainer:
    """One run over a planner and frozen specialists."""

    def __init__(
        self,
        model: PlannerModel,
        vocabulary: Vocabulary,
        tasks: Mapping[str, Aligned],
        config: TrainingConfig,
    ) -> None:
        """Put everything together, and go on from the checkpoint where `config.resume` asks for it.

        Args:
            model: The trained planner, in evaluation mode.
            vocabulary: Its words.
            tasks: Mapper's file name -> frozen specialist.
            config: See `DEFAULTS` for its options.

        Raises:
            CheckpointError: The checkpoint is damaged or of another architecture.
        """
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        self.config, self.learns_words = config, config.option("planner_lr", DEFAULTS["planner_lr"]) > 0
        self.stage = Stage(model, vocabulary, tasks, int(self.option("width")), config.seed)
        learners: dict[str, nn.Module] = {"rows": self.stage.rows}
        for name, task in tasks.items():
            if not task.mapper.gate:
                nn.init.constant_(task.mapper.gate, self.option("gate"))
            learners[name] = task.mapper
        parts = [*learners.values(), self.stage.discriminator]
        optimiser = torch.optim.AdamW([p for m in parts for p in m.parameters()], self.option("lr"), weight_decay=0.01)
        if self.learns_words:
            learners["planner"] = model.language_model.requires_grad_(True)
            own = {"params": list(model.language_model.parameters()), "lr": self.option("planner_lr")}
            optimiser.add_param_group(own)
        self.emas = {name: Ema(learner, 0.99) for name, learner in learners.items()}
        self.run = Run(config, {**learners, "discriminator": self.stage.discriminator}, optimiser, self.emas)

    def option(self, name: str) -> float:
        """The recipe's own number."""
        return self.config.option(name, DEFAULTS[name])

    def step(self) -> None:
        """One batch, drawn from seed and step alone."""
        rng = random.Random(f"synergy/{self.config.seed}/{self.run.step}")
        examples = [sample_example(rng, self.stage.processor) for _ in range(int(self.option("batch")))]
        strength = reversal_strength(self.run.fraction, self.option("synergy"))
        noise = step_generator(self.config.seed, self.run.step)
        parts = self.stage.losses(examples, noise, strength, self.learns_words)
        named = {name: float(part.detach()) for name, part in parts.items()}
        gates = {f"gate_{name}": float(task.mapper.gate.detach().tanh()) for name, task in self.stage.tasks.items()}
        self.run.advance(torch.stack(list(parts.values())).sum(), len(examples), named | gates)

    def probe(self) -> dict[str, float]:
        """See `Stage.probe`."""
        return self.stage.probe(int(self.option("probe")), self.config.seed)

    def export(self) -> None:
        """Write averaged mappers and the planner with its averaged signal tokens to `config.out`."""

        def write(scratch: Path) -> None:
            for name, task in self.stage.tasks.items():
                save_file(half_precision(task.mapper.state_dict()), scratch / f"{name}.safetensors")

        with ExitStack() as stack:
            for ema in self.emas.values():
                stack.enter_context(ema.averaged())
            replace_folder_files(self.config.out / "mappers", write)
            planner = averaged(self.stage.model, Ema(self.stage.model))
            self.stage.rows.write_into(planner)
            export(planner, self.stage.vocabulary, self.config.out / "planner")

    def train(self) -> dict[str, dict[str, float]]:
        """Run to the end of the planned length; probes go to `config.run`/probe.json.

        Returns:
            The probes "before" and "after".

        Raises:
            CheckpointError: The loss became NaN or infinite.
            StorageError: A checkpoint or the weights could not be written.
        """
        path = self.config.run / "probe.json"
        begun = self.config.resume and path.is_file()
        found = json.loads(path.read_text()) if begun else {"before": self.probe()}
        path.write_text(json.dumps(found))
        while not self.run.done:
            self.step()
            self.run.log(25)
            if self.run.due() or self.run.done:
                self.run.save()
                self.run.written(self.config.out, self.export)
        found["after"] = self.probe()
        path.write_text(json.dumps(found))
        return found


def aligned(weights: Path, seed: int) -> tuple[PlannerModel, Vocabulary, dict[str, Aligned]]:
    """Load a profile's planner, and its specialists with the mappers that it has; `seed` begins others.

    Raises:
        CheckpointError: Weights are missing or damaged.
    """
    model, vocabulary = load_planner(weights / "planner")
    torch.manual_seed(seed)
    tasks: dict[str, Aligned] = {
        "gligen": AlignedGenerator(weights, model.d_llm),
        "gligen_inpaint": ExampleEditor(weights, model.d_llm),
        "seem": AlignedSegmenter(weights, model.d_llm),
    }
    for name, task in tasks.items():
        file = weights / "mappers" / f"{name}.safetensors"
        if file.is_file():
            task.mapper = load_mapper(file)
    return model, vocabulary, tasks


def train(config: TrainingConfig) -> None:
    """Run the recipe on the profile in `config.out`; its planner and mappers are replaced there.

    Raises:
        CheckpointError: Weights are missing, or a checkpoint is of another architecture; the loss is no number.
        StorageError: A checkpoint or the weights could not be written.
    """
    model, vocabulary, tasks = aligned(config.out, config.seed)
    trainer = Trainer(model, vocabulary, tasks, config)
    found = trainer.train()
    for when, probes in found.items():
        trainer.run.write(f"{when}: " + ", ".join(f"{name} {value:.3f}" for name, value in probes.items()))


if __name__ == "__main__":
    train(config_from_arguments("synergy", Path("vitron_agent/weights/tiny")))
