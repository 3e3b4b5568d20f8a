"""Receipts: what a specialist has made once is not made again.

A receipt stands under the digest of everything a result depends on: specialist and revision, command, the digests of
the pixels it is given, region, layout, signals, seed and settings. It points to the result in the media store. So a
turn that is resumed after a crash, tried again, or asked for by two callers at once costs each specialist call once.
Nothing is trusted: a receipt whose picture is missing or damaged is as good as none. This file knows no tool.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from vitron_agent.errors import StorageError
from vitron_agent.media import MediaKind, MediaStore, Region
from vitron_agent.signals import SignalEmbeddings
from vitron_agent.specialists.base import SpecialistRequest, SpecialistResult
from vitron_agent.tools.stopping import Check, held, never_stop

_FORM = 4  # of keys and results: another number, and older receipts are no longer found


class Receipts:
    """The receipts of one media store, and a lock for each key that is being worked on in this process.

    Two processes that start the same work at the same moment both do it; their results are the same, and one stays.
    """

    def __init__(self, store: MediaStore) -> None:
        """Keep receipts in `store`, beside the media they point to: what a power cut takes is made again."""
        self._store = store.without_sync()
        self._guard = threading.Lock()
        self._flights: dict[str, tuple[threading.Lock, int]] = {}  # key -> its lock, and how many want it

    def run(self, key: str, work: Callable[[], SpecialistResult], check: Check = never_stop) -> SpecialistResult:
        """Return the result under a key, doing the work if there is none yet.

        Args:
            key: See `request_key`.
            work: Makes the result; it runs once, however many callers ask at once.
            check: Stops a caller that waits for another.

        Raises:
            StorageError: The store cannot be written. Nothing half written stays.
            Cancelled: `check` or the work said so.
            VitronError: Whatever the work raises; of that no receipt is kept.
        """
        with self._alone(key, check):
            result = self.find(key)
            if result is None:
                result = work()
                self._keep(key, result)
            return result

    def find(self, key: str) -> SpecialistResult | None:
        """Return the result under a key, every pixel checked, or None if it is not whole."""
        try:
            uri = self._store.linked(key)
            return self._read(json.loads(self._store.get_bytes(uri))) if uri else None
        except (StorageError, ValueError, KeyError, TypeError):
            return None

    def _keep(self, key: str, result: SpecialistResult) -> None:
        """Store pixels, then the result, then the receipt: who finds the receipt finds all."""
        store = self._store
        facts = {
            "kind": result.kind.value,
            "image": store.put_image(result.image).uri if result.image is not None else None,
            "mask": store.put_mask(result.mask).uri if result.mask is not None else None,
            "boxes": result.boxes,
            "labels": result.labels,
            "score": result.score,
            "masks": [store.put_mask(mask).uri for mask in result.masks] if result.masks is not None else None,
            "track": result.track,
            "video": [store.put_image(frame).uri for frame in result.video] if result.video is not None else None,
            "looks": {name: store.put_image(picture).uri for name, picture in result.looks.items()},
        }
        store.link(key, store.put_bytes(json.dumps(facts).encode(), "json"))

    def _read(self, facts: dict[str, Any]) -> SpecialistResult:
        return SpecialistResult(
            MediaKind(facts["kind"]),
            image=self._store.get_image(facts["image"]) if facts["image"] else None,
            mask=self._store.get_mask(facts["mask"]) if facts["mask"] else None,
            boxes=tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in facts["boxes"]),
            labels=tuple(facts["labels"]),
            score=facts["score"],
            masks=torch.stack([self._store.get_mask(uri) for uri in facts["masks"]]) if facts["masks"] else None,
            track=tuple(tuple(box) if box else None for box in facts["track"]),
            video=torch.stack([self._store.get_image(uri) for uri in facts["video"]]) if facts["video"] else None,
            looks={name: self._store.get_image(uri) for name, uri in facts["looks"].items()},
        )

    @contextmanager
    def _alone(self, key: str, check: Check) -> Iterator[None]:
        """Keep others off a key; its lock is forgotten when nobody wants it any more."""
        with self._guard:
            lock, wanted = self._flights.get(key, (threading.Lock(), 0))
            self._flights[key] = lock, wanted + 1
        try:
            with held(lock, check):
                yield
        finally:
            with self._guard:
                lock, wanted = self._flights.pop(key)
                if wanted > 1:
                    self._flights[key] = lock, wanted - 1


def request_key(specialist: str, revision: str, request: SpecialistRequest) -> str:
    """Return 64 hex digits that stand for all that a result depends on.

    Args:
        specialist: Its name.
        revision: What its results depend on besides: its weights, and what it was handed (`Residents.revision`).
        request: What it is asked for; pixels count by their contents, signals by their origin.
    """
    reference = request.reference
    parts = {
        "form": _FORM,
        "specialist": [specialist, revision],
        "command": request.command,
        "image": _digest(request.image),
        "video": _digest(request.video),
        "region": _plain(request.region),
        "layout": [item.model_dump(mode="json") for item in request.layout],
        "mask": _digest(request.mask),
        "masks": _digest(request.masks),
        "keyframes": {str(frame): _digest(picture) for frame, picture in request.keyframes.items()},
        "draft": _digest(request.draft),
        "reference": [_digest(reference[0]), _plain(reference[1])] if reference else None,
        "signals": _signals_digest(request.signals) if request.signals else None,
        "settings": [request.seed, request.steps, request.guidance],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _plain(region: Region | None) -> Any:
    return region.model_dump(mode="json") if region else None


def _signals_digest(signals: SignalEmbeddings) -> list[str | None]:
    """Return what signals count by: what determines them, where that is known, for their last bits come and go."""
    if signals.origin is not None:
        return ["origin", signals.origin]
    return [_digest(signals.task_specific), _digest(signals.task_invariant)]


def _digest(tensor: Tensor | None) -> str | None:
    """Return the digest of a tensor's type, shape and contents."""
    if tensor is None:
        return None
    values = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{values.dtype} {tuple(values.shape)} ".encode())
    digest.update(values.reshape(-1).view(torch.uint8).numpy().data)  # as bytes: numpy knows no bfloat16
    return digest.hexdigest()
