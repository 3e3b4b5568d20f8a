"""Two processes with batches of their own end with the same weights."""

import pytest
import torch
from torch import nn

from tests.training.launch import run_together
from vitron_agent.training.peers import Peers

SCRIPT = """
import torch
from torch import nn
from vitron_agent.training.peers import Peers
with Peers() as peers:
    layer, unused = nn.Linear(2, 1, bias=False), nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    layer(torch.full((1, 2), 1.0 + peers.rank)).sum().backward()
    if peers.rank:
        unused(torch.ones(1, 1)).sum().backward()  # the other process has no gradient here
    peers.average([*layer.parameters(), *unused.parameters()])
    print(peers.rank, peers.agree(float(peers.rank)), layer.weight.grad.tolist(), unused.bias.grad.tolist())
"""


def test_gradients_are_averaged_and_the_first_decides() -> None:
    assert run_together("-c", SCRIPT) == ["0 0.0 [[1.5, 1.5]] [0.5]\n", "1 0.0 [[1.5, 1.5]] [0.5]\n"]


def test_every_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[object] = []
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", begun.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", begun.append)
    peers = Peers()
    assert (peers.rank, peers.count) == (5, 8)
    assert begun == [1, "cpu:gloo,cuda:nccl"]


def test_alone_nothing_changes() -> None:
    layer = nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    before = layer.weight.grad.clone() if layer.weight.grad is not None else None
    peers = Peers()
    peers.average(layer.parameters())
    assert peers.agree(0.25) == 0.25
    assert before is not None
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad, before)
