"""Teaches a planner of published size on conversations in the release's format: the paper's stages 1.1, 1.2, 2 and 3.

Several GPUs train together under `accelerate launch`: here accelerate chooses the device and the precision, and
averages gradients while they are computed. The recipes of the tiny profile do without it (peers.py): they train several
models in one step, which its wrapping of one module does not fit, and must not need more than the package itself.
Needs the extra `training`.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor

from vitron_agent.errors import InputError, listed, quoted
from vitron_agent.planner.full_size import load_base
from vitron_agent.training.loop import Run, TrainingConfig, replace_folder_files, warm_cosine
from vitron_agent.training.lora import STAGES, LoraPlanner, Rates
from vitron_agent.training.release_data import ReleaseSample, load_turns, read_release
from vitron_agent.training.release_synergy import check_modules

PRECISIONS = {"bf16": torch.bfloat16, "no": torch.float32}
"""accelerate's name of a mixed precision -> type of the frozen weights."""


@dataclass(frozen=True)
class Finetuning:
    """What is learned from what.

    Attributes:
        stage: One of `STAGES`.
        weights: Folder of the planner, see `full_size.load_base`.
        data: JSON files in the release's format.
        media: Folder that their paths begin in.
        start: Folder of the adapter that an earlier stage wrote; None begins with a fresh one.
        batch: Conversations per step, of all processes together. They are read one by one (gradient accumulation).
        epochs: How often every conversation is read.
        precision: One of `PRECISIONS`.
        rank: Of LoRA.
        lr: Greatest learning rate of the adapters, by default the stage's; projector and regions keep their proportion.
    """

    stage: str
    weights: Path
    data: Sequence[Path]
    media: Path
    start: Path | None = None
    batch: int = 16
    epochs: float = 1.0
    precision: str = "bf16"
    rank: int = 128
    lr: float | None = None

    @property
    def rates(self) -> Rates:
        """Learning rates."""
        return STAGES[self.stage] if self.lr is None else STAGES[self.stage].scaled_to(self.lr)


def finetune(task: Finetuning, config: TrainingConfig) -> None:
    """Train adapters and write them to `config.out`, where `planner/lora` of a profile is read from.

    Args:
        task: What is learned.
        config: Its `steps` say how long, by default as many as `task.epochs` take; `device` "cpu" leaves GPUs alone,
            anything else lets accelerate choose.

    Raises:
        InputError: Data are bad (see `read_release`, `load_turns`) or teach this stage nothing, a conversation is too
            long, the batch cannot be shared out, or `config.out` holds an adapter that this run knows nothing of.
        CheckpointError: Weights are missing or damaged, a checkpoint is of another stage or rank; a loss is no number.
        StorageError: A checkpoint or the adapters could not be written.
    """
    samples = _samples(task, config)
    accelerator = Accelerator(
        cpu=config.device == "cpu",
        mixed_precision=task.precision,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],  # not every one has a picture
    )
    if task.batch < 1 or task.batch % accelerator.num_processes:
        raise InputError(f"{task.batch} conversations cannot be shared by {accelerator.num_processes} processes evenly")
    if config.steps is None:
        config = replace(config, steps=max(ceil(task.epochs * len(samples) / task.batch), 1))
    torch.manual_seed(config.seed)
    planner = LoraPlanner(load_base(task.weights, "cpu", PRECISIONS[task.precision]), task.rank, task.rates)
    if task.start is not None:
        planner.start_from(task.start)
    planner.to(accelerator.device).train()
    run = Run(config, {"learned": planner.learned()}, planner.optimiser(), {})
    losses = _Losses(accelerator, planner, samples, config.seed)
    while not run.done:
        try:
            shares = losses.of_step(run.step, task.batch, run.fraction)
            run.advance(shares, task.batch, factor=warm_cosine(run.fraction, floor=0.0))
        except InputError:  # of a sample whose media turn out to be bad: mend it, then resume
            if accelerator.is_main_process:
                run.save()
            raise
        if accelerator.is_main_process:
            run.log(10)
            if run.due() or run.done:
                run.written(config.out, lambda: replace_folder_files(config.out, planner.export))
                run.save()  # last: a run that is killed between the two writes both again
    # The wrapper that exchanges gradients goes before the group of processes does: were it the group's last owner, its
    # destructor would wait, holding the interpreter's lock, for a thread of gloo's that wants that lock (torch 2.13).
    del losses
    accelerator.free_memory()
    accelerator.end_training()


def _samples(task: Finetuning, config: TrainingConfig) -> list[ReleaseSample]:
    """The samples, if all is well with them and with the folder that is written to."""
    if (config.out / "adapter_config.json").is_file() and task.start is None and not config.resume:
        raise InputError(f"{quoted(str(config.out), 300)} holds an adapter: start from it, or write to another folder")
    samples = read_release(task.data, task.media)
    if not task.rates.adapters and (dark := [s.name for s in samples if not s.images + s.videos]):
        raise InputError(f"stage {task.stage} learns from pictures and videos only: take {listed(dark)} out")
    if task.rates.adversary:
        check_modules({module for sample in samples for module in sample.modules})
    return samples


class _Losses:
    """The losses of a run's conversations, by their places in an order that the seed decides."""

    def __init__(
        self, accelerator: Accelerator, planner: LoraPlanner, samples: Sequence[ReleaseSample], seed: int
    ) -> None:
        self.accelerator, self.samples, self.seed = accelerator, samples, seed
        self.planner: Any = accelerator.prepare_model(planner)

    def of_step(self, step: int, batch: int, done: float) -> Iterator[Tensor]:
        """This process's share of a batch, one conversation after the other; their sum is the mean over the share."""
        first, count = self.accelerator.process_index, self.accelerator.num_processes
        places = range(step * batch + first, (step + 1) * batch, count)
        for place in places:
            # only behind the last conversation do processes exchange their gradients
            with self.accelerator.no_sync(self.planner) if place != places[-1] else nullcontext():
                yield self._loss(place, done) / len(places)

    def _loss(self, place: int, done: float) -> Tensor:
        epoch, within = divmod(place, len(self.samples))
        sample = self.samples[shuffled(len(self.samples), epoch, self.seed)[within]]
        turns = load_turns(sample)
        torch.manual_seed(self.seed * 1_000_003 + place)  # of dropout: the same after a resume, in whichever process
        try:
            loss: Tensor = self.planner(turns, done)
        except InputError as error:
            raise InputError(f"{sample.name}: {error}") from None
        return loss


@lru_cache(maxsize=1)
def shuffled(count: int, epoch: int, seed: int) -> tuple[int, ...]:
    """The order in which `count` samples are read in an epoch."""
    order = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return tuple(order)
