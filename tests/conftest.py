"""What every test needs: repeatable runs that share a small machine kindly."""

import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)

# The same examples on every run, and no clock: a busy machine is no failure.
settings.register_profile(
    "vitron", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("vitron")
