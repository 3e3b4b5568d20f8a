"""`vitron-agent finetune`: the paper's stages for the planner of published size; hands over to the training package."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vitron_agent.cli.inputs import check_writable
from vitron_agent.cli.plain import plainly, quiet_libraries, say
from vitron_agent.cli.run import Seed, Weights
from vitron_agent.errors import InputError
from vitron_agent.profiles import VITRON_7B

EXPORT_MINUTES = 30.0  # a checkpoint at rank 128 is 4 GB


class Stage(StrEnum):
    """The stages that learn from conversations."""

    ALIGNMENT = "1.1"
    INVOCATION = "1.2"
    MAPPERS = "1.3"
    GROUNDING = "2"
    SYNERGY = "3"


STAGES_HELP = "1.1 projector alone, 1.2 calls of tools, 1.3 GLIGEN's mapper, 2 grounding, 3 synergy."


class Precision(StrEnum):
    """In what is computed where precision does not matter: as `accelerate` calls it."""

    BF16 = "bf16"
    NO = "no"


@plainly
def finetune(
    stage: Annotated[Stage, typer.Argument(help=STAGES_HELP)],
    data: Annotated[list[Path], typer.Option(help="JSON in the release's format; may be given again.")],
    media: Annotated[Path, typer.Option(help="Folder that the data's paths begin in.")],
    weights: Weights = None,
    start: Annotated[Path | None, typer.Option(help="Adapter of an earlier stage to go on from.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; planner/lora or mappers of the weights.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder for checkpoint and log; runs/finetune-STAGE.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    epochs: Annotated[float, typer.Option(min=0.0, help="How often everything is read.")] = 1.0,
    batch: Annotated[int, typer.Option(min=1, help="Conversations per step, of all GPUs together.")] = 16,
    rank: Annotated[int, typer.Option(min=1, help="Of LoRA; alpha is twice as much.")] = 128,
    lr: Annotated[float | None, typer.Option(min=1e-9, help="Greatest learning rate; the stage's own.")] = None,
    precision: Annotated[Precision, typer.Option(help="Mixed precision, or none.")] = Precision.BF16,
    cpu: Annotated[bool, typer.Option("--cpu", help="Leave GPUs alone.")] = False,
    seed: Seed = 0,
) -> None:
    """Teach the planner of vitron-7b on your own data: LoRA (of peft) beside frozen weights, as VITRON was trained.

    The adapter is used from then on, where it lies in planner/lora; so is the mapper of stage 1.3 in mappers. On
    several GPUs: `accelerate launch -m vitron_agent.cli finetune ...`.
    """
    quiet_libraries()
    from vitron_agent.locations import loadable

    folder = loadable(VITRON_7B.name, weights).folder
    assert folder is not None
    try:
        from vitron_agent.training.finetune import Finetuning
        from vitron_agent.training.finetune import finetune as train
    except ModuleNotFoundError as error:
        if error.name not in {"accelerate", "peft"}:
            raise
        raise InputError(f"{error.name} is not installed: pip install 'vitron-agent[training]'") from None
    from vitron_agent.training import TrainingConfig

    planner = folder / "planner"
    task = Finetuning(stage.value, planner, data, media, start, batch, epochs, precision.value, rank, lr)
    target = out or (folder / "mappers" if stage is Stage.MAPPERS else planner / "lora")
    runs = run or Path("runs") / f"finetune-{stage.value}"
    check_writable(target)
    check_writable(runs, "choose another with --run")
    device = "cpu" if cpu else "auto"
    train(task, TrainingConfig(target, runs, device=device, resume=resume, seed=seed, export_minutes=EXPORT_MINUTES))
    say(f"written to {target}")
