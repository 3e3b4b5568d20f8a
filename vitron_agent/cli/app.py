"""The application object with all its commands, and `main`, what the console script calls."""

import typer

from vitron_agent import __version__
from vitron_agent.cli.chat import chat
from vitron_agent.cli.demo import demo
from vitron_agent.cli.finetune import finetune
from vitron_agent.cli.info import graph
from vitron_agent.cli.learn import evaluate, train
from vitron_agent.cli.models import models
from vitron_agent.cli.run import run

app = typer.Typer(
    name="vitron-agent",
    help="VITRON, the pixel-level vision LLM, as a LangGraph agent: it draws, segments, edits and answers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vitron-agent {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Take the options before the command."""


for command in (run, chat, demo, evaluate, train, finetune, graph):
    app.command()(command)
app.add_typer(models, name="models")


def main() -> None:
    """Run the command line."""
    app()
