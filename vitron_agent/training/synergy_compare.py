"""Compares stage 3 with the reversed gradient, weak and strong, and without it, for several seeds, and writes a page.

The runs of a seed begin alike, see the same conversations and are measured on the same held-out ones with the same
noise, so differences are taken pair by pair. Knows how runs are compared; `synergy` knows how one is trained. Nothing
is written to the profile.
"""

import json
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from vitron_agent.training.loop import TrainingConfig, config_from_arguments, step_generator
from vitron_agent.training.planner_batch import collate
from vitron_agent.training.synergy import Trainer, aligned
from vitron_agent.training.synergy_data import Example, sample_example
from vitron_agent.training.synergy_stage import Stage

WEIGHTS = Path("vitron_agent/weights/tiny")
"""What every run starts from."""
TASKS = {
    "draw": "gligen",
    "segment": "seem",
    "edit": "gligen_inpaint",
    "shade": "gligen_inpaint",
    "size": "gligen_inpaint",
    "picture": "gligen_inpaint",
}
"""Held-out tasks -> the specialist whose loss is theirs; the last three are edits by example."""
TOGETHER = 8
"""Conversations per measured loss."""
STRENGTHS = (0.0, 0.3, 1.0)
"""Greatest weights of the reversed gradient that are compared; with 0 synergy is off."""
OPTIONS = {"seeds": 3.0, "batches": 12.0}
"""Further settings besides `synergy.DEFAULTS`: how many seeds, and how many measured losses per task and seed."""


@dataclass(frozen=True)
class Finding:
    """One run.

    Attributes:
        probes: "before" and "after" -> see `Stage.probe`.
        losses: Task -> held-out losses, each as a share of what it is without signals.
    """

    probes: Mapping[str, Mapping[str, float]]
    losses: Mapping[str, Sequence[float]]


def train(config: TrainingConfig) -> None:
    """Run all that compare.json in `config.run` does not hold yet, and write synergy.md to `config.out`.

    Args:
        config: `out` is the folder of the page. `steps` or `minutes` are of one run, `seed` is the first.

    Raises:
        CheckpointError: Weights are missing, or a loss is no number.
        StorageError: A checkpoint could not be written.
    """
    path, found = config.run / "compare.json", dict[str, Finding]()
    config.run.mkdir(parents=True, exist_ok=True)
    if config.resume and path.is_file():
        found = {name: Finding(**values) for name, values in json.loads(path.read_text()).items()}
    for seed in range(config.seed, config.seed + int(config.option("seeds", OPTIONS["seeds"]))):
        for strength in STRENGTHS:
            name = _name(strength, seed)
            if name not in found:
                found[name] = _run(config, seed, strength)
                path.write_text(json.dumps({key: asdict(value) for key, value in found.items()}))
    config.out.mkdir(parents=True, exist_ok=True)
    (config.out / "synergy.md").write_text(page(found, config), encoding="utf-8")


def _name(strength: float, seed: int) -> str:
    return f"{strength:g} {seed}"


def _runs(found: Mapping[str, Finding], strength: float) -> list[Finding]:
    """The runs of one strength, by seed."""
    chosen = {int(name.split()[1]): run for name, run in found.items() if name.split()[0] == f"{strength:g}"}
    return [chosen[seed] for seed in sorted(chosen)]


def _run(config: TrainingConfig, seed: int, strength: float) -> Finding:
    """Train once, in a folder of its own, and measure."""
    folder = config.run / _name(strength, seed).replace(" ", "-")
    options = {**config.options, "synergy": str(strength)}
    own = replace(config, run=folder, out=folder / "weights", seed=seed, options=options)
    model, vocabulary, tasks = aligned(WEIGHTS, seed)
    trainer = Trainer(model, vocabulary, tasks, own)
    probes = trainer.train()
    return Finding(probes, held_out(trainer.stage, int(config.option("batches", OPTIONS["batches"])), seed))


@torch.no_grad()
def held_out(stage: Stage, batches: int, seed: int) -> dict[str, list[float]]:
    """Return every task's losses on held-out conversations, as shares of what they are without signals.

    Args:
        stage: What is measured.
        batches: Losses per task, each of `TOGETHER` conversations that its specialist has a loss for.
        seed: Another seed draws other conversations and noise.
    """
    found: dict[str, list[float]] = {}
    for name, specialist in TASKS.items():
        task, rng = stage.tasks[specialist], random.Random(f"synergy held out/{seed}/{name}")
        found[name] = []
        for number in range(batches):
            examples = list[Example]()
            while len(examples) < TOGETHER:
                example = sample_example(rng, stage.processor, "heldout", name)
                if task.usable(example.call):
                    examples.append(example)
            signals = stage.signals(collate([e.written for e in examples], stage.processor, None))[0]
            without = stage.loss_without(task, examples, signals, step_generator(seed, number))
            given = float(stage.task_loss(task, examples, signals, step_generator(seed, number)))
            found[name].append(given / max(without, 1e-9))
    return found


