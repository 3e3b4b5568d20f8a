"""Several processes that train one model, each on batches of its own: gradients are averaged before every step.

Each is started with the variables that torch names for it (`RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `MASTER_ADDR`,
`MASTER_PORT`), as `torchrun` and `accelerate launch` do; on two CPU cores two processes are half as fast again as one
with two threads. Alone, a process has no peers and nothing here does anything.

accelerate, which finetune.py uses, would not make this shorter: it averages gradients of one wrapped module, and these
recipes call several, part by part. So the tiny profile trains with what the package itself needs. Knows gradients and
ranks, not what is trained.
"""

import os
from collections.abc import Iterable
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Peers:
    """The processes of a run, as a context: those that met part in order at its end.

    Attributes:
        rank: This one's number; 0 writes the files.
        count: How many there are.
    """

    def __init__(self) -> None:
        """Meet the others where the launcher's variables say that there are any; device "cuda" is one's own GPU."""
        self.rank, self.count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        if self.count == 1:
            return
        own = int(os.environ.get("LOCAL_RANK", self.rank))
        if own < torch.cuda.device_count():
            torch.cuda.set_device(own)
        if not dist.is_initialized():
            # gloo for what lies on CPUs: a machine with GPUs may be told to leave them alone
            dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        """Wait for the others and part; one that has failed parts at once, and what the others wait for fails.

        A process that just ends takes its connections away while another's threads still read them: that one may then
        abort ("terminate called without an active exception") after all its work is done.
        """
        if self.count == 1:
            return
        if failed is None:
            dist.barrier()
        dist.destroy_process_group()

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over all processes; one that a process lacks counts as zero."""
        if self.count == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in trained])
        dist.all_reduce(flat)
        for parameter, mean in zip(trained, (flat / self.count).split([p.numel() for p in trained]), strict=True):
            parameter.grad = mean.view_as(parameter).clone()

    def agree(self, value: float, device: str = "cpu") -> float:
        """What process 0 says: clocks differ, and all must stop at the same step."""
        if self.count == 1:
            return value
        said: Tensor = torch.tensor([value], dtype=torch.float64, device=device)
        dist.broadcast(said, 0)
        return float(said)
