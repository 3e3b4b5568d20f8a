import pytest
import torch

from vitron_agent.training.muon import orthogonalised
from vitron_agent.training.precision import autocast, multiplies_bfloat16


@pytest.mark.parametrize(("capability", "fast"), [("AVX512", True), ("AVX2", False), ("DEFAULT", False)])
def test_bfloat16_is_for_processors_that_multiply_it(
    monkeypatch: pytest.MonkeyPatch, capability: str, fast: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    left, right = torch.randn(4, 8), torch.randn(8, 4)
    with autocast("cpu"):
        product = left @ right
    assert multiplies_bfloat16("cpu") is fast
    assert product.dtype == (torch.bfloat16 if fast else torch.float32)
    assert multiplies_bfloat16("cuda:0")


@pytest.mark.parametrize("capability", ["AVX512", "AVX2"])
def test_muon_orthogonalises_in_either(monkeypatch: pytest.MonkeyPatch, capability: str) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    matrices = torch.randn(3, 16, 24, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrices))
    assert values.min() > 0.6
    assert values.max() < 1.3
