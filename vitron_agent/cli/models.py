"""`vitron-agent models`: what each profile needs, where it lies, whether it is whole, what fits, and parity of SEEM."""

from pathlib import Path
from typing import Annotated

import typer

from vitron_agent.cli.plain import plainly, quiet_libraries, say
from vitron_agent.errors import InputError
from vitron_agent.profiles import DEFAULT_PROFILE, PROFILES, find_profile

FAULTY = 1

models = typer.Typer(help="Show, check and plan the weights of each profile.", invoke_without_command=True)


@models.callback()
def _without_a_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_profiles()


@models.command("list")
@plainly
def list_profiles() -> None:
    """Show what each profile needs and whether it is there."""
    from vitron_agent.locations import placed

    for profile in map(placed, PROFILES):
        typer.echo(f"{profile.name}: {profile.summary}")
        for part in (*profile.parts, *profile.extras):
            missing = profile.missing(part)
            state = f"missing {missing[0]}" if missing else "ready"
            facts = f"{part.size:>6,.0f} MiB  {part.licence}; {part.source}; {part.role}"
            typer.echo(f"  {part.name:15} {state:30} {facts}")
        typer.echo(f"  {'folder':15} {profile.folder}\n")


@models.command()
@plainly
def where() -> None:
    """Show the folders: of each profile's weights, and of what you make."""
    from vitron_agent.locations import HOME_VARIABLE, WEIGHTS_VARIABLE, placed, user_folder

    for name in PROFILES:
        packaged = find_profile(name).folder is not None
        typer.echo(f"{name:12} {placed(name).folder}{'' if packaged else f' (${WEIGHTS_VARIABLE} moves it)'}")
    typer.echo(f"{'yours':12} {user_folder()} (conversations and media; ${HOME_VARIABLE} moves it)")


@models.command()
@plainly
def pull(
    profile: Annotated[str, typer.Argument(help="Which weights (see `vitron-agent models`).")],
    part: Annotated[list[str] | None, typer.Option(help="Only this part; may be given again.")] = None,
    weights: Annotated[Path | None, typer.Option(help="The folder to fill, instead of the usual one.")] = None,
    start: Annotated[
        str | None,
        typer.Option(help="What the planner is made of: llava (as usual), llava-original, vicuna (with CLIP), vitron."),
    ] = None,
    repository: Annotated[
        str | None, typer.Option(help="Where else the one part is: owner/name, or owner/name@revision.")
    ] = None,
) -> None:
    """Download a profile's public weights; files that are there and whole stay. $HF_HUB_OFFLINE is respected."""
    from vitron_agent import hub
    from vitron_agent.locations import placed

    hub.pull(placed(profile, weights), part or (), say, start, repository)


@models.command()
@plainly
def verify(
    profile: Annotated[str, typer.Argument(help="Which weights (see `vitron-agent models`).")] = DEFAULT_PROFILE,
    finite: Annotated[bool, typer.Option("--finite", help="Read all values too: each must be a number.")] = False,
    weights: Annotated[
        Path | None, typer.Option(help="Folder with the profile's parts, instead of the usual one.")
    ] = None,
) -> None:
    """Check that every file of a profile is there and whole; a line per fault, and exit code 1."""
    from vitron_agent.integrity import faults, part_files
    from vitron_agent.locations import placed

    found = placed(profile, weights)
    failed = False
    for part in (*found.parts, *found.extras):
        bad = faults(found, part, finite)
        if found.folder and part in found.extras and not part_files(found, part):
            typer.echo(f"{part.name}: not there, and the profile works without it")
            continue
        for fault in bad:
            typer.echo(fault)
        if not bad:
            typer.echo(f"{part.name}: {len(part_files(found, part))} files, whole")
        failed = failed or bool(bad)
    if failed:
        raise typer.Exit(FAULTY)


@models.command()
@plainly
def plan(
    memory: Annotated[str, typer.Option(help="What the device has, such as 24GB, 24GiB or 8000MB.")],
    profile: Annotated[str | None, typer.Option(help="Only this profile.")] = None,
    planner_bits: Annotated[int | None, typer.Option(help="With the planner in 4 or 8 bits, where it can be.")] = None,
    compiled: Annotated[bool, typer.Option("--compiled", help="With the planner's step compiled.")] = False,
) -> None:
    """Say which parts fit together into a budget of memory in half precision, and which take turns."""
    from vitron_agent.memory import fitted, in_bits, least, needed, parse_memory, plan_memory, with_compiled_step

    budget = parse_memory(memory)
    if compiled and planner_bits is not None:
        raise InputError(f"--compiled is not for a planner in {planner_bits} bits: leave one of them out")
    for asked in [find_profile(profile)] if profile else PROFILES.values():
        held = with_compiled_step(asked) if compiled else asked
        found = fitted(in_bits(held, planner_bits) if planner_bits is not None else held, budget, with_planner=True)
        chosen = plan_memory(found, budget)
        typer.echo(f"{found.name} in {budget:,.0f} MiB:")
        for part in (*found.parts, *found.extras):
            if part in chosen.stay:
                fate = "stays loaded"
            elif part in chosen.turns:
                fate = "is offloaded, and takes the place of others when it is called"
            else:
                beside = " beside the planner" if any(p.name == "planner" for p in chosen.stay) else ", not even alone"
                fate = f"does not fit{beside}"
            fate += ", computing piece by piece" if part.is_frugal else ""
            fate += f"; it keeps up to {part.kept:,.0f} MiB of conversations" if part.kept else ""
            typer.echo(f"  {part.name:15} {part.size:>7,.0f} MiB  and {part.work:>7,.0f} MiB at work: {fate}")
        whole = needed(*found.parts, *found.extras)
        typer.echo(
            f"  {'together':15} {needed(*chosen.stay):>7,.0f} MiB  of {whole:,.0f} MiB that all parts would take"
        )
        if chosen.too_large:
            instead = f", or --profile {DEFAULT_PROFILE}" if found.name != DEFAULT_PROFILE else ""
            typer.echo(f"  choose a device of at least {least(found, chosen.too_large):,.0f} MiB{instead}")
        typer.echo()


@models.command()
@plainly
def parity(
    file: Annotated[Path, typer.Argument(metavar="FILE.safetensors", help="A stored run of the original SEEM.")],
) -> None:
    """Run our SEEM on a stored run of the original: the largest difference per output; exit code 1 above 1e-4."""
    quiet_libraries()
    from vitron_agent.specialists.seem.parity import TOLERANCE, differences

    found = differences(file)
    for name, value in found.items():
        typer.echo(f"{name:36} {value:.2e}")
    # Written so that a difference that is no number counts as one.
    bad = [name for name, value in found.items() if not value <= TOLERANCE]
    if bad:
        say(f"{len(bad)} of {len(found)} outputs differ by more than {TOLERANCE:g}: {', '.join(bad)}")
        raise typer.Exit(FAULTY)
    typer.echo(f"{'largest':36} {max(found.values()):.2e}")
