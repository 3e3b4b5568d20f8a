"""How much memory a computation would take, found out on the meta device: nothing is computed and nothing allocated."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Adds up the bytes of all tensors that live at once, those in `known` left out."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.kept = [tensor.untyped_storage() for tensor in known]  # held, so that their keys stay theirs
        self.seen = {storage._cdata for storage in self.kept}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in self.seen:
                self._born(tensor.untyped_storage())
        return out

    def _born(self, storage: torch.UntypedStorage) -> None:
        self.seen.add(storage._cdata)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._died, storage._cdata, storage.nbytes())

    def _died(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.now -= size


def _attention(query: Tensor, key: Tensor, value: Tensor, *rest: Any, **more: Any) -> Tensor:
    """What a fused kernel makes: the result, without the matrix of weights."""
    return query.new_empty(*query.shape[:-1], value.shape[-1])


def peak_memory(model: nn.Module, run: Callable[[Any], Any]) -> float:
    """MiB besides the weights that `run(model)` takes at once in half precision."""
    half = model.to(torch.bfloat16).eval().requires_grad_(False)
    memory = LiveMemory([*half.parameters(), *half.buffers()])
    with pytest.MonkeyPatch.context() as patch, torch.no_grad(), memory:
        patch.setattr(torch.nn.functional, "scaled_dot_product_attention", _attention)
        run(half)
    return memory.peak / 2**20
