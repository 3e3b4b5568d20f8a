"""Recipe `synergy`: stage 3 in miniature. The signals learn what specialists need of them, and to share what they can.

The planner's signal tokens (or with `--set planner_lr=...` its language model too) and the mappers learn through the
specialists' own losses on calls of several tasks; beside them a discriminator learns to tell the task from the shared
features `vs`, and its gradient comes back reversed (paper, section 4.3). Specialists stay frozen. A linear probe says
before and after how much of the task `vs` and `vp` give away. Needs planner and specialists trained.
"""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import Processor
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.training.guard import GuardedRun
from vitron_agent.training.loop import (
    Ema,
    TrainingConfig,
    config_from_arguments,
    half_precision,
    replace_folder_files,
    step_generator,
)
from vitron_agent.training.planner_batch import Batch, collate, embed
from vitron_agent.training.planner_files import averaged, export
from vitron_agent.training.signals import Aligned, AlignedGenerator, AlignedSegmenter, load_planner
from vitron_agent.training.signals_data import signal_runs
from vitron_agent.training.synergy_data import MODULES, Example, ExampleEditor, sample_example
from vitron_agent.training.synergy_parts import (
    Discriminator,
    SignalRows,
    linear_probe,
    reversal_strength,
    reverse_gradient,
)