def difference(found: Mapping[str, Finding], task: str, strength: float) -> tuple[float, float, float]:
    """Return how much synergy changes a task's loss, with its 95% interval over all pairs (bootstrap)."""
    pairs = zip(_runs(found, 0.0), _runs(found, strength), strict=True)
    values = np.concatenate([np.subtract(on.losses[task], off.losses[task]) for off, on in pairs])
    low, high = stats.bootstrap(
        (values,), np.mean, rng=np.random.default_rng(0), method="percentile"
    ).confidence_interval
    return float(values.mean()), float(low), float(high)


def page(found: Mapping[str, Finding], config: TrainingConfig) -> str:
    """The comparison as Markdown."""
    settings = " ".join(f"--set {name}={value}" for name, value in sorted(config.options.items()))
    length = f"--steps {config.steps}" if config.steps else f"--minutes {config.minutes:g}"
    parts = [_INTRO.format(command=f"--seed {config.seed} {length} {settings}".strip()), _probes_table(found)]
    return "\n".join([*parts, _LOSSES, _losses_table(found), _PAPER])


def _probes_table(found: Mapping[str, Finding]) -> str:
    told, probe = ("vs", "vp", "discriminator", "chance"), next(iter(found.values())).probes["before"]
    keys = (*told, *(name for name in probe if name not in told))
    titles = ("`vs`, linear", "`vp`, linear", "`vs`, discriminator", "chance", *keys[len(told) :])
    lines = [f"| | {' | '.join(titles)} |", f"| --- |{' ---: |' * len(titles)}"]
    rows = [("before", 0.0, "before"), *((_title(strength), strength, "after") for strength in STRENGTHS)]
    for title, strength, when in rows:
        cells = []
        for key in keys:
            values = [100 * run.probes[when][key] for run in _runs(found, strength)]
            spread = f" ± {statistics.stdev(values):.1f}" if key != "chance" and len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}%{spread}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _losses_table(found: Mapping[str, Finding]) -> str:
    off, *others = STRENGTHS
    titles = [_title(off), *(f"{_title(strength)} | change |" for strength in others)]
    lines = [f"| task | n | {' | '.join(titles)} |", f"| --- | ---: | ---: {'| ---: | ---: | --- ' * len(others)}|"]
    for task in TASKS:
        losses = {
            strength: [loss for run in _runs(found, strength) for loss in run.losses[task]] for strength in STRENGTHS
        }
        cells = [task, str(TOGETHER * len(losses[off])), _share(losses[off])]
        for strength in others:
            change, low, high = difference(found, task, strength)
            sure = "" if low <= 0 <= high else "better" if change < 0 else "worse"
            cells += [_share(losses[strength]), f"{100 * change:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})", sure]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _title(strength: float) -> str:
    return f"strength {strength:g}" if strength else "synergy off"


def _share(losses: Sequence[float]) -> str:
    return f"{100 * statistics.mean(losses) - 100:+.1f}%"


_INTRO = """# Cross-task synergy, measured

Written by `python -m vitron_agent.training.synergy_compare {command}`; do not edit it by hand. Stage 3 on the tiny
profile, with the reversed gradient of the discriminator, of two strengths, and without (off): the same conversations,
and the same held-out ones with the same noise. The planner's shared signals are `vs`, those of its module `vp`.

## What signals give away

How often the module is named rightly from held-out signals; mean and standard deviation over seeds. In all arms the
discriminator learns beside; only with synergy on does its gradient come back. Last, what signals change of each
specialist's loss: -10% is a tenth less than with words alone.
"""

_LOSSES = """## What signals are good for

The same by task, after stage 3. Changes compare with synergy off, pair by pair, in points; 95% intervals in brackets.
"""

_PAPER = """## The paper's figures

VITRON's tables compare both arms at full size and on other data, without intervals. Without synergy: segmentation cIoU
on RefCOCO 1.9 to 2.4 points lower, video grounding mIoU 3.7 to 4.3, tracking J&F on DAVIS 2.1, questions 1.7 to 4.4;
FID of drawn pictures 4.4 higher; CLIP score of edits (MagicBrush) 0.078 lower.
"""

if __name__ == "__main__":
    train(config_from_arguments("synergy_compare", Path("docs")))
