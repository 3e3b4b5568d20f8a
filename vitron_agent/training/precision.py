"""Which numbers training multiplies in: bfloat16 where the machine has it, float32 where that would only be emulated.

Knows devices; no models.
"""

import torch

_EMULATED = ("DEFAULT", "AVX2")  # a CPU without AVX-512 multiplies bfloat16 thirty times slower than float32


def multiplies_bfloat16(device: torch.device | str) -> bool:
    """Whether a device multiplies matrices of bfloat16 at least as fast as those of float32."""
    on_cpu = torch.device(device).type == "cpu"
    return not (on_cpu and torch.backends.cpu.get_cpu_capability() in _EMULATED)


def autocast(device: torch.device | str) -> torch.autocast:
    """Return bf16 autocast for a device, which does nothing where the device is no faster for it."""
    kind = torch.device(device)
    return torch.autocast(kind.type, torch.bfloat16, enabled=multiplies_bfloat16(kind))
