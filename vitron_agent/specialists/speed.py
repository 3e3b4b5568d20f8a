"""UNets made faster for those who call them often: another memory layout, and torch's compiler.

Not the default: the first call, and the first with another batch (with guidance, without), waits for the compiler, for
minutes; tests/benchmarks/test_speed.py measures what later calls gain. Knows networks, no requests.
"""

import torch
from torch import nn


def compile_unet(unet: nn.Module) -> None:
    """Have a UNet compiled when it is first called; in place, its weights and their names stay as they are.

    Its 2D convolutions get the layout that fast kernels want (channels last). Results are equal but for rounding.
    """
    for layer in unet.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    unet.compile()
