"""`vitron-agent graph`: the agent's state machine. Loads no weights."""

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
