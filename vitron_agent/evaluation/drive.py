"""Runs conversations through the compiled agent, the way a user would: messages in, texts, pictures and videos out.

Knows LangChain messages and the media store; it does not know what would have been right (judge.py).
"""

import textwrap
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from PIL import Image, ImageDraw

from vitron_agent.errors import VitronError
from vitron_agent.evaluation.cases import Case
from vitron_agent.graphs import user_turn
from vitron_agent.graphs.agent import Agent
from vitron_agent.invocation import Invocation, Module
from vitron_agent.media import Box, MediaKind, MediaStore
from vitron_agent.shapes.clip import FPS, frames_of
from vitron_agent.shapes.render import render
from vitron_agent.shapes.scene import Scene
from vitron_agent.tools.arguments import ARGUMENTS
from vitron_agent.tools.track_video import read_track

LETTERS = {module.tool_name: module.letter for module in Module}


@dataclass(frozen=True)
class CallRecord:
    """One call that the planner wrote, and what became of it.

    Attributes:
        letter: Its module, "?" if there is no such tool.
        arguments: As written.
        done: Whether the tool succeeded.
        said: What the tool told the planner, or why the call could not be read.
        seconds: What the tool took; 0 where it was not run.
        source: Handle of the picture or video it worked on, None for a generation.
        handle: Handle of a new picture or video.
        image: (3, H, W) uint8, the new picture.
        mask: (H, W) bool, what was found (B) or repainted (C).
        signals: Whether the specialist had the planner's embeddings.
        well_formed: Whether the call could be read and fitted the tool's schema.
        video: (T, 3, H, W) uint8, the new video.
        masks: (T, H, W) bool, what was followed through a video.
        track: The box around each of `masks`, None where nothing is seen.
    """

    letter: str
    arguments: dict[str, Any]
    done: bool
    said: str
    seconds: float = 0.0
    source: str | None = None
    handle: str | None = None
    image: torch.Tensor | None = None
    mask: torch.Tensor | None = None
    signals: bool = False
    well_formed: bool = True
    video: torch.Tensor | None = None
    masks: torch.Tensor | None = None
    track: tuple[Box | None, ...] = ()

    @property
    def command(self) -> str:
        """The call's command, "" if it has none."""
        return str(self.arguments.get("command", ""))


@dataclass(frozen=True)
class TurnRecord:
    """What came of one request.

    Attributes:
        text: The assistant's words, of all its messages of the turn.
        final: Its last words.
        calls: In order.
        seconds: Wall clock of the turn.
        pictures: (3, H, W) uint8 each, what the user sent with it.
        handles: Their handles.
        clips: (T, 3, H, W) uint8 each, the user's videos as the store gives them back.
        clip_handles: Their handles.
    """

    text: str
    final: str
    calls: tuple[CallRecord, ...]
    seconds: float
    pictures: tuple[torch.Tensor, ...] = ()
    handles: tuple[str, ...] = ()
    clips: tuple[torch.Tensor, ...] = ()
    clip_handles: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaseRecord:
    """What came of one case.

    Attributes:
        turns: One per turn that was run.
        error: The exception that stopped the case, as text.
    """

    turns: tuple[TurnRecord, ...]
    error: str | None = None


def picture_of(scene: Scene) -> torch.Tensor:
    """Draw a scene: (3, 64, 64) uint8."""
    return (render([scene]).images[0] * 255).round().to(torch.uint8)


