"""The command line, `vitron-agent`. One file per group of commands; heavy imports happen inside the commands.

Every error that the library raises on purpose ends as one line on stderr and exit code 2; no traceback.
"""

from vitron_agent.cli.app import app, main

__all__ = ["app", "main"]
