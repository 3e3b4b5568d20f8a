"""Visible construction: from a profile's name to its planner, its specialists, its tools and the agent.

Registries are literal: name -> builder. Nothing is read from disk before it is asked for; specialists are loaded at
their first call and then kept. Heavy libraries are imported inside the builders, so that importing this file is cheap.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitron_agent.errors import CheckpointError, InputError, quoted
from vitron_agent.profiles import DEFAULT_PROFILE, Profile, find_profile

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import StructuredTool
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from vitron_agent.graphs.agent import Agent
    from vitron_agent.invocation import Module
    from vitron_agent.media import MediaSources, MediaStore
    from vitron_agent.specialists.base import Specialist

HOME_VARIABLE = "VITRON_HOME"


def user_folder() -> Path:
    """Return where conversations and media lie: $VITRON_HOME, else a folder of this user's.

    Raises:
        InputError: it begins with the home folder of a user that is not known.
    """
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    chosen = os.environ.get(HOME_VARIABLE) or f"{data}/vitron-agent"
    try:
        return Path(chosen).expanduser()
    except RuntimeError:
        raise InputError(f"{quoted(chosen)} is no folder (no such user): set {HOME_VARIABLE} to a full path") from None


def default_store() -> "MediaStore":
    """Return the user's media store."""
    from vitron_agent.media import MediaStore

    return MediaStore(user_folder() / "media")


def loadable(name: str) -> Profile:
    """Return a profile that this version can load.

    Raises:
        InputError: unknown profile.
        CheckpointError: the profile is only described; the message says what it lacks.
    """
    profile = find_profile(name)
    if profile.folder is None:
        needed = ", ".join(part.source for part in profile.parts)
        raise CheckpointError(
            f"profile {name!r} cannot be loaded by this version (it would need {needed}): "
            f"use profile {DEFAULT_PROFILE!r}, and see `vitron-agent models`"
        )
    return profile


def require(profile: Profile, part: str) -> Path:
    """Return the folder of a profile whose part is complete.

    Raises:
        CheckpointError: files of the part are missing.
    """
    assert profile.folder is not None  # `loadable` made sure
    if missing := profile.missing(profile.part(part)):
        raise CheckpointError(
            f"weights of {part} are incomplete: {profile.folder / missing[0]} is missing; install the package again, "
            "or make them with `vitron-agent train`"
        )
    return profile.folder


def build_planner(
    profile: str = DEFAULT_PROFILE, store: "MediaStore | None" = None, use_signals: bool = True
) -> "BaseChatModel":
    """Load the planner of a profile as a chat model.

    Args:
        profile: its name.
        store: where the pictures of its conversations lie; the user's store by default.
        use_signals: whether it leaves embeddings for the specialists.

    Raises:
        InputError: unknown profile.
        CheckpointError: weights are missing or broken.
    """
    folder = require(loadable(profile), "planner")
    return PLANNERS[profile](folder, store or default_store(), use_signals)


def build_specialist(name: str, profile: str = DEFAULT_PROFILE) -> "Specialist":
    """Load one specialist of a profile.

    Args:
        name: gligen, gligen_inpaint, seem, stable_video, zeroscope or i2vgen_xl.
        profile: its name.

    Raises:
        InputError: unknown profile or specialist.
        CheckpointError: weights are missing or broken.
    """
    found = loadable(profile)
    if name not in SPECIALISTS:
        raise InputError(f"specialist {name[:60]!r} is unknown: choose one of {', '.join(SPECIALISTS)}")
    assert found.folder is not None  # `loadable` made sure
    return SPECIALISTS[name](found.folder if name in WEIGHTLESS else require(found, name))


def vitron_tools(
    profile: str = DEFAULT_PROFILE,
    store: "MediaStore | None" = None,
    use_signals: bool = True,
    *,
    specialists: "Mapping[str, Callable[[], Specialist]] | None" = None,
) -> "list[StructuredTool]":
    """Make the tools of a profile; its specialists are loaded at their first call.

    A tool whose specialist is an extra of the profile is made only where its weights are there, or you bring one.

    Args:
        profile: its name.
        store: where pictures lie; the user's store by default.
        use_signals: whether the planner's embeddings reach the specialists.
        specialists: your own in place of the profile's: name -> a class or function that builds one, called at
            its first use, and again if it had to leave memory for another.

    Raises:
        InputError: unknown profile, or a specialist that no tool asks for or that is built already.
        CheckpointError: the profile cannot be loaded by this version.
    """
    from vitron_agent.tools import Residents, Toolbox, make_tools

    found = loadable(profile)
    own = dict(specialists or {})
    if foreign := sorted(own.keys() - SPECIALISTS.keys()):
        raise InputError(f"specialist {foreign[0][:60]!r} is asked for by no tool: use {', '.join(SPECIALISTS)}")
    for name, make in own.items():
        if not callable(make):
            raise InputError(
                f"specialist {name!r} is one {type(make).__name__}: give what builds it, such as its class"
            )
    absent = {part.name for part in found.extras if found.missing(part)}
    ours = {name: partial(build_specialist, name, profile) for name in SPECIALISTS if name not in absent}
    return make_tools(Toolbox(store or default_store(), Residents({**ours, **own}), use_signals))