def with_words(picture: torch.Tensor, words: str) -> torch.Tensor:
    """Write words across a picture, (3, H, W) uint8, as large as they come and in as many lines as they need."""
    if not words:
        return picture
    page = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    text = "\n".join(textwrap.wrap(words, max(1, picture.shape[2] // 6)))
    ImageDraw.Draw(page).multiline_text((1, 1), text, "white", stroke_width=1, stroke_fill="black", spacing=0)
    return torch.from_numpy(np.array(page)).permute(2, 0, 1).contiguous()


def drive(agent: Agent, store: MediaStore, case: Case, plan_only: bool = False) -> CaseRecord:
    """Run a case. An exception ends it and is recorded: one broken case must not end an evaluation.

    Args:
        agent: The compiled graph.
        store: Its media store.
        case: The conversation.
        plan_only: Stop after the planner's first reply: its calls are recorded, no tool runs.
    """
    config: Any = {"configurable": {"seed": case.seed}}
    messages: list[AnyMessage] = []
    turns: list[TurnRecord] = []
    try:
        for turn in case.turns:
            pictures = tuple(with_words(picture_of(scene), turn.written) for scene in turn.scenes)
            handles = tuple(store.put_image(picture).uri for picture in pictures)
            clip_handles = tuple(store.put_video(frames_of(clip), FPS).uri for clip in turn.clips)
            message = user_turn(turn.say, handles, turn.region, clip_handles)
            start, known = time.perf_counter(), len(messages) + 1
            if plan_only:
                messages = _first_reply(agent, [*messages, message], config)
            else:
                messages = agent.invoke({"messages": [*messages, message]}, config)["messages"]
            record = _record(messages[known:], store, time.perf_counter() - start)
            clips = tuple(store.get_video(handle)[0] for handle in clip_handles)
            sent = {"pictures": pictures, "handles": handles, "clips": clips, "clip_handles": clip_handles}
            turns.append(replace(record, **sent))  # type: ignore[arg-type]
            if plan_only:
                break
    except Exception as error:  # whatever it is belongs into the report, next to the case it happened in
        return CaseRecord(tuple(turns), f"{type(error).__name__}: {error}")
    return CaseRecord(tuple(turns))


def _first_reply(agent: Agent, messages: list[AnyMessage], config: Any) -> list[AnyMessage]:
    """The messages with the planner's first reply: leaving the stream ends the run before any tool starts."""
    for update in agent.stream({"messages": messages}, config, stream_mode="updates"):
        if "plan" in update:
            return [*messages, *update["plan"]["messages"]]
    return messages


def _record(messages: list[AnyMessage], store: MediaStore, seconds: float) -> TurnRecord:
    """Sort a turn's messages into words and calls."""
    replies = [message for message in messages if isinstance(message, AIMessage)]
    results = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
    calls: list[CallRecord] = []
    for reply in replies:
        calls += [_call(dict(call), results.get(str(call["id"])), store) for call in reply.tool_calls]
        for broken in reply.invalid_tool_calls:
            letter = LETTERS.get(str(broken.get("name")), "?")
            calls.append(CallRecord(letter, {}, False, str(broken.get("error")), well_formed=False))
    texts = [str(reply.text).strip() for reply in replies]
    return TurnRecord(" ".join(t for t in texts if t), texts[-1] if texts else "", tuple(calls), seconds)


def invocation_of(letter: str, arguments: dict[str, Any]) -> Invocation | None:
    """The invocation that a call's arguments stand for, None if they do not fit the tool's schema."""
    try:
        return ARGUMENTS[Module[letter]].model_validate(arguments).invocation()
    except (KeyError, ValueError, VitronError):
        return None


def _call(call: dict[str, Any], result: ToolMessage | None, store: MediaStore) -> CallRecord:
    """Join a call with its result; pixels are fetched from the store."""
    letter = LETTERS.get(call["name"], "?")
    said = str(result.text) if result else ""
    artifact = result.artifact if result is not None and result.status == "success" else None
    if not isinstance(artifact, dict):
        return CallRecord(
            letter, call["args"], False, said, well_formed=invocation_of(letter, call["args"]) is not None
        )
    record = CallRecord(
        letter,
        call["args"],
        True,
        said,
        float(artifact.get("seconds") or 0.0),
        next(iter(artifact.get("inputs") or ()), None),
        signals=bool(artifact.get("signals")),
    )
    return _with_pixels(record, artifact, store)


def _with_pixels(record: CallRecord, artifact: dict[str, Any], store: MediaStore) -> CallRecord:
    """The record with what the call made or found."""
    if artifact.get("mask_uri"):
        record = replace(record, mask=store.get_mask(artifact["mask_uri"]))
    if artifact.get("track_uri"):
        masks, track = read_track(store, artifact["track_uri"])
        record = replace(record, masks=masks, track=track)
    if artifact.get("kind") == MediaKind.IMAGE.value:
        record = replace(record, handle=artifact["uri"], image=store.get_image(artifact["uri"]))
    if artifact.get("kind") == MediaKind.VIDEO.value:
        record = replace(record, handle=artifact["uri"], video=store.get_video(artifact["uri"])[0])
    return record
