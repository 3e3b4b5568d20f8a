"""Teaches a planner of published size on conversations in the release's format: the paper's stages.

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
from vitron_agent.invocation import Module
from vitron_agent.media.images import load_image
from vitron_agent.planner.full_size import load_base, load_full_size
from vitron_agent.planner.processor import Turn
from vitron_agent.specialists.gligen.parts import load_parts
from vitron_agent.training.loop import Run, TrainingConfig, replace_folder_files, warm_cosine
from vitron_agent.training.lora import STAGES, LoraPlanner, Rates
from vitron_agent.training.release_data import ReleaseSample, load_turns, read_release
from vitron_agent.training.release_mapper import RATE, DrawingMapper
from vitron_agent.training.release_synergy import check_modules

MAPPERS = "1.3"
PRECISIONS = {"bf16": torch.bfloat16, "no": torch.float32}
"""accelerate's name of a mixed precision -> type of the frozen weights."""


@dataclass(frozen=True)
class Finetuning:
    """What is learned from what.

    Attributes:
        stage: One of `STAGES`, or `MAPPERS`, which teaches the planner nothing and a mapper to use it.
        weights: Folder of the planner, see `full_size.load_base`; `MAPPERS` needs GLIGEN's folder beside it.
        data: JSON files in the release's format.
        media: Folder that their paths begin in.
        start: Folder of the adapter that an earlier stage wrote; None begins with a fresh one.
        batch: Conversations per step, of all processes together. They are read one by one (gradient accumulation).
        epochs: How often every conversation is read.
        precision: One of `PRECISIONS`.
        rank: Of LoRA, which `MAPPERS` has none of.
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
    """Train adapters, or a mapper, and write them to `config.out`: `planner/lora` or `mappers` of a profile.

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
    learner = _mapper(task) if task.stage == MAPPERS else _adapters(task)
    learner.to(accelerator.device).train()
    run = Run(config, {"learned": learner.learned()}, learner.optimiser(), {})
    losses = _Losses(accelerator, learner, samples, config.seed)
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
                run.written(config.out, lambda: replace_folder_files(config.out, learner.export))
                run.save()  # last: a run that is killed between the two writes both again
    # The wrapper that exchanges gradients goes before the group of processes does: were it the group's last owner, its
    # destructor would wait, holding the interpreter's lock, for a thread of gloo's that wants that lock (torch 2.13).
    del losses
    accelerator.free_memory()
    accelerator.end_training()


def _samples(task: Finetuning, config: TrainingConfig) -> list[ReleaseSample]:
    """The samples, if all is well with them and with the folder that is written to."""
    written = "gligen.safetensors" if task.stage == MAPPERS else "adapter_config.json"
    if (config.out / written).is_file() and task.start is None and not config.resume:
        advice = "write to another folder" if task.stage == MAPPERS else "start from it, or write to another folder"
        raise InputError(f"{quoted(str(config.out), 300)} holds {written} of an earlier run: {advice}")
    samples = read_release(task.data, task.media)
    if task.stage == MAPPERS:
        if bad := [s.name for s in samples if s.target is None or s.modules.count(Module.A) != 1]:
            raise InputError(f"stage 1.3 learns from samples with one drawing call and its target: mend {listed(bad)}")
    elif not task.rates.adapters and (dark := [s.name for s in samples if not s.images + s.videos]):
        raise InputError(f"stage {task.stage} learns from pictures and videos only: take {listed(dark)} out")
    elif task.rates.adversary:
        check_modules({module for sample in samples for module in sample.modules})
    return samples


def _adapters(task: Finetuning) -> LoraPlanner:
    """The planner with adapters, which are those of an earlier stage or new ones."""
    planner = LoraPlanner(load_base(task.weights, "cpu", PRECISIONS[task.precision]), task.rank, task.rates)
    if task.start is not None:
        planner.start_from(task.start)
    return planner


def _mapper(task: Finetuning) -> DrawingMapper:
    """The planner as it is used, GLIGEN, and a new mapper."""
    if task.start is not None:
        raise InputError("stage 1.3 takes the planner with the adapter beside it: leave the start out")
    dtype, folder = PRECISIONS[task.precision], task.weights.parent / "gligen"
    planner = load_full_size(task.weights, "cpu", dtype)
    return DrawingMapper(planner, load_parts(folder, folder / "unet", None, "", "cpu", dtype), task.lr or RATE)


def _conversation(sample: ReleaseSample, done: float) -> tuple[list[Turn], float]:
    """What `LoraPlanner` takes."""
    return load_turns(sample), done


def _drawing(sample: ReleaseSample, done: float) -> tuple[list[Turn], Tensor]:
    """What `DrawingMapper` takes, whose loss does not change in the course of a run."""
    assert sample.target is not None
    return load_turns(sample), load_image(sample.target)


class _Losses:
    """The losses of a run's conversations, by their places in an order that the seed decides."""

    def __init__(
        self,
        accelerator: Accelerator,
        learner: LoraPlanner | DrawingMapper,
        samples: Sequence[ReleaseSample],
        seed: int,
    ) -> None:
        self.accelerator, self.samples, self.seed = accelerator, samples, seed
        self.given = _drawing if isinstance(learner, DrawingMapper) else _conversation
        self.learner: Any = accelerator.prepare_model(learner)

    def of_step(self, step: int, batch: int, done: float) -> Iterator[Tensor]:
        """This process's share of a batch, one conversation after the other; their sum is the mean over the share."""
        first, count = self.accelerator.process_index, self.accelerator.num_processes
        places = range(step * batch + first, (step + 1) * batch, count)
        for place in places:
            # only behind the last conversation do processes exchange their gradients
            with self.accelerator.no_sync(self.learner) if place != places[-1] else nullcontext():
                yield self._loss(place, done) / len(places)

    def _loss(self, place: int, done: float) -> Tensor:
        epoch, within = divmod(place, len(self.samples))
        sample = self.samples[shuffled(len(self.samples), epoch, self.seed)[within]]
        given = self.given(sample, done)
        torch.manual_seed(self.seed * 1_000_003 + place)  # of dropout and noise, the same after a resume
        try:
            loss: Tensor = self.learner(*given)
        except InputError as error:
            raise InputError(f"{sample.name}: {error}") from None
        return loss


@lru_cache(maxsize=1)
def shuffled(count: int, epoch: int, seed: int) -> tuple[int, ...]:
    """The order in which `count` samples are read in an epoch."""
    order = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return tuple(order)
