"""What every test needs: repeatable runs that share a small machine kindly."""

import os
import signal

import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)

# Nothing but plain data may come back from a checkpoint. LangGraph reads this once, when it is first imported.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"

# The same examples on every run, and no clock: a busy machine is no failure.
settings.register_profile(
    "vitron", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("vitron")


def pytest_configure() -> None:
    """Let Ctrl-C be what it is in a terminal: a suite that was started in the background inherits it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
