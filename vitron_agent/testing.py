"""Stand-ins for tests of whatever builds on this library: a scripted planner and an echo specialist.

They obey the same contracts as the real parts, so a graph, a tool or an application can be tested without either.
This file knows nothing of models.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field, PrivateAttr
from torch import Tensor

from vitron_agent.errors import NothingFoundError
from vitron_agent.media import Box, MediaKind
from vitron_agent.specialists.base import Progress, SpecialistRequest, SpecialistResult, ignore_progress

ABSENT = "unicorn"  # the one thing an `EchoSpecialist` never finds
SIDE = 64


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """Return one tool call for a `ScriptedPlanner` reply."""
    return {"name": name, "args": arguments}


Reply = str | Sequence[str | dict[str, Any]] | Exception | Callable[[list[BaseMessage]], Any]
"""What a scripted planner answers: a text; texts and calls; an error to raise; or a function of the messages."""


class ScriptedPlanner(BaseChatModel):
    """A chat model that plays back replies in order, and the last one again when they run out.

    Attributes:
        replies: what it answers.
        seen: the messages of each turn it was asked for.
        signals: (call number, from 0) -> entry for `response_metadata["vitron"]["signals"]`.
    """

    cache: bool | None = False
    replies: list[Any] = Field(default_factory=list)
    seen: list[list[BaseMessage]] = Field(default_factory=list)
    signals: dict[int, dict[str, str]] = Field(default_factory=dict)
    _turn: int = PrivateAttr(default=0)
    _calls: int = PrivateAttr(default=0)

    @property
    def _llm_type(self) -> str:
        return "scripted-planner"

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> Runnable[Any, Any]:
        """Accept tools and ignore them: the script knows its calls."""
        return self.bind(**kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self.seen.append(list(messages))
        reply = self.replies[min(self._turn, len(self.replies) - 1)] if self.replies else "Done."
        self._turn += 1
        if callable(reply):
            reply = reply(messages)
        if isinstance(reply, Exception):
            raise reply
        for chunk in self._chunks([reply] if isinstance(reply, (str, dict)) else reply):
            out = ChatGenerationChunk(message=chunk)
            if run_manager:
                run_manager.on_llm_new_token(str(chunk.text), chunk=out)
            yield out

    def _chunks(self, parts: Sequence[str | dict[str, Any]]) -> list[AIMessageChunk]:
        chunks, signals = [], {}
        for index, part in enumerate(parts):
            if isinstance(part, str):
                chunks.append(AIMessageChunk(content=part))
                continue
            call_id = f"call_{self._calls}"
            if self._calls in self.signals:
                signals[call_id] = self.signals[self._calls]
            self._calls += 1
            arguments = part["args"] if isinstance(part["args"], str) else json.dumps(part["args"])
            piece = tool_call_chunk(name=part["name"], args=arguments, id=call_id, index=1 + index)
            chunks.append(AIMessageChunk(content="", tool_call_chunks=[piece]))
        last = {"model_name": "scripted", "vitron": {"signals": signals}}
        return [*chunks, AIMessageChunk(content="", chunk_position="last", response_metadata=last)]


def paint(words: str, seed: int = 0, height: int = SIDE, width: int = SIDE) -> Tensor:
    """Return a flat picture, uint8 (3, H, W), whose colour is a function of the words and the seed."""
    digest = hashlib.sha256(f"{words} {seed}".encode()).digest()
    return torch.tensor(list(digest[:3]), dtype=torch.uint8)[:, None, None].expand(3, height, width).clone()


class EchoSpecialist:
    """Generator, segmenter and editor in one: quick, deterministic, and what it does can be told from its result.

    It draws flat pictures (`paint`) with a patch for each box of the layout, finds the region (or the middle of the
    picture; never an `ABSENT`), and edits by painting the mask; in videos, it does so in every frame alike.

    Attributes:
        requests: what it was asked for, oldest first.
        error: raised by the next run, when set.
    """

    name = "echo"
    revision = "0"

    def __init__(self, error: Exception | None = None) -> None:
        """Start with no requests."""
        self.requests: list[SpecialistRequest] = []
        self.error = error

    def run(self, request: SpecialistRequest, progress: Progress = ignore_progress) -> SpecialistResult:
        """Echo one request.

        Raises:
            NothingFoundError: The command names an `ABSENT`.
            Exception: `error`, when set.
        """
        self.requests.append(request)
        for step in range(2):
            progress(step + 1, 2)
        if self.error is not None:
            raise self.error
        return self._result(request)

    def _result(self, request: SpecialistRequest) -> SpecialistResult:
        if request.video is not None:
            return self._in_video(request, request.video)
        if request.image is None:
            return SpecialistResult(MediaKind.IMAGE, image=self._drawn(request))
        if request.mask is not None and request.region is None:
            return SpecialistResult(MediaKind.IMAGE, image=self._edited(request, request.image), mask=request.mask)
        return self._found(request, request.image)

    def _drawn(self, request: SpecialistRequest) -> Tensor:
        image = paint(request.command, request.seed)
        for item in request.layout:
            image = torch.where(_box_mask(item.box, SIDE, SIDE), paint(item.phrase), image)
        return image

    def _edited(self, request: SpecialistRequest, image: Tensor) -> Tensor:
        assert request.mask is not None
        return torch.where(request.mask, paint(request.command, request.seed, *image.shape[1:]), image)

    def _in_video(self, request: SpecialistRequest, video: Tensor) -> SpecialistResult:
        """Paint the masks of every frame, where there are any; else find the same place in every frame."""
        if request.masks is not None:
            painted = paint(request.command, request.seed, *video.shape[2:])
            return SpecialistResult(MediaKind.VIDEO, video=torch.where(request.masks[:, None], painted, video))
        found = self._found(request, video[0])
        assert found.mask is not None
        masks = found.mask[None].repeat(len(video), 1, 1)
        return SpecialistResult(MediaKind.VIDEO, masks=masks, track=found.boxes[:1] * len(video))

    def _found(self, request: SpecialistRequest, image: Tensor) -> SpecialistResult:
        if ABSENT in request.command:
            raise NothingFoundError(f"{request.command!r} is not in the picture")
        if request.command in ("everything", "the background"):
            boxes: tuple[Box, ...] = ((0.1, 0.1, 0.3, 0.3), (0.6, 0.6, 0.9, 0.9))
            labels: tuple[str, ...] = ("red circle", "blue square")
        else:
            boxes = (request.region.box if request.region else (0.25, 0.25, 0.5, 0.5),)
            labels = (request.command,)
        height, width = image.shape[1:]
        mask = torch.stack([_box_mask(box, height, width) for box in boxes]).any(0)
        if request.command == "the background":
            mask, boxes, labels = ~mask, ((0.0, 0.0, 1.0, 1.0),), ("background",)
        return SpecialistResult(MediaKind.MASK, mask=mask, boxes=boxes, labels=labels, score=0.9)


class EchoVideoMaker(EchoSpecialist):
    """Makes clips of four flat frames, of words or beginning with the request's picture; else as `EchoSpecialist`."""

    name = "echo-video"

    def _result(self, request: SpecialistRequest) -> SpecialistResult:
        height, width = (SIDE, SIDE) if request.image is None else request.image.shape[1:]
        frames = [paint(f"{request.command} {frame}", request.seed, height, width) for frame in range(4)]
        if request.image is not None:
            frames[0] = request.image
        return SpecialistResult(MediaKind.VIDEO, video=torch.stack(frames))


def _box_mask(box: Box, height: int, width: int) -> Tensor:
    """Return the pixels of a box, bool (height, width)."""
    x1, y1, x2, y2 = box
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[round(y1 * height) : round(y2 * height), round(x1 * width) : round(x2 * width)] = True
    return mask