def build_agent(
    profile: str = DEFAULT_PROFILE,
    checkpointer: "BaseCheckpointSaver[Any] | None" = None,
    use_signals: bool = True,
    *,
    store: "MediaStore | None" = None,
    planner: "BaseChatModel | None" = None,
    specialists: "Mapping[str, Callable[[], Specialist]] | None" = None,
    approve: "Collection[Module | str]" = (),
    sources: "MediaSources | None" = None,
) -> "Agent":
    """Build the agent: planner, tools and the graph around them.

    Conversations run side by side; turns on one thread id queue up, so that none is lost. `agent.stop(thread_id)` stops
    a running turn.

    Args:
        profile: its name.
        checkpointer: keeps conversations by thread id; None keeps nothing.
        use_signals: whether the planner's embeddings reach the specialists, besides the words.
        store: where pictures lie; the user's store by default.
        planner: another chat model to plan with; it works by words alone.
        specialists: your own in place of the profile's: name -> a class or function that builds one, called at
            its first use, and again if it had to leave memory for another.
        approve: modules (such as "C", or "edit_image") whose calls wait until a person has approved, edited or rejected
            them; `vitron_agent.graphs.review` shows how.
        sources: where users' pictures may come from besides the store and the messages: downloads, folders. Nowhere
            by default.

    Returns:
        The compiled graph. `agent.invoke({"messages": [user_turn("draw a red circle")]})` runs one turn.

    Raises:
        InputError: unknown profile or module, a specialist that no tool asks for, or approval without a checkpointer.
        CheckpointError: the planner's weights are missing or broken.
    """
    from vitron_agent.graphs import make_agent
    from vitron_agent.media import NO_SOURCES

    store = store or default_store()
    chosen = planner or build_planner(profile, store, use_signals)
    tools = vitron_tools(profile, store, use_signals, specialists=specialists)
    return make_agent(chosen, tools, store, checkpointer, approve=approve, sources=sources or NO_SOURCES)


def create_vitron_agent(
    profile: str = DEFAULT_PROFILE,
    checkpointer: "BaseCheckpointSaver[Any] | None" = None,
    use_signals: bool = True,
    *,
    store: "MediaStore | None" = None,
    planner: "BaseChatModel | None" = None,
    approve: "Collection[Module | str]" = (),
    middleware: "Sequence[AgentMiddleware[Any, Any]]" = (),
    sources: "MediaSources | None" = None,
) -> "Agent":
    """Build the agent as LangChain's `create_agent` with our planner, tools and middleware, and with more middleware.

    For applications that live in LangChain's middleware. `build_agent` is the fuller form: there, a call that needs
    another's picture waits for it.

    Args:
        profile: as in `build_agent`.
        checkpointer: as in `build_agent`.
        use_signals: as in `build_agent`.
        store: as in `build_agent`.
        planner: as in `build_agent`.
        approve: as in `build_agent`.
        middleware: further middleware, inside ours.
        sources: as in `build_agent`.

    Raises:
        InputError: as in `build_agent`.
        CheckpointError: as in `build_agent`.
    """
    from vitron_agent.graphs.middleware import make_langchain_agent
    from vitron_agent.media import NO_SOURCES

    store = store or default_store()
    chosen = planner or build_planner(profile, store, use_signals)
    tools = vitron_tools(profile, store, use_signals)
    return make_langchain_agent(
        chosen, tools, store, checkpointer, approve=approve, middleware=middleware, sources=sources or NO_SOURCES
    )


def _chat_vitron(folder: Path, store: "MediaStore", use_signals: bool) -> "BaseChatModel":
    from vitron_agent.planner.chat import ChatVitron

    return ChatVitron.from_pretrained(folder / "planner", store=store, use_signals=use_signals)


def _gligen(folder: Path) -> "Specialist":
    from vitron_agent.specialists.gligen import GligenGenerator

    return GligenGenerator.from_pretrained(folder)


def _gligen_inpaint(folder: Path) -> "Specialist":
    from vitron_agent.specialists.gligen import GligenEditor

    return GligenEditor.from_pretrained(folder)


def _seem(folder: Path) -> "Specialist":
    from vitron_agent.specialists.checkpoints import load_mapper
    from vitron_agent.specialists.seem import SeemSegmenter, SeemTracker

    path = folder / "mappers" / "seem.safetensors"
    mapper = load_mapper(path) if path.is_file() else None
    return SeemTracker(SeemSegmenter.from_pretrained(folder / "seem", mapper=mapper))


def _stable_video(folder: Path) -> "Specialist":
    from vitron_agent.specialists.stable_video import StableVideo

    return StableVideo()


def _zeroscope(folder: Path) -> "Specialist":
    from vitron_agent.specialists.zeroscope import ZeroscopeGenerator

    return ZeroscopeGenerator.from_pretrained(folder)


def _i2vgen_xl(folder: Path) -> "Specialist":
    from vitron_agent.specialists.i2vgen_xl import I2VGenAnimator

    return I2VGenAnimator.from_pretrained(folder)


PLANNERS: dict[str, Callable[[Path, "MediaStore", bool], "BaseChatModel"]] = {"tiny": _chat_vitron}
SPECIALISTS: dict[str, Callable[[Path], "Specialist"]] = {
    "gligen": _gligen,
    "gligen_inpaint": _gligen_inpaint,
    "seem": _seem,
    "stable_video": _stable_video,
    "zeroscope": _zeroscope,
    "i2vgen_xl": _i2vgen_xl,
}
WEIGHTLESS = ("stable_video",)
"""Specialists that are no network: they fit what they need to each video."""
