"""Visible construction: from a profile's name to its planner, its specialists, its tools and the agent.

Nothing is read from disk before it is asked for; specialists are loaded at their first call and then kept, within a
budget of memory where one is given. Which builder makes what stands in registry.py.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from vitron_agent.errors import InputError
from vitron_agent.fitting import budget_for, fitted_for, lack_said, shelf_for
from vitron_agent.locations import Device, Weights, choose_device, compiling, in_bits, placed, require, user_folder
from vitron_agent.parts import Profile
from vitron_agent.profiles import DEFAULT_PROFILE
from vitron_agent.registry import PLANNERS, SPECIALISTS, WEIGHTLESS

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import StructuredTool
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from vitron_agent.graphs.agent import Agent
    from vitron_agent.invocation import Module
    from vitron_agent.media import MediaSources, MediaStore
    from vitron_agent.specialists.base import Specialist


def default_store() -> "MediaStore":
    """Return the user's media store."""
    from vitron_agent.media import MediaStore

    return MediaStore(user_folder() / "media")


def build_planner(
    profile: str = DEFAULT_PROFILE,
    store: "MediaStore | None" = None,
    use_signals: bool = True,
    *,
    weights: Weights = None,
    device: str | None = None,
    compiled: bool = False,
    planner_bits: int | None = None,
) -> "BaseChatModel":
    """Load the planner of a profile as a chat model.

    Args:
        profile: its name.
        store: where the pictures of its conversations lie; the user's store by default.
        use_signals: whether it leaves embeddings for the specialists.
        weights: the folder that holds the profile's parts; by default the packaged one, $VITRON_WEIGHTS, or where
            `vitron-agent models pull` put them. Or where on the hub single parts come from: {"planner": "owner/name"},
            or "owner/name@revision"; what was fetched once is kept, and $HF_HUB_OFFLINE respected.
        device: where it computes, such as "cuda:1"; by default CUDA in half precision where there is one (but the tiny
            profile on the CPU), else the CPU in float32.
        compiled: whether `vitron-7b` reads what it writes by a compiled step on CUDA, with CUDA's graphs: the first
            reply waits for the compiler, and up to 2 GiB more are taken. Never run on a GPU yet; not in fewer bits.
        planner_bits: 4 or 8 hold its language model in so many, with a loss of quality; on CUDA, with bitsandbytes
            (`vitron-agent[gpu]`). Never run on a GPU yet.

    Raises:
        InputError: unknown profile or device, no compiler, or these bits cannot be had here.
        CheckpointError: weights are missing or broken.
        MemoryExhausted: there was not enough memory left while it was loaded.
    """
    found = placed(profile, weights)
    folder = require(found, "planner")
    on = _device(found, device, compiled, planner_bits)
    with lack_said(profile, on):
        return PLANNERS[profile](folder, store or default_store(), use_signals, on)


def build_specialist(
    name: str,
    profile: str = DEFAULT_PROFILE,
    *,
    weights: Weights = None,
    device: str | None = None,
    compiled: bool = False,
    frugal: bool = False,
) -> "Specialist":
    """Load one specialist of a profile.

    Args:
        name: gligen, gligen_inpaint, seem, stable_video, zeroscope, i2vgen_xl or controlnet.
        profile: its name.
        weights: as in `build_planner`.
        device: as in `build_planner`.
        compiled: whether a diffusion model's UNet is compiled at its first call, which then takes minutes.
        frugal: whether a model of clips computes piece by piece: the same clip, later, in less memory.

    Raises:
        InputError: unknown profile, specialist or device, or no compiler.
        CheckpointError: weights are missing or broken.
    """
    found = placed(profile, weights)
    if name not in {**SPECIALISTS, **WEIGHTLESS}:
        raise InputError(f"specialist {name[:60]!r} is unknown: choose one of {', '.join((*SPECIALISTS, *WEIGHTLESS))}")
    if name in WEIGHTLESS:
        return WEIGHTLESS[name]()
    if name not in {part.name for part in (*found.parts, *found.extras)}:
        raise InputError(f"profile {profile!r} has no {name}: choose another profile")
    part = found.part(name).frugal if frugal else found.part(name)
    return SPECIALISTS[name](require(found, name), part, _device(found, device, compiled))


