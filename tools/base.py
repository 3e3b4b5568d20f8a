"""What the tools share: their parts, and the hidden inputs of one call.

Signals, seed, the conversation and the progress writer come in through `ToolRuntime`. Outside a graph there is none:
then pictures are handles of the store or files of the caller's. No specialist is named here; how a tool is made of
these stands in making.py.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.prebuilt import ToolRuntime
from torch import Tensor

from vitron_agent.errors import InputError, MissingInputError, quoted
from vitron_agent.invocation import Module
from vitron_agent.media import MediaKind, MediaStore, Region, RegionKind, load_upload, load_video
from vitron_agent.signals import SignalEmbeddings, SignalStore, arguments_digest
from vitron_agent.specialists.base import SpecialistRequest, SpecialistResult
from vitron_agent.tools.arguments import (
    DRAWN,
    AnyPictureArguments,
    PictureArguments,
    ToolArguments,
    VideoArguments,
)
from vitron_agent.tools.conversation import HANDLE, NAMES, choose, drawn_region, handles, signal_handle
from vitron_agent.tools.receipts import Receipts, request_key
from vitron_agent.tools.residency import Residents
from vitron_agent.tools.stopping import Check

Artifact = dict[str, Any]
PROGRESS = "vitron.progress"
MAX_SEED = 2**63 - 1  # what torch and LangGraph's checkpoints can hold


class ProgressEvent(TypedDict):
    """One step of a specialist, as whoever streams a graph with `stream_mode="custom"` gets it."""

    type: str  # `PROGRESS`
    module: str  # letter of the template, such as "A"
    tool: str
    tool_call_id: str | None
    specialist: str  # one call may run several
    step: int  # from 1
    total: int


@dataclass(frozen=True)
class Toolbox:
    """The parts every tool works with."""

    store: MediaStore
    residents: Residents
    use_signals: bool = True  # False: specialists get the command alone
    receipts: Receipts = field(init=False)

    def __post_init__(self) -> None:
        """Keep receipts beside the media they point to."""
        object.__setattr__(self, "receipts", Receipts(self.store))


@dataclass(frozen=True)
class Picture:
    """An input picture: handle, number in the conversation (None outside one) and pixels, uint8 (3, H, W) RGB."""

    uri: str
    number: int | None
    pixels: Tensor

    @property
    def name(self) -> str:
        """What result texts call it."""
        return f"picture {self.number}" if self.number else "the picture"


@dataclass(frozen=True)
class Video:
    """An input video: handle, number in the conversation (None outside one), frames uint8 (T, 3, H, W) RGB, and fps."""

    uri: str
    number: int | None
    frames: Tensor
    fps: float

    @property
    def name(self) -> str:
        """What result texts call it."""
        return f"video {self.number}" if self.number else "the video"


@dataclass
class Call:
    """One call: its arguments and what it finds around it."""

    toolbox: Toolbox
    module: Module
    arguments: ToolArguments
    runtime: ToolRuntime | None
    config: RunnableConfig
    check: Check  # raises `Cancelled` when the call shall stop
    signals_used: str | None = field(default=None, init=False)

    @property
    def messages(self) -> Sequence[AnyMessage]:
        """The conversation so far; empty outside a graph."""
        state = self.runtime.state if self.runtime else None
        found = state.get("messages", []) if isinstance(state, dict) else state
        return found if isinstance(found, list) else []

    @property
    def seed(self) -> int:
        """The run's seed, moved on by each picture and video, so that asking twice does not make the same one twice."""
        made = sum(len(handles(self.messages, kind)) for kind in NAMES)
        return min(seed_of(self.config) + made, MAX_SEED)

    def signals(self) -> SignalEmbeddings | None:
        """Return the planner's embeddings for exactly this call, or None."""
        if not self.toolbox.use_signals or self.runtime is None:
            return None
        handle = signal_handle(self.messages, self.runtime.tool_call_id, self.arguments)
        if handle is None:
            return None
        found = SignalStore(self.toolbox.store).get(handle, arguments_digest(self.arguments.invocation()))
        self.signals_used = handle if found else None
        return found

    def picture(self) -> Picture:
        """Return the picture the call means; errors are those of `_medium`."""
        assert isinstance(self.arguments, AnyPictureArguments)
        uri, number = self._medium(MediaKind.IMAGE, self.arguments.picture)
        return Picture(uri, number, self.toolbox.store.get_image(uri))

    def video(self) -> Video:
        """Return the video the call means; errors are those of `_medium`."""
        assert isinstance(self.arguments, VideoArguments)
        uri, number = self._medium(MediaKind.VIDEO, self.arguments.video)
        return Video(uri, number, *self.toolbox.store.get_video(uri))

    def _medium(self, kind: MediaKind, wanted: int | str | None) -> tuple[str, int | None]:
        """Return handle and number of a picture or video; outside a graph it has no number, and may be a file.

        Raises:
            MissingInputError: There is none, or not that one.
            InputError: Outside a graph, the caller's file cannot be used.
            StorageError: The store cannot be used.
        """
        if self.runtime is not None:
            return choose(self.messages, kind, wanted)
        if not isinstance(wanted, str):
            raise MissingInputError(f"outside a conversation, give the {NAMES[kind]} as a handle or the path of a file")
        if wanted.startswith(HANDLE):
            return wanted, None
        store = self.toolbox.store
        ref = store.put_upload(load_upload(wanted)) if kind is MediaKind.IMAGE else store.put_video(*load_video(wanted))
        return ref.uri, None

    def region(self) -> Region | None:
        """Return where the call points, or None.

        Raises:
            MissingInputError: It says "drawn" and nothing was drawn.
        """
        assert isinstance(self.arguments, PictureArguments | VideoArguments)
        if self.arguments.region != DRAWN:
            return self.arguments.invocation().region
        region = drawn_region(self.messages)
        if region is None:
            raise MissingInputError("no region was drawn: say in words what is meant, or give a box")
        return region

    def region_mask(self, region: Region, pixels: Tensor) -> Tensor:
        """Return the pixels of a region, bool (H, W), on a picture or frames (..., H, W)."""
        if region.kind is RegionKind.MASK and region.mask:
            return self.toolbox.store.get_mask(region.mask)
        return region.to_mask(pixels.shape[-2], pixels.shape[-1])

    def run(self, specialist: str, request: SpecialistRequest) -> SpecialistResult:
        """Return a specialist's result: from its receipt, or by running it with progress to whoever streams the graph.

        Raises:
            Cancelled: The call was stopped, at the latest one step ago.
        """
        self.check()
        residents = self.toolbox.residents

        def progress(step: int, total: int) -> None:
            self._tell(specialist, step, total)
            self.check()

        key = request_key(specialist, residents.revision(specialist, request, self.check), request)
        return self.toolbox.receipts.run(
            key, lambda: residents.run(specialist, request, progress, self.check), self.check
        )

    def _tell(self, specialist: str, step: int, total: int) -> None:
        if self.runtime is not None:
            told: ProgressEvent = {
                "type": PROGRESS,
                "module": self.module.letter,
                "tool": self.module.tool_name,
                "tool_call_id": self.runtime.tool_call_id,
                "specialist": specialist,
                "step": step,
                "total": total,
            }
            self.runtime.stream_writer(told)


def seed_of(config: RunnableConfig) -> int:
    """Return the seed of a run, `config["configurable"]["seed"]`; 0 where none is given.

    Raises:
        InputError: It is no whole number, or none of 63 bits.
    """
    given = config.get("configurable", {}).get("seed")
    try:
        seed = 0 if given is None else int(given) if isinstance(given, str) else operator.index(given)
    except (TypeError, ValueError):
        raise InputError(f"seed {quoted(str(given), 40)} is no whole number: give one, such as 0") from None
    if abs(seed) > MAX_SEED:
        raise InputError(f"seed {seed} is too large: give a whole number up to {MAX_SEED}")
    return seed
