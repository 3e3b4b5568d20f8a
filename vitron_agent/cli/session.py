"""A conversation on the command line: the agent with its store, its thread, and one turn at a time.

Named threads live in the user's folder (`VITRON_HOME`): conversations in `conversations.sqlite`, pictures in `media`. A
conversation without a name leaves nothing behind. This file prints nothing.
"""

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitron_agent.cli.ending import drained, ended_by_sigterm
from vitron_agent.errors import FinalError, InputError, StorageError

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from torch import Tensor

    from vitron_agent.graphs.agent import Agent
    from vitron_agent.media import MediaStore, Region, Upload

UNNAMED = "unnamed"
_REMEDIES = {  # by what SQLite says; other errors mean that the file is damaged
    "full": "free the disk",
    "disk I/O": "free the disk, or check it for faults",
    "locked": "close what else uses it",
    "readonly": "check its permissions, or set VITRON_HOME to another folder",
    "unable to open": "check its permissions, or set VITRON_HOME to another folder",
}


@dataclass(frozen=True)
class Turn:
    """What one turn brought."""

    number: int  # in the conversation, from 1
    request: str
    messages: "tuple[AnyMessage, ...]"  # behind the user's message
    region: "Region | None"  # the newest that was drawn
    seconds: float


@dataclass
class Session:
    """An open conversation."""

    agent: "Agent"
    store: "MediaStore"
    thread: str
    seed: int = 0
    files: dict[str, str] = field(default_factory=dict)  # handle -> file of the user's, as far as known

    @property
    def _config(self) -> Any:
        return {"configurable": {"thread_id": self.thread, "seed": self.seed}}

    def messages(self) -> "list[AnyMessage]":
        """Return the conversation so far."""
        return list(self.agent.get_state(self._config).values.get("messages", []))

    def has_media(self) -> bool:
        """Whether a picture or video has been seen or made yet."""
        from vitron_agent.tools.conversation import NAMES, handles

        messages = self.messages()
        return any(handles(messages, kind) for kind in NAMES)

    def turn(
        self,
        request: str,
        images: "Sequence[Upload]" = (),
        region: "Region | None" = None,
        names: Sequence[str] = (),
        on_text: Callable[[str], None] = lambda text: None,
        on_progress: Callable[[str, int, int], None] = lambda name, step, total: None,
        videos: "Sequence[tuple[Tensor, float]]" = (),
    ) -> Turn:
        """Run one user turn.

        Args:
            request: What the user says.
            images: Files of pictures that come with it.
            region: What the user drew on the latest picture or video.
            names: The files of pictures, then of videos, for the record.
            on_text: Gets the reply's text as it is written.
            on_progress: Gets tool, step and total as tools work.
            videos: Videos that come with it: frames uint8 (T, 3, H, W), and frames per second.

        Raises:
            InputError: A region with nothing to lie on.
            Cancelled: The user pressed Ctrl-C; the conversation is whole, and can go on.
            Terminated: SIGTERM came, and the conversation is as whole.
            FinalError: The turn ended with an error that trying again would not mend.
        """
        from vitron_agent.graphs import user_turn
        from vitron_agent.tools.conversation import drawn_region

        refs = [self.store.put_upload(image) for image in images]
        clips = [self.store.put_video(frames, fps) for frames, fps in videos]
        for ref, name in zip([*refs, *clips], names, strict=False):
            self.files[ref.uri] = name
        if region and not refs and not clips and not self.has_media():
            raise InputError("a region needs something to lie on: give a picture or a video first")
        message = user_turn(request, refs, region, clips)
        start = time.perf_counter()
        with drained(lambda: self.agent.stop(self.thread)):
            self._stream(message, on_text, on_progress)
        seconds = time.perf_counter() - start
        everything = self.messages()
        users = [index for index, m in enumerate(everything) if m.type == "human"]
        fresh = tuple(everything[users[-1] + 1 :])
        _raise_final(fresh)
        return Turn(len(users), request, fresh, drawn_region(everything), seconds)

    def _stream(
        self, message: Any, on_text: Callable[[str], None], on_progress: Callable[[str, int, int], None]
    ) -> None:
        from vitron_agent.tools.base import PROGRESS

        inputs: Any = {"messages": [message]}
        speaking: str | None = None  # id of the reply that was last heard
        for part in self.agent.stream(inputs, self._config, stream_mode=["messages", "custom"], version="v2"):
            data: Any = part["data"]
            if part["type"] == "custom" and data.get("type") == PROGRESS:
                on_progress(data["tool"], data["step"], data["total"])
            elif part["type"] == "messages" and data[1].get("langgraph_node") == "plan" and data[0].text:
                on_text("\n" if speaking not in (None, data[0].id) else "")
                on_text(str(data[0].text))
                speaking = data[0].id