def _device(profile: Profile, name: str | None, compiled: bool = False, planner_bits: int | None = None) -> Device:
    """Choose where planner and specialists compute, and how."""
    chosen = choose_device(profile, name)
    if planner_bits is not None:
        chosen = in_bits(chosen, planner_bits, profile)
    return compiling(chosen) if compiled else chosen


def vitron_tools(
    profile: str = DEFAULT_PROFILE,
    store: "MediaStore | None" = None,
    use_signals: bool = True,
    *,
    specialists: "Mapping[str, Callable[[], Specialist]] | None" = None,
    weights: Weights = None,
    device: str | None = None,
    memory: str | None = None,
    host_memory: str | None = None,
    compiled: bool = False,
    with_planner: bool = False,
    planner_bits: int | None = None,
) -> "list[StructuredTool]":
    """Make the tools of a profile; its specialists are loaded at their first call.

    A tool whose specialist is an extra of the profile is made only where its weights are there, or you bring one.

    Args:
        profile: its name.
        store: where pictures lie; the user's store by default.
        use_signals: whether the planner's embeddings reach the specialists.
        specialists: your own in place of the profile's: name -> a class or function that builds one, called at
            its first use, and again if it had to leave memory for another.
        weights: as in `build_planner`.
        device: as in `build_planner`.
        memory: what they may take together, such as "24GB", and by default all of a GPU's, on a CPU no limit: those
            used longest ago leave before another is loaded, and who fits no other way computes piece by piece. What
            cannot fit is said before it is loaded.
        host_memory: of the machine's memory, in which those wait that had to leave a GPU, and come back without the
            disk; by default what is free, less 4 GiB. Nobody waits where specialists compute on the CPU.
        compiled: whether UNets are compiled: see `build_specialist`.
        with_planner: whether the profile's planner is loaded there too: its share is then kept free.
        planner_bits: in how many bits that planner is held: see `build_planner`.

    Raises:
        InputError: unknown profile or device, no amount of memory, no compiler, a specialist that no tool asks for or
            that is built already.
        MemoryExhausted: the planner alone does not fit.
        CheckpointError: the profile's weights cannot be found.
    """
    from vitron_agent.tools import Residents, Toolbox, make_tools

    known, on = (*SPECIALISTS, *WEIGHTLESS), _device(placed(profile, weights), device, compiled, planner_bits)
    found = fitted_for(placed(profile, weights), on, memory, with_planner=with_planner)
    own = _checked(specialists or {}, known)
    there = {part.name for part in found.parts} | {part.name for part in found.extras if not found.missing(part)}
    frugal = {part.name for part in (*found.parts, *found.extras) if part.is_frugal}
    where: dict[str, Any] = {"weights": weights, "device": on.name, "compiled": compiled}
    ours = {
        name: partial(build_specialist, name, profile, frugal=name in frugal, **where)
        for name in known
        if name in there | WEIGHTLESS.keys()
    }
    budget = budget_for(found, on, memory, with_planner=with_planner)
    for name in found.repositories.keys() & ours.keys():
        require(found, name)  # now, not in the middle of a turn
    residents = Residents({**ours, **own}, budget, shelf_for(on, host_memory))
    return make_tools(Toolbox(store or default_store(), residents, use_signals))


def _checked(
    specialists: "Mapping[str, Callable[[], Specialist]]", known: tuple[str, ...]
) -> "dict[str, Callable[[], Specialist]]":
    """Return a user's own specialists, if each is one that a tool asks for, and not built yet."""
    if foreign := sorted(specialists.keys() - set(known)):
        raise InputError(f"specialist {foreign[0][:60]!r} is asked for by no tool: use {', '.join(known)}")
    for name, make in specialists.items():
        if not callable(make):
            raise InputError(
                f"specialist {name!r} is one {type(make).__name__}: give what builds it, such as its class"
            )
    return dict(specialists)


