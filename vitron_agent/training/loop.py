"""What every training recipe shares: settings, clock, moving average, checkpoint, log line.

A recipe draws its randomness from `step_generator(seed, step)`, so a resumed run sees the same data as one that was
never stopped. This file does not know what is trained, on which data, or where the finished weights go.
"""

import argparse
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from vitron_agent.training.board import Board
from vitron_agent.training.checkpoint import read_checkpoint, write_checkpoint
from vitron_agent.training.guard import check_finite, fitting, log_or_say, write_or_say
from vitron_agent.training.peers import Peers


@dataclass(frozen=True)
class TrainingConfig:
    """Settings every recipe understands."""

    out: Path  # folder the finished weights are exported to
    run: Path  # folder of this run: checkpoint.safetensors, log.txt, sample pictures
    minutes: float = 60.0  # planned length; the learning rate decays towards it
    steps: int | None = None  # planned length in optimiser steps; wins over minutes when given
    device: str = "cpu"
    resume: bool = False  # go on from run/checkpoint.safetensors when it is there
    seed: int = 0
    threads: int = 1  # CPU threads of torch
    export_minutes: float = 5.0  # how often weights are exported and the checkpoint written
    options: Mapping[str, str] = field(default_factory=dict)  # recipe's own settings, name -> text

    def option(self, name: str, default: float) -> float:
        """Return the recipe's own number `name`, or `default`."""
        return float(self.options.get(name, default))


def config_from_arguments(name: str, out: Path, arguments: list[str] | None = None) -> TrainingConfig:
    """Read a recipe's command line; `name` gives the folder `runs/<name>`, `out` the default export folder."""
    parser = argparse.ArgumentParser(prog=f"python -m vitron_agent.training.{name}")
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--run", type=Path, default=Path("runs") / name)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--export-minutes", type=float, default=5.0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="a recipe's own setting")
    values = vars(parser.parse_args(arguments))
    values["options"] = dict(pair.split("=", 1) for pair in values.pop("set"))
    return TrainingConfig(**values)


