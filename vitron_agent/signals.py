"""Signals: what the planner's special tokens felt like, kept for the specialist that carries out the call.

Next to the words of a command, a specialist receives `v = [vp; vs]` (paper, section 3.2): the last-layer states of the
planner's task-specific and task-invariant special tokens. Here are the value, its store and the mapper that makes
condition tokens of it. This file does not know the planner that writes signals nor the specialists that read them.
"""

import hashlib
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from vitron_agent.errors import StorageError
from vitron_agent.invocation import Invocation
from vitron_agent.media import MediaStore

MAX_SIGNAL_TOKENS = 1024
MAX_SIGNAL_WIDTH = 65536
_NAMES = {"task_specific", "task_invariant", "arguments"}
_ORIGIN = "origin"


@dataclass(frozen=True, eq=False)
class SignalEmbeddings:
    """The planner's embeddings for one call.

    Attributes:
        task_specific: vp, float (n_task, d_llm).
        task_invariant: vs, float (n_shared, d_llm).
        origin: 64 hex digits that stand for the planner's weights and all that it had read, or None. Signals of
            one origin are the same but for rounding.

    Raises:
        ValueError: not two finite float matrices of the same width.
    """

    task_specific: Tensor
    task_invariant: Tensor
    origin: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no planner can have written."""
        for name, tensor in (("task_specific", self.task_specific), ("task_invariant", self.task_invariant)):
            shape = tuple(tensor.shape)
            if tensor.layout is not torch.strided or not tensor.is_floating_point() or len(shape) != 2:
                raise ValueError(f"{name} must be a float matrix (tokens, d_llm), got {tensor.dtype} {shape}")
            if not 0 < shape[0] <= MAX_SIGNAL_TOKENS or not 0 < shape[1] <= MAX_SIGNAL_WIDTH:
                raise ValueError(f"{name} has shape {shape}: give 1 to {MAX_SIGNAL_TOKENS} tokens")
            if not tensor.isfinite().all():
                raise ValueError(f"{name} holds NaN or infinite values: run the planner again")
        if self.task_specific.shape[1] != self.task_invariant.shape[1]:
            widths = self.task_specific.shape[1], self.task_invariant.shape[1]
            raise ValueError(
                f"task_specific and task_invariant differ in width ({widths[0]}, {widths[1]}): not of one planner"
            )

    @property
    def joined(self) -> Tensor:
        """`v = [vp; vs]`, joined along tokens: float (n_task + n_shared, d_llm)."""
        return torch.cat([self.task_specific, self.task_invariant])


def arguments_digest(invocation: Invocation) -> str:
    """Return 64 hex digits that stand for all arguments of a call: signals belong to exactly these."""
    return hashlib.sha256(invocation.model_dump_json().encode()).hexdigest()


class SignalStore:
    """Keeps signals in a media store, each with the digest of the arguments it belongs to."""

    def __init__(self, store: MediaStore) -> None:
        """Keep signals in `store`; they are read within their turn, so that nothing waits for the disk."""
        self._store = store.without_sync()

    def put(self, signals: SignalEmbeddings, digest: str) -> str:
        """Store signals as float32 safetensors under a handle.

        Args:
            signals: what the planner wrote for the call.
            digest: `arguments_digest` of the call.

        Returns:
            The handle, `sha256:<hex>`.

        Raises:
            StorageError: the store cannot be written.
        """
        tensors = {
            "task_specific": signals.task_specific.detach().to("cpu", torch.float32).contiguous(),
            "task_invariant": signals.task_invariant.detach().to("cpu", torch.float32).contiguous(),
            "arguments": _from_hex(digest),
        }
        if signals.origin is not None:
            tensors[_ORIGIN] = _from_hex(signals.origin)
        return self._store.put_bytes(save(tensors), "safetensors")

    def get(self, handle: str, digest: str) -> SignalEmbeddings | None:
        """Read signals back, float32 on the CPU.

        Args:
            handle: what `put` returned.
            digest: `arguments_digest` of the call that is about to run.

        Returns:
            The signals, or None if they belong to other arguments: an edited call runs on its words alone.

        Raises:
            StorageError: unknown handle, or what lies there is damaged or no signals.
        """
        data = self._store.get_bytes(handle)
        try:
            tensors = load(data)
            if set(tensors) - {_ORIGIN} != _NAMES:
                raise ValueError(f"it holds {', '.join(sorted(tensors)[:5])}")
            origin = _to_hex(tensors[_ORIGIN]) if _ORIGIN in tensors else None
            signals = SignalEmbeddings(tensors["task_specific"], tensors["task_invariant"], origin)
        except ValueError as error:
            raise StorageError(f"{handle} holds no signals ({error}): run the planner's turn again") from None
        except (SafetensorError, KeyError, RuntimeError, TypeError):
            raise StorageError(f"{handle} is no safetensors file: run the planner's turn again") from None
        return signals if _to_hex(tensors["arguments"]) == digest else None


def _from_hex(digest: str) -> Tensor:
    return torch.tensor(list(bytes.fromhex(digest)), dtype=torch.uint8)


def _to_hex(tensor: Tensor) -> str:
    return bytes(tensor.flatten().to(torch.uint8).tolist()).hex()


class SignalMapper(nn.Module):
    """Makes condition tokens of signals, behind a gate that starts closed.

    NExT-GPT's output projector (`model/layers.py`, mode "transformer"; after GILL): linear, a small pre-norm
    transformer whose decoder reads learned queries, linear. The result is multiplied by tanh(gate), gate zero at the
    start, and a specialist adds it to its own condition: an untrained mapper changes nothing at all.
    """

    def __init__(
        self,
        d_llm: int,
        d_out: int,
        n_queries: int,
        width: int = 128,
        encoder_layers: int = 1,
        decoder_layers: int = 1,
        heads: int = 4,
    ) -> None:
        """Build an untrained mapper.

        Args:
            d_llm: width of the planner's states.
            d_out: width of the specialist's condition tokens.
            n_queries: how many condition tokens come out.
            width: inner width, divisible by `heads`.
            encoder_layers: layers that read the signals.
            decoder_layers: layers that read the queries.
            heads: attention heads of every layer.
        """
        super().__init__()
        encoder_layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, batch_first=True, norm_first=True)
        # Built here and not by nn.Transformer, which would warn that pre-norm layers take no nested tensors.
        encoder = nn.TransformerEncoder(
            encoder_layer, encoder_layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.proj_in = nn.Linear(d_llm, width)
        self.transformer = nn.Transformer(
            width,
            heads,
            num_decoder_layers=decoder_layers,
            dim_feedforward=4 * width,
            dropout=0.0,
            custom_encoder=encoder,
            batch_first=True,
            norm_first=True,
        )
        self.queries = nn.Parameter(torch.randn(1, n_queries, width) * 0.02)
        self.proj_out = nn.Linear(width, d_out)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, v: Tensor) -> Tensor:
        """Map signals v, float (B, n, d_llm), to gated condition tokens, float (B, n_queries, d_out).

        Raises:
            StorageError: They are of another width, so of another planner.
        """
        if v.shape[-1] != self.proj_in.in_features:
            widths = f"{v.shape[-1]} wide, not {self.proj_in.in_features}"
            raise StorageError(f"signals are {widths}: they are of another planner; ask again in this one's turn")
        queries = self.queries.expand(v.shape[0], -1, -1)
        return self.gate.tanh() * self.proj_out(self.transformer(self.proj_in(v), queries))
