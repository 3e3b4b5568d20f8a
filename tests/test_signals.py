"""Signals belong to exactly one call, come back bit for bit, and change nothing until a mapper is trained."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from vitron_agent.errors import StorageError
from vitron_agent.invocation import Invocation, Module, parse_reply, render_invocation
from vitron_agent.media import MediaStore, Region
from vitron_agent.signals import SignalEmbeddings, SignalMapper, SignalStore, arguments_digest

CALL = Invocation(module=Module.B, command="the red circle", region=Region.from_box(0.1, 0.2, 0.5, 0.6))
DIGEST = arguments_digest(CALL)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def signals() -> SignalEmbeddings:
    return SignalEmbeddings(random(4, 16), random(3, 16))


@pytest.fixture
def media(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path)


def test_joined_puts_the_task_first() -> None:
    joined = signals().joined
    assert joined.shape == (7, 16)
    assert torch.equal(joined[:4], signals().task_specific)
    assert torch.equal(joined[4:], signals().task_invariant)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_signals_come_back_exactly(media: MediaStore, dtype: torch.dtype) -> None:
    store = SignalStore(media)
    written = SignalEmbeddings(random(4, 16).to(dtype).requires_grad_(), random(16, 3).to(dtype).T)
    read = store.get(store.put(written, DIGEST), DIGEST)
    assert read is not None
    assert read.task_specific.dtype is torch.float32
    assert torch.equal(read.joined, written.joined.float())
    assert not read.joined.requires_grad


def test_an_edited_call_has_no_signals(media: MediaStore) -> None:
    store = SignalStore(media)
    handle = store.put(signals(), DIGEST)
    edited = CALL.model_copy(update={"command": "the blue circle"})
    assert store.get(handle, arguments_digest(edited)) is None
    assert store.get(handle, DIGEST) is not None


def test_equal_signals_of_two_calls_have_two_handles(media: MediaStore) -> None:
    store = SignalStore(media)
    assert store.put(signals(), DIGEST) == store.put(signals(), DIGEST)
    assert store.put(signals(), DIGEST) != store.put(signals(), "0" * 64)


@pytest.mark.parametrize(
    "change",
    [
        {"module": Module.C},
        {"command": "the red circles"},
        {"region": None},
        {"region": Region.from_box(0.1, 0.2, 0.5, 0.6001)},
        {"region": Region.from_box(0.1, 0.2, 0.5, 0.6, frames=(0, 1))},
        {"region": None, "uses_drawn_region": True},
        {"media": 1},
    ],
)
def test_every_argument_counts_in_the_digest(change: dict[str, object]) -> None:
    assert arguments_digest(CALL.model_copy(update=change)) != DIGEST


def test_the_digest_survives_the_template_and_json() -> None:
    (read,) = parse_reply(render_invocation(CALL)).invocations
    assert arguments_digest(read) == DIGEST
    assert arguments_digest(Invocation.model_validate_json(CALL.model_dump_json())) == DIGEST
    assert len(DIGEST) == 64


@pytest.mark.parametrize(
    ("task_specific", "task_invariant", "message"),
    [
        (random(16), random(3, 16), "float matrix"),
        (random(1, 4, 16), random(3, 16), "float matrix"),
        (torch.ones(4, 16, dtype=torch.int64), random(3, 16), "int64"),
        (random(4, 16).to_sparse(), random(3, 16), "float matrix"),
        (random(4, 16).to(torch.complex64), random(3, 16), "complex64"),
        (random(4, 16), random(3, 17), "differ in width"),
        (random(0, 16), random(3, 16), "1 to 1024 tokens"),
        (random(4, 0), random(3, 0), "shape"),
        (random(2000, 2), random(3, 2), "1 to 1024 tokens"),
        (torch.full((4, 16), float("nan")), random(3, 16), "NaN"),
        (random(4, 16), torch.full((3, 16), float("inf")), "NaN or infinite"),
    ],
)
def test_what_no_planner_wrote_is_refused(task_specific: Tensor, task_invariant: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SignalEmbeddings(task_specific, task_invariant)


def forged(**tensors: Tensor) -> bytes:
    good = {"task_specific": random(4, 16), "task_invariant": random(3, 16), "arguments": torch.zeros(32).byte()}
    return save({**good, **tensors})


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "safetensors"),
        (b"\x80\x04\x95pickle", "safetensors"),
        (header(b"{}", 10 * 2**30), "safetensors"),
        (header(b"not json"), "safetensors"),
        (header(b"{}"), "holds no signals"),
        (
            header(
                json.dumps({"task_specific": {"dtype": "F32", "shape": [4, 16], "data_offsets": [0, 999]}}).encode()
            ),
            "safetensors",
        ),
        (forged()[:-8], "safetensors"),
        (forged(extra=random(2)), "it holds arguments, extra"),
        (save({"task_specific": random(4, 16)}), "it holds task_specific"),
        (forged(task_specific=torch.full((4, 16), float("nan"))), "NaN"),
        (forged(task_invariant=random(3, 99)), "differ in width"),
        (forged(task_specific=random(4)), "float matrix"),
    ],
)
def test_forged_signals_are_refused(media: MediaStore, data: bytes, message: str) -> None:
    handle = media.put_bytes(data, "safetensors")
    with pytest.raises(StorageError, match=message) as caught:
        SignalStore(media).get(handle, DIGEST)
    assert handle in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_origin_comes_back_where_there_is_one(media: MediaStore) -> None:
    store = SignalStore(media)
    own, shared = random(4, 16), random(3, 16)
    for origin in (None, "0f" * 32):
        found = store.get(store.put(SignalEmbeddings(own, shared, origin), DIGEST), DIGEST)
        assert found is not None
        assert found.origin == origin


def test_forged_arguments_match_no_call(media: MediaStore) -> None:
    handle = media.put_bytes(forged(arguments=random(5, 5)), "safetensors")
    assert SignalStore(media).get(handle, DIGEST) is None


def test_unknown_and_odd_handles_are_named(media: MediaStore) -> None:
    for handle in ("sha256:" + "0" * 64, "../../etc/passwd"):
        with pytest.raises(StorageError):
            SignalStore(media).get(handle, DIGEST)


def test_an_untrained_mapper_changes_nothing() -> None:
    mapper = SignalMapper(d_llm=16, d_out=24, n_queries=5, width=32)
    condition = random(2, 5, 24)
    assert torch.equal(condition + mapper(random(2, 7, 16)), condition)


def test_signals_of_another_planner_are_named() -> None:
    with pytest.raises(StorageError, match="signals are 7 wide, not 16"):
        SignalMapper(d_llm=16, d_out=24, n_queries=5, width=32)(random(1, 4, 7))


def test_a_mapper_learns_from_its_signals() -> None:
    torch.manual_seed(0)
    mapper = SignalMapper(d_llm=16, d_out=24, n_queries=5, width=16)
    optimizer = torch.optim.Adam(mapper.parameters(), lr=1e-2)
    v, wanted = torch.randn(4, 7, 16), torch.randn(4, 5, 24)
    losses = []
    for _ in range(60):
        loss = (mapper(v) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert mapper.gate.item() != 0
    assert losses[-1] < 0.7 * losses[0]
    assert not torch.allclose(mapper(v[:1]), mapper(v[1:2]))


def test_a_mapper_has_the_asked_layers() -> None:
    mapper = SignalMapper(d_llm=16, d_out=24, n_queries=5, width=32, encoder_layers=2, decoder_layers=3)
    assert len(mapper.transformer.encoder.layers) == 2
    assert len(mapper.transformer.decoder.layers) == 3
    assert mapper.queries.shape == (1, 5, 32)
    assert mapper(random(3, 9, 16)).shape == (3, 5, 24)