def step_generator(seed: int, step: int) -> torch.Generator:
    """Return the CPU random generator of one step (a function of seed and step alone)."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % (2**63))


def warm_cosine(fraction: float, warm: float = 0.03, floor: float = 0.02) -> float:
    """Return the learning-rate factor at `fraction` (0 to 1) of the run: linear warm-up, then cosine to `floor`."""
    if fraction < warm:
        return max(fraction / warm, 0.01)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min((fraction - warm) / (1 - warm), 1.0)))


class Ema:
    """Exponential moving average of a module's floating-point state; `averaged` puts it in the live weights' place."""

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        """Start from the module's present weights."""
        self.module = module
        self.decay = decay
        self.updates = 0
        self.shadow = {k: v.detach().clone() for k, v in module.state_dict().items() if v.is_floating_point()}

    @torch.no_grad()
    def update(self) -> None:
        """Take one step towards the live weights; young averages follow faster."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        live = self.module.state_dict()
        names = list(self.shadow)
        torch._foreach_lerp_([self.shadow[k] for k in names], [live[k] for k in names], 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the module hold its averaged weights within a `with` block; live ones return however it ends."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        """Exchange average and live weights in place (call twice to return)."""
        live = self.module.state_dict()
        for name, average in self.shadow.items():
            kept = live[name].clone()
            live[name].copy_(average)
            average.copy_(kept)


class Run:
    """Clock, checkpoint and log of one training run; its last good checkpoint outlives bad losses and full disks."""

    def __init__(
        self,
        config: TrainingConfig,
        models: dict[str, nn.Module],
        optimiser: torch.optim.Optimizer,
        emas: dict[str, Ema],
    ) -> None:
        """Remember the parts and, with `config.resume`, load the last checkpoint into them.

        Raises:
            CheckpointError: The checkpoint is damaged or of another architecture.
        """
        torch.set_num_threads(config.threads)
        self.config, self.models, self.optimiser, self.emas = config, models, optimiser, emas
        self.step = 0
        self.samples = 0
        self.before = 0.0  # seconds spent by earlier processes of this run
        self.path = config.run / "checkpoint.safetensors"
        config.run.mkdir(parents=True, exist_ok=True)
        self.board = Board(config.run, self.write)
        self.base_rates = [group["lr"] for group in optimiser.param_groups]
        if config.resume and self.path.exists():
            self._load()
        self.start = self.last_save = time.monotonic()
        self._rate_mark = (self.start, self.samples)
        self._losses: dict[str, list[float]] = {}

    @property
    def elapsed(self) -> float:
        """Seconds of training, those before a resume included."""
        return self.before + time.monotonic() - self.start

    @property
    def fraction(self) -> float:
        """Share of the planned run that is done, 0 to 1."""
        if self.config.steps is not None:
            return min(self.step / max(self.config.steps, 1), 1.0)
        return min(self.elapsed / max(self.config.minutes * 60, 1e-6), 1.0)

    @property
    def done(self) -> bool:
        """Whether the planned length is reached."""
        return self.fraction >= 1.0

    def advance(
        self,
        losses: Tensor | Iterable[Tensor],
        samples: int,
        parts: Mapping[str, float] | None = None,
        clip: float = 1.0,
        factor: float | None = None,
        peers: Peers | None = None,
    ) -> None:
        """Back-propagate, take one optimiser step, update the averages, count `samples`.

        Several losses are computed and back-propagated one after the other (gradient accumulation); their sum counts.
        With `peers` each of the run's processes brings losses of its own, and all take the same step.

        Raises:
            CheckpointError: A loss or the gradient is NaN or infinite; weights stay as they were.
        """
        factor = warm_cosine(self.fraction) if factor is None else factor
        for group, base in zip(self.optimiser.param_groups, self.base_rates, strict=True):
            group["lr"] = base * factor
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for loss in [losses] if isinstance(losses, Tensor) else losses:
            total += float(loss.detach())
            check_finite(total, self.step, self.path, parts=parts)
            loss.backward()
        parameters = [p for g in self.optimiser.param_groups for p in g["params"]]
        if peers is not None:
            peers.average(parameters)
        check_finite(float(nn.utils.clip_grad_norm_(parameters, clip)), self.step, self.path, "gradient")
        self.optimiser.step()
        for ema in self.emas.values():
            ema.update()
        self.step += 1
        self.samples += samples
        for name, value in {"loss": total, **(parts or {})}.items():
            self._losses.setdefault(name, []).append(value)

    def log(self, every: int = 50, note: str = "") -> None:
        """Every `every` steps print step, mean losses, samples/s and ETA; the line goes to log.txt, too.

        The numbers go to TensorBoard where it is installed, see board.py.
        """
        if self.step % every:
            return
        now = time.monotonic()
        rate = (self.samples - self._rate_mark[1]) / max(now - self._rate_mark[0], 1e-6)
        self._rate_mark = (now, self.samples)
        eta = self.elapsed * (1 - self.fraction) / max(self.fraction, 1e-6)
        means = {name: sum(values) / len(values) for name, values in self._losses.items()}
        self._losses.clear()
        lr = self.optimiser.param_groups[0]["lr"]
        numbers = {**means, "lr": lr, "samples_per_second": rate}
        self.written(self.board.folder, lambda: self.board.add(self.step, numbers))
        self.write(
            f"step {self.step} {' '.join(f'{k} {v:.5f}' for k, v in means.items())} lr {lr:.2e} {rate:.1f} samples/s "
            f"elapsed {self.elapsed / 60:.1f} min ETA {eta / 60:.1f} min {note}".rstrip()
        )

    def write(self, line: str) -> None:
        """Print one line to stderr and append it to log.txt.

        Raises:
            StorageError: The log cannot be written.
        """
        stamped = f"{time.strftime('%H:%M:%S')} {line}"
        print(stamped, file=sys.stderr, flush=True)
        log_or_say(self.config.run / "log.txt", stamped, self.step, self.path)

    def due(self) -> bool:
        """Whether it is time to export and save (every `export_minutes`); resets the clock when it is."""
        if time.monotonic() - self.last_save < self.config.export_minutes * 60:
            return False
        self.last_save = time.monotonic()
        return True

    def save(self) -> None:
        """Write models, averages, optimiser and counters to one file, atomically.

        Raises:
            StorageError: It cannot be written, mostly for want of space; the last one stays as it was.
        """
        counters = {
            "step": self.step,
            "samples": self.samples,
            "elapsed": self.elapsed,
            "updates": {name: ema.updates for name, ema in self.emas.items()},
        }
        self.written(
            self.path, lambda: write_checkpoint(self.path, self.models, self._averages, self.optimiser, counters)
        )

    def written(self, path: Path, write: Callable[[], object]) -> None:
        """Let `write` write weights to `path`.

        Raises:
            StorageError: It cannot, mostly for want of space.
        """
        write_or_say(path, write, self.step, self.path)

    @property
    def _averages(self) -> dict[str, dict[str, Tensor]]:
        return {name: ema.shadow for name, ema in self.emas.items()}

    def _load(self) -> None:
        with fitting(self.path):
            counters = read_checkpoint(self.path, self.models, self._averages, self.optimiser)
            for name, ema in self.emas.items():
                ema.updates = counters["updates"][name]
            self.step, self.samples, self.before = counters["step"], counters["samples"], counters["elapsed"]


def half_precision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of `tensors` in fp16 (floating ones) for shipping."""
    return {
        k: (v.detach().cpu().half() if v.is_floating_point() else v.detach().cpu()).contiguous().clone()
        for k, v in tensors.items()
    }


def replace_folder_files(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a scratch folder beside `folder`, then move its files in one by one (each atomically).

    Readers of `folder` never see a half-written file.
    """
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        write(scratch)
        for path in [path for path in sorted(scratch.rglob("*")) if path.is_file()]:
            target = folder / path.relative_to(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.chmod(0o644)  # safetensors writes files that only their owner may read
            os.replace(path, target)
    finally:
        shutil.rmtree(scratch)
