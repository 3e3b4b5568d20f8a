"""`vitron-agent evaluate` and `vitron-agent train`: hand over to those packages, loaded when asked for."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from vitron_agent.cli.inputs import check_writable
from vitron_agent.cli.plain import Meter, plainly, quiet_libraries, say
from vitron_agent.cli.run import Profile, Seed
from vitron_agent.errors import InputError
from vitron_agent.profiles import DEFAULT_PROFILE, TINY

# Folder of the profile that a recipe exports to, where it is not called like the recipe.
EXPORTS = {
    "gligen-autoencoder": "gligen/vae",
    "gligen-inpaint": "gligen",
    "planner-vision": "planner",
    "gligen-examples": ".",
    "example-signals": ".",
    "signals": ".",
    "synergy": ".",
}


@plainly
def evaluate(
    suite: Annotated[list[str] | None, typer.Option(help="Only this suite; may be given again.")] = None,
    limit: Annotated[int | None, typer.Option(help="Cases per suite (200; 150 about videos).")] = None,
    profile: Profile = DEFAULT_PROFILE,
    seed: Seed = 0,
    no_signals: Annotated[
        bool, typer.Option("--no-signals", help="Measure without the planner's embeddings, too: two columns.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and sample sheets.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object to stdout.")] = False,
    ablation: Annotated[
        bool,
        typer.Option("--ablation", help="Compare words, embeddings and both; writes results.md (to docs, or --out)."),
    ] = False,
) -> None:
    """Measure a profile on held-out scenes and phrasings: per task a number with n and its 95% interval."""
    quiet_libraries()
    from vitron_agent.locations import loadable

    loadable(profile)
    if ablation:
        if as_json or no_signals:
            raise InputError("--ablation compares all arms and writes a page: leave --json and --no-signals out")
        compare(profile, suite, limit, seed, out or Path("docs"))
        return
    if out is not None:
        check_writable(out)
    from vitron_agent import evaluation

    meter = Meter()
    report = evaluation.evaluate(profile, suite, limit, out, seed, "both" if no_signals else "on", progress=meter.show)
    meter.clear()
    if as_json:
        typer.echo(json.dumps(report.to_json(), default=str))
    else:
        report.print()
    if out is not None:
        say(f"report and sample sheets: {out}")


def compare(profile: str, suites: list[str] | None, limit: int | None, seed: int, folder: Path) -> None:
    """Measure message passing and write the page into a folder.

    Raises:
        InputError: An unknown suite, a limit below 1, or a folder that cannot be written.
        CheckpointError: Weights are missing.
    """
    from vitron_agent.evaluation.ablation import ablate
    from vitron_agent.evaluation.results_page import write_page

    check_writable(folder)
    meter = Meter()
    found = ablate(profile, suites, limit, seed, progress=meter.show)
    meter.clear()
    say(f"written: {write_page(found, folder)}")


@plainly
def train(
    name: Annotated[str, typer.Argument(help="The recipe; a wrong name lists them.")],
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda, cuda:1, mps.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    minutes: Annotated[float | None, typer.Option(help="Length; the recipe's own by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the weights; the profile's own by default.")] = None,
    seed: Seed = 0,
) -> None:
    """Train one part of the tiny profile and export its weights; checkpoint and log lie in runs/NAME.

    Without --out the profile's own weights are written over; those that were there are kept in runs/NAME/before.
    """
    quiet_libraries()
    from vitron_agent.training import RECIPES, TrainingConfig, load_recipe

    if name not in RECIPES:
        raise InputError(f"recipe {name[:60]!r} is unknown: choose one of {', '.join(sorted(RECIPES))}")
    check_device(device)
    if minutes is not None and not 0 < minutes < 1e5:
        raise InputError(f"--minutes {minutes:g} is no length of a training: give a number above 0")
    assert TINY.folder is not None
    target = out or TINY.folder / EXPORTS.get(name, name)
    check_writable(target)
    run = Path("runs") / name.replace("-", "_")
    check_writable(run, "train in a folder that can be written to")
    if out is None and not resume:
        keep_before(target, run / "before")
    config = TrainingConfig(out=target, run=run, device=device, resume=resume, seed=seed)
    load_recipe(name)(config if minutes is None else TrainingConfig(**{**vars(config), "minutes": minutes}))


def keep_before(target: Path, kept: Path) -> None:
    """Copy weights that a training is about to write over, unless what an earlier one found is kept there.

    Raises:
        InputError: There is no room for the copy.
    """
    if kept.exists() or not any(target.rglob("*.safetensors")):
        return
    part = kept.with_name(f"{kept.name}.part")  # a copy that was interrupted must not pass for a whole one
    try:
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(target, part)
        part.rename(kept)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = error.strerror or "it cannot be copied"
        raise InputError(f"{target} could not be kept in {kept} ({reason}): give another folder with --out") from None
    say(f"the weights in {target} will be written over: a copy lies in {kept}")


def check_device(device: str) -> None:
    """Make sure that torch knows a device and that it is there.

    Raises:
        InputError: It does not, or it is not.
    """
    import torch

    try:
        torch.zeros(1, device=device).item()  # which a device without memory ("meta") cannot answer
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {device[:30]!r} cannot be used ({reason[:150]}): try --device cpu") from None
