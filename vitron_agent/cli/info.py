"""`vitron-agent graph` and `vitron-agent models`: what the agent is made of. Neither loads any weights."""

import typer

from vitron_agent.cli.plain import plainly


@plainly
def graph() -> None:
    """Print the agent's state machine as Mermaid text."""
    from vitron_agent.build import vitron_tools
    from vitron_agent.graphs import make_agent
    from vitron_agent.media import MediaStore
    from vitron_agent.testing import ScriptedPlanner

    store = MediaStore("memory://graph")
    agent = make_agent(ScriptedPlanner(), vitron_tools(store=store), store)  # the drawing needs no planner that thinks
    typer.echo(agent.get_graph().draw_mermaid())


@plainly
def models() -> None:
    """Show what each profile needs and whether it is there."""
    from vitron_agent.profiles import PROFILES

    for profile in PROFILES.values():
        typer.echo(f"{profile.name}: {profile.summary}")
        for part in (*profile.parts, *profile.extras):
            missing = profile.missing(part)
            if profile.folder is None:
                state = "not loadable in this version"
            else:
                state = f"missing {missing[0]}" if missing else "ready"
            facts = f"{part.size:>6,.0f} MiB  {part.licence}; {part.source}; {part.role}"
            typer.echo(f"  {part.name:15} {state:30} {facts}")
        typer.echo(f"  {'folder':15} {profile.folder or '(none)'}\n")