def build_agent(
    profile: str = DEFAULT_PROFILE,
    checkpointer: "BaseCheckpointSaver[Any] | None" = None,
    use_signals: bool = True,
    *,
    store: "MediaStore | None" = None,
    planner: "BaseChatModel | None" = None,
    specialists: "Mapping[str, Callable[[], Specialist]] | None" = None,
    approve: "Collection[Module | str]" = (),
    rounds: int | None = None,
    sources: "MediaSources | None" = None,
    weights: Weights = None,
    device: str | None = None,
    memory: str | None = None,
    host_memory: str | None = None,
    compiled: bool = False,
    planner_bits: int | None = None,
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
        rounds: how often the planner may be asked in one turn, 8 by default; a turn that needs more ends and says so.
        sources: where users' pictures may come from besides the store and the messages: downloads, folders. Nowhere
            by default.
        weights: where the profile's parts are: see `build_planner`.
        device: where planner and specialists compute: see `build_planner`.
        memory: what planner and specialists may take together, such as "24GB": see `vitron_tools`.
        host_memory: where specialists wait that had to leave a GPU: see `vitron_tools`.
        compiled: whether UNets and the planner's step are compiled: see `build_specialist` and `build_planner`.
        planner_bits: in how many bits the profile's planner is held: see `build_planner`.

    Returns:
        The compiled graph. `agent.invoke({"messages": [user_turn("draw a red circle")]})` runs one turn.

    Raises:
        InputError: unknown profile, module or device, no amount of memory, no compiler, a specialist that no tool asks
            for, approval without a checkpointer, or no round.
        CheckpointError: the planner's weights are missing or broken.
        MemoryExhausted: the planner alone does not fit; nothing was loaded.
    """
    from vitron_agent.graphs import ROUNDS, make_agent
    from vitron_agent.media import NO_SOURCES

    limits = {"memory": memory, "host_memory": host_memory}
    where = {"weights": weights, "device": device, "compiled": compiled}
    parts = _parts(profile, store, use_signals, planner, specialists, planner_bits, limits, where)
    rounds = ROUNDS if rounds is None else rounds
    return make_agent(*parts, checkpointer, rounds, approve, sources or NO_SOURCES)


def _parts(
    profile: str,
    store: "MediaStore | None",
    use_signals: bool,
    planner: "BaseChatModel | None",
    specialists: "Mapping[str, Callable[[], Specialist]] | None",
    bits: int | None,
    limits: dict[str, Any],
    where: dict[str, Any],
) -> "tuple[BaseChatModel, list[StructuredTool], MediaStore]":
    """Return what both kinds of agent are made of, planner last loaded: what does not fit is said before."""
    if planner is not None and bits is not None:
        raise InputError(f"planner_bits={bits} is for the profile's planner, and another is given: leave it out")
    store = store or default_store()
    limits = {**limits, "with_planner": planner is None, "planner_bits": bits}
    tools = vitron_tools(profile, store, use_signals, specialists=specialists, **limits, **where)
    return planner or build_planner(profile, store, use_signals, planner_bits=bits, **where), tools, store


def create_vitron_agent(
    profile: str = DEFAULT_PROFILE,
    checkpointer: "BaseCheckpointSaver[Any] | None" = None,
    use_signals: bool = True,
    *,
    store: "MediaStore | None" = None,
    planner: "BaseChatModel | None" = None,
    specialists: "Mapping[str, Callable[[], Specialist]] | None" = None,
    approve: "Collection[Module | str]" = (),
    rounds: int | None = None,
    middleware: "Sequence[AgentMiddleware[Any, Any]]" = (),
    sources: "MediaSources | None" = None,
    weights: Weights = None,
    device: str | None = None,
    memory: str | None = None,
    host_memory: str | None = None,
    compiled: bool = False,
    planner_bits: int | None = None,
) -> "Agent":
    """Build the agent as LangChain's `create_agent` with our planner, tools and middleware, and with more middleware.

    For applications that live in LangChain's middleware. `build_agent` is the fuller form: there, a call that needs
    another's picture waits for it.

    Whatever is not named here is as in `build_agent`, errors included. `middleware` is further middleware, inside ours.
    """
    from vitron_agent.graphs import ROUNDS
    from vitron_agent.graphs.middleware import make_langchain_agent
    from vitron_agent.media import NO_SOURCES

    limits = {"memory": memory, "host_memory": host_memory}
    where = {"weights": weights, "device": device, "compiled": compiled}
    parts = _parts(profile, store, use_signals, planner, specialists, planner_bits, limits, where)
    rounds = ROUNDS if rounds is None else rounds
    return make_langchain_agent(*parts, checkpointer, rounds, approve, middleware, sources or NO_SOURCES)