def _raise_final(messages: "Sequence[AnyMessage]") -> None:
    """Raise what closed a turn for good, as the error it was."""
    from vitron_agent import errors
    from vitron_agent.graphs.nodes import error_of

    found = error_of(messages[-1]) if messages else None
    kind = getattr(errors, found["type"], None) if found else None
    if found and isinstance(kind, type) and issubclass(kind, FinalError):
        raise kind(found["message"])


@contextlib.contextmanager
def open_session(
    profile: str,
    thread: str | None = None,
    use_signals: bool = True,
    seed: int = 0,
    *,
    weights: Path | None = None,
    memory: str | None = None,
    host_memory: str | None = None,
) -> Iterator[Session]:
    """Open a conversation: a named one from the user's folder, else one that is forgotten afterwards.

    Weights and amounts of memory are as in `build_agent`.

    Raises:
        InputError: Unknown profile, no amount of memory, or the thread is open in another process.
        CheckpointError: The planner's weights are missing or broken.
        MemoryExhausted: The planner does not fit into `memory`.
        StorageError: The user's folder cannot be used.
        Terminated: SIGTERM came.
    """
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")  # stored conversations are data: nothing else is rebuilt
    from vitron_agent import build, locations
    from vitron_agent.media import MediaStore

    locations.loadable(profile, weights)
    with contextlib.ExitStack() as stack:
        stack.enter_context(ended_by_sigterm())
        if thread is None:
            from langgraph.checkpoint.memory import InMemorySaver

            saver: BaseCheckpointSaver[Any] = InMemorySaver()
            store = MediaStore(stack.enter_context(_temporary_folder()))
        else:
            home = locations.user_folder()
            stack.enter_context(_lock(home, thread))
            saver = stack.enter_context(_conversations(home))
            store = build.default_store()
        limits: dict[str, Any] = {"memory": memory, "host_memory": host_memory}
        agent = build.build_agent(profile, saver, use_signals, store=store, weights=weights, **limits)
        yield Session(agent, store, thread or UNNAMED, seed)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[str]:
    """Make a folder that is gone afterwards."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="vitron-")
    except OSError as error:
        reason = error.strerror or "there is none"
        raise StorageError(f"no temporary folder can be made ({reason}): free the disk, or set TMPDIR") from None
    with folder as path:
        yield path


@contextlib.contextmanager
def _conversations(home: Path) -> "Iterator[BaseCheckpointSaver[Any]]":
    """Open the user's conversations."""
    from vitron_agent.graphs import open_conversations

    path = home / "conversations.sqlite"
    try:
        with open_conversations(path) as saver:
            yield saver
    except sqlite3.Error as error:
        remedy = next(
            (remedy for sign, remedy in _REMEDIES.items() if sign in str(error)), "move it away to start afresh"
        )
        raise StorageError(f"{path} cannot be used ({error}): {remedy}") from None


@contextlib.contextmanager
def _lock(home: Path, thread: str) -> Iterator[None]:
    """Keep other processes off one conversation: two turns at once would lose one of them."""
    folder = home / "threads"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / f"{thread}.lock").open("w")
    except OSError as error:
        raise StorageError(f"{home} cannot be written ({error.strerror}): set VITRON_HOME to another folder") from None
    with handle:
        try:
            import fcntl
        except ImportError:  # Windows: no lock, one process at a time is the user's care
            yield
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"thread {thread!r} is in use by another process: wait, or choose another name") from None
        yield