DEFAULTS = {
    "batch": 24,  # conversations per step
    "lr": 1e-3,  # of the mappers, the discriminator and the signal tokens
    "planner_lr": 0.0,  # of the planner's language model; above 0 its words are learned beside, so as not to be lost
    "synergy": 0.3,  # greatest weight of the reversed gradient; 0 leaves synergy off (the discriminator learns anyway)
    "gate": 0.1,  # where a new mapper's gate begins (before tanh): a closed one would pass nothing on for long
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
        """Puts everything together, and goes on from the checkpoint where `config.resume` asks for it.

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
        self.config, self.model, self.vocabulary, self.tasks = config, model.requires_grad_(False), vocabulary, tasks
        self.processor = Processor(
            vocabulary, model.image_tokens, folds_case=model.folds_case, video_tokens=model.video_tokens
        )
        self.rows = SignalRows(model, vocabulary)
        self.discriminator = Discriminator(model.d_llm, len(MODULES), int(self.option("width")))
        learners: dict[str, nn.Module] = {"rows": self.rows, **{name: task.mapper for name, task in tasks.items()}}
        for task in tasks.values():
            nn.init.constant_(task.mapper.gate, self.option("gate"))
        groups = [{"params": [p for m in (*learners.values(), self.discriminator) for p in m.parameters()]}]
        groups[0]["lr"] = self.option("lr")  # type: ignore[assignment]
        if self.option("planner_lr") > 0:
            learners["planner"] = model.language_model.requires_grad_(True)
            parameters = list(model.language_model.parameters())
            groups.append({"params": parameters, "lr": self.option("planner_lr")})  # type: ignore[dict-item]
        self.emas = {name: Ema(learner, 0.99) for name, learner in learners.items()}
        optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
        self.run = GuardedRun(config, {**learners, "discriminator": self.discriminator}, optimiser, self.emas)

    def option(self, name: str) -> float:
        """The recipe's own number."""
        return self.config.option(name, DEFAULTS[name])

    def signals(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The first run of every conversation, (B, n, d_llm), and all last-layer states (B, T, d_llm)."""
        states = self.model.hidden(self.rows.put(batch.ids, embed(self.model, batch)))
        runs = signal_runs(batch.ids, states, self.vocabulary)
        return torch.stack([found[0] for found in runs]), states

    def loss(self, examples: Sequence[Example], generator: torch.Generator, strength: float) -> tuple[Tensor, ...]:
        """The whole loss of a batch, then its parts: one per specialist, the discriminator's, and the words'.

        Args:
            examples: Conversations with their calls' truth.
            generator: Of the specialists' noise.
            strength: Of the reversed gradient.
        """
        batch = collate([example.written for example in examples], self.processor, None)
        signals, states = self.signals(batch)
        parts = []
        for task in self.tasks.values():
            own = [i for i, e in enumerate(examples) if e.call.invocation.module is task.module and task.usable(e.call)]
            calls = [examples[i].call for i in own]
            parts.append(task.loss(calls, signals[own], generator) if own else signals.new_zeros(()))
        logits = self.discriminator(reverse_gradient(self.shared(signals), strength))
        labels = torch.tensor([MODULES.index(example.call.invocation.module) for example in examples])
        parts.append(F.cross_entropy(logits, labels))
        places = batch.weights[:, 1:] > 0
        if self.option("planner_lr") > 0:
            words = self.model.logits(states[:, :-1][places]).float()
            parts.append(F.cross_entropy(words, batch.ids[:, 1:][places]))
        return torch.stack(parts).sum(), *parts

    def shared(self, signals: Tensor) -> Tensor:
        """`vs` of v = [vp; vs], (B, n_shared, d_llm)."""
        return signals[:, self.vocabulary.per_module :]

    def step(self) -> None:
        """One batch, drawn from seed and step alone."""
        rng = random.Random(f"synergy/{self.config.seed}/{self.run.step}")
        examples = [sample_example(rng, self.processor) for _ in range(int(self.option("batch")))]
        strength = reversal_strength(self.run.fraction, self.option("synergy"))
        loss, *parts = self.loss(examples, step_generator(self.config.seed, self.run.step), strength)
        names = (*self.tasks, "discriminator", "words")
        named = {name: float(part.detach()) for name, part in zip(names, parts, strict=False)}
        gates = {f"gate_{name}": float(task.mapper.gate.detach().tanh()) for name, task in self.tasks.items()}
        self.run.advance(loss, len(examples), named | gates)

    @torch.no_grad()
    def probes(self) -> dict[str, float]:
        """On held-out conversations: accuracies of linear probes on `vs` and `vp`, and of the discriminator."""
        rng, count = random.Random(f"synergy probe/{self.config.seed}"), int(self.option("probe"))
        features: list[Tensor] = []
        labels: list[int] = []
        while len(labels) < count:
            examples = [sample_example(rng, self.processor, "heldout") for _ in range(min(20, count - len(labels)))]
            labels += [MODULES.index(example.call.invocation.module) for example in examples]
            features.append(self.signals(collate([e.written for e in examples], self.processor, None))[0])
        found, split = torch.cat(features).float(), self.vocabulary.per_module
        told = self.discriminator(self.shared(found)).argmax(1) == torch.tensor(labels)
        most = max(labels.count(label) for label in set(labels)) / count
        return {
            "vs": linear_probe(found[:, split:].flatten(1), labels),
            "vp": linear_probe(found[:, :split].flatten(1), labels),
            "discriminator": float(told.float().mean()),
            "chance": most,
        }

    def export(self) -> None:
        """Writes averaged mappers and the planner with its averaged signal tokens to `config.out`."""

        def write(scratch: Path) -> None:
            for name, task in self.tasks.items():
                save_file(half_precision(task.mapper.state_dict()), scratch / f"{name}.safetensors")

        for ema in self.emas.values():
            ema.swap()
        replace_folder_files(self.config.out / "mappers", write)
        planner = averaged(self.model, Ema(self.model))
        self.rows.write_into(planner)
        export(planner, self.vocabulary, self.config.out / "planner")
        for ema in self.emas.values():
            ema.swap()

    def train(self) -> dict[str, dict[str, float]]:
        """Runs to the end of the planned length; probes go to `config.run`/probe.json.

        Returns:
            The probes "before" and "after".

        Raises:
            CheckpointError: The loss became NaN or infinite.
            StorageError: A checkpoint or the weights could not be written.
        """
        path = self.config.run / "probe.json"
        begun = self.config.resume and path.is_file()
        found = json.loads(path.read_text()) if begun else {"before": self.probes()}
        path.write_text(json.dumps(found))
        while not self.run.done:
            self.step()
            self.run.log(25)
            if self.run.due() or self.run.done:
                self.run.save()
                self.run.written(self.config.out, self.export)
        found["after"] = self.probes()
        path.write_text(json.dumps(found))
        return found


def train(config: TrainingConfig) -> None:
    """Runs the recipe on the profile in `config.out`; its planner and mappers are replaced there.

    Raises:
        CheckpointError: Weights are missing, or a checkpoint is of another architecture; the loss is no number.
        StorageError: A checkpoint or the weights could not be written.
    """
    model, vocabulary = load_planner(config.out / "planner")
    torch.manual_seed(config.seed)
    tasks: dict[str, Aligned] = {
        "gligen": AlignedGenerator(config.out, model.d_llm),
        "gligen_inpaint": ExampleEditor(config.out, model.d_llm),
        "seem": AlignedSegmenter(config.out, model.d_llm),
    }
    trainer = Trainer(model, vocabulary, tasks, config)
    found = trainer.train()
    for when, probes in found.items():
        trainer.run.write(f"{when}: " + ", ".join(f"{name} {value:.3f}" for name, value in probes.items()))


if __name__ == "__main__":
    train(config_from_arguments("synergy", Path("vitron_agent/weights/tiny")))
