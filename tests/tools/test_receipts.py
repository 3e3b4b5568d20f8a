"""Work is done once, and nothing broken is ever shown."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vitron_agent.errors import Cancelled, NothingFoundError, StorageError
from vitron_agent.graphs import user_turn
from vitron_agent.invocation import GroundedPhrase
from vitron_agent.media import MediaKind, MediaStore, Region
from vitron_agent.media import contents as contents_module
from vitron_agent.signals import SignalEmbeddings
from vitron_agent.specialists.base import SpecialistRequest, SpecialistResult
from vitron_agent.testing import EchoSpecialist, paint
from vitron_agent.tools.receipts import Receipts, request_key

REQUEST = SpecialistRequest("the red circle", image=paint("a"), region=Region.from_box(0.1, 0.1, 0.5, 0.5))
KEY = request_key("seem", "1", REQUEST)


@pytest.fixture
def result() -> SpecialistResult:
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[3:9, 4:8] = True
    boxes = ((0.1, 0.2, 1 / 3, 0.4),)
    return SpecialistResult(MediaKind.MASK, image=paint("x"), mask=mask, boxes=boxes, labels=("x",), score=0.7)


@pytest.fixture
def receipts(store: MediaStore) -> Receipts:
    return Receipts(store)


def never() -> SpecialistResult:
    raise AssertionError("this work was done already")


def same(a: SpecialistResult, b: SpecialistResult) -> bool:
    pixels = torch.equal(a.image, b.image) and torch.equal(a.mask, b.mask)
    return pixels and (a.kind, a.boxes, a.labels, a.score) == (b.kind, b.boxes, b.labels, b.score)


def test_a_result_comes_back_as_it_was_also_in_another_process(store: MediaStore, result: SpecialistResult) -> None:
    Receipts(store).run(KEY, lambda: result)
    assert same(Receipts(store).run(KEY, never), result)


def test_a_tracked_clip_comes_back_frame_by_frame(receipts: Receipts, result: SpecialistResult) -> None:
    assert result.mask is not None
    masks = torch.stack([result.mask, torch.zeros_like(result.mask)])
    tracked = replace(result, masks=masks, track=((0.1, 0.2, 1 / 3, 0.4), None))
    receipts.run(KEY, lambda: tracked)
    found = receipts.run(KEY, never)
    assert found.masks is not None
    assert torch.equal(found.masks, masks)
    assert found.track == tracked.track


def test_the_receipt_is_small_and_leads_to_the_store(receipts: Receipts, store: MediaStore, result: Any) -> None:
    receipts.run(KEY, lambda: result)
    (path,) = (store.folder / "links").rglob("*.json")
    assert path.stem == KEY
    assert len(path.read_bytes()) < 100
    assert len(store.get_bytes(store.linked(KEY))) < 1000


@pytest.mark.parametrize(
    "change",
    [
        {"command": "the blue circle"},
        {"image": paint("b")},
        {"image": None},
        {"video": paint("b")[None]},
        {"region": Region.from_box(0.1, 0.1, 0.5, 0.6)},
        {"region": None},
        {"layout": (GroundedPhrase(phrase="star", box=(0.1, 0.1, 0.2, 0.2)),)},
        {"mask": torch.ones(64, 64, dtype=torch.bool)},
        {"reference": (paint("c"), Region.from_box(0.1, 0.1, 0.5, 0.5))},
        {"signals": SignalEmbeddings(torch.ones(2, 4), torch.zeros(2, 4))},
        {"signals": SignalEmbeddings(torch.ones(2, 4).bfloat16(), torch.zeros(2, 4).bfloat16())},
        {"seed": 1},
        {"steps": 5},
        {"guidance": 2.0},
    ],
)
def test_whatever_a_result_depends_on_is_in_the_key(change: dict[str, Any]) -> None:
    assert request_key("seem", "1", replace(REQUEST, **change)) != KEY


def test_signals_of_one_origin_count_as_the_same_whatever_their_last_bits_are() -> None:
    def key(value: float, origin: str | None) -> str:
        signals = SignalEmbeddings(torch.full((2, 4), value), torch.zeros(2, 4), origin)
        return request_key("seem", "1", replace(REQUEST, signals=signals))

    assert key(1.0, "a") == key(1.0000001, "a") != key(1.0, "b")
    assert len({key(1.0, None), key(1.0000001, None), key(1.0, "a")}) == 3


def test_the_key_names_specialist_and_weights_and_is_stable() -> None:
    keys = {request_key("seem", "2", REQUEST), request_key("gligen", "1", REQUEST), KEY}
    assert len(keys) == 3
    assert request_key("seem", "1", replace(REQUEST, image=paint("a"))) == KEY


def test_the_shape_of_a_picture_counts() -> None:
    tall, wide = (torch.zeros(3, *size, dtype=torch.uint8) for size in ((4, 2), (2, 4)))
    assert request_key("s", "1", SpecialistRequest("x", tall)) != request_key("s", "1", SpecialistRequest("x", wide))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [Path.unlink, truncate, flip, empty])
@pytest.mark.parametrize("what", ["links/*/*.json", "*/*.png", "*/*.ref.json", "*/*[0-9a-f].json"])
def test_what_is_missing_or_damaged_is_made_again(
    receipts: Receipts, store: MediaStore, result: SpecialistResult, damage: Any, what: str
) -> None:
    receipts.run(KEY, lambda: result)
    files = list(store.folder.glob(what))
    assert files
    for path in files:
        damage(path)
    assert receipts.find(KEY) is None
    assert same(receipts.run(KEY, lambda: result), result)
    assert same(receipts.run(KEY, never), result)


def test_of_two_at_once_one_works(receipts: Receipts, result: SpecialistResult) -> None:
    made, gate = [], threading.Barrier(8)

    def work() -> SpecialistResult:
        made.append(1)
        time.sleep(0.05)
        return result

    def ask(_: int) -> SpecialistResult:
        gate.wait(10)
        return receipts.run(KEY, work)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert made == [1]
    assert all(same(one, result) for one in found)
    assert receipts._flights == {}


def test_another_key_does_not_wait(receipts: Receipts, result: SpecialistResult) -> None:
    other = request_key("seem", "2", REQUEST)
    assert same(receipts.run(KEY, lambda: receipts.run(other, lambda: result)), result)


def test_who_waits_for_a_twin_can_be_stopped(receipts: Receipts, result: SpecialistResult) -> None:
    started, end, stop = threading.Event(), threading.Event(), threading.Event()

    def work() -> SpecialistResult:
        started.set()
        end.wait(10)
        return result

    def check() -> None:
        if stop.is_set():
            raise Cancelled("stopped")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(receipts.run, KEY, work)
        started.wait(10)
        second = pool.submit(receipts.run, KEY, never, check)
        stop.set()
        with pytest.raises(Cancelled):
            second.result(5)
        end.set()
        assert same(first.result(5), result)


def test_a_failure_leaves_no_receipt(receipts: Receipts, result: SpecialistResult) -> None:
    def fail() -> SpecialistResult:
        raise NothingFoundError("nothing there")

    with pytest.raises(NothingFoundError):
        receipts.run(KEY, fail)
    assert same(receipts.run(KEY, lambda: result), result)


@pytest.mark.parametrize("write", range(8))
def test_a_full_disk_leaves_nothing_half_written(
    receipts: Receipts, store: MediaStore, result: SpecialistResult, write: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Picture, mask, result and receipt are written with a `.ref.json` each: seven writes; the eighth never comes."""
    whole, count = contents_module.write_file, iter(range(100))

    def full(path: str, data: bytes, sync: bool) -> None:
        if next(count) == write:
            raise OSError(28, "No space left on device")
        whole(path, data, sync)

    monkeypatch.setattr(contents_module, "write_file", full)
    if write < 7:
        with pytest.raises(StorageError, match="No space left on device"):
            receipts.run(KEY, lambda: result)
        assert store.linked(KEY) is None
        monkeypatch.undo()
    assert same(receipts.run(KEY, lambda: result), result)
    assert not list(store.folder.rglob("*.tmp"))


def test_a_store_in_memory_keeps_receipts_too(result: SpecialistResult) -> None:
    receipts = Receipts(MediaStore("memory://receipts"))
    receipts.run(KEY, lambda: result)
    assert same(receipts.run(KEY, never), result)


def test_tools_use_them_alone_and_in_a_node(tools, bench, picture: str, echo: EchoSpecialist) -> None:
    for _ in range(2):
        tools["segment_image"].invoke({"command": "it", "picture": picture})
    assert len(echo.requests) == 1
    talk = [user_turn("look", [picture])]
    answers = [bench.run(talk, "edit_image", {"command": "remove the red circle"}, seed=3) for _ in range(2)]
    assert len(echo.requests) == 3  # the segmenter once, the editor once
    first, second = ({**answer.artifact, "seconds": 0} for answer in answers)
    assert first == second
    bench.run(talk, "edit_image", {"command": "remove the red circle"}, seed=4)
    assert len(echo.requests) == 4  # another seed is another picture, of the same mask
