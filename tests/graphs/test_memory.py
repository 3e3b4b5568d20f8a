"""A turn that runs out of memory ends in words; what came before stays, the next request is served, nothing leaks."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from langgraph.checkpoint.memory import InMemorySaver

from tests.graphs.states import kinds
from vitron_agent.graphs import make_agent, user_turn
from vitron_agent.graphs.middleware import make_langchain_agent
from vitron_agent.graphs.nodes import error_of
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call
from vitron_agent.tools import Residents, Toolbox, make_tools

DRAW, SEGMENT = call("generate_image", command="a red circle"), call("segment_image", command="the red circle")
SAID = (
    "CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 7.79 GiB of which 90.00 MiB is "
    "free. Including non-PyTorch memory, this process has 7.60 GiB memory in use."
)
ELEMENTS = 2**18  # of the tensor that a failing run holds: 1 MiB


def says(text: str, *pictures: str) -> Any:
    return {"messages": [user_turn(text, pictures)]}


def hungry(echo: EchoSpecialist, lacks: int) -> list[int]:
    """Let an echo run out of memory in its next `lacks` runs, after one step and with a big tensor at hand."""
    run, left = echo.run, [lacks]

    def gorge(request: Any, progress: Any) -> Any:
        progress(1, 2)
        big = torch.zeros(ELEMENTS)
        if left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError(SAID)
        del big
        return run(request, progress)

    echo.run = gorge  # type: ignore[method-assign]
    return left


def out_of_memory(messages: Any) -> Any:
    """Answer as a planner that has no room; each error is a new one, as in life."""
    held = torch.zeros(ELEMENTS)
    raise torch.OutOfMemoryError(f"{SAID} {len(held)}")


def test_a_call_that_lacks_memory_once_is_done_in_the_same_turn(build, echo: EchoSpecialist, config: Any) -> None:
    agent, _ = build([DRAW], "Here.", saver=InMemorySaver())
    hungry(echo, 1)
    out = agent.invoke(says("draw"), config)
    assert kinds(out) == "human ai success ai"
    assert len(echo.requests) == 1


def test_a_turn_ends_in_words_earlier_results_stay_and_the_next_request_is_served(
    build, echo: EchoSpecialist, store: MediaStore, config: Any
) -> None:
    agent, _ = build([DRAW], [SEGMENT], [SEGMENT], "Here.", saver=InMemorySaver())
    work, room = echo.run, []

    def only_segmenting(request: Any, progress: Any) -> Any:
        if request.image is not None and not room:
            raise torch.OutOfMemoryError(SAID)
        return work(request, progress)

    echo.run = only_segmenting  # type: ignore[method-assign]
    out = agent.invoke(says("draw a red circle and cut it out"), config)
    assert kinds(out) == "human ai success ai error ai"
    last = out["messages"][-1]
    assert error_of(last)["type"] == "MemoryExhausted"
    assert last.text == (
        "I could not do that: seem ran out of memory (512.00 MiB more were needed, 90.00 MiB of 7.79 GiB were free): "
        "ask for a smaller picture, fewer frames or fewer steps, or use a smaller profile or another device"
    )
    drawn = out["messages"][2].artifact["uri"]
    assert store.get_image(drawn).shape == (3, 64, 64)
    room.append("again")
    after = agent.invoke(says("cut it out now"), config)
    assert kinds(after) == "human ai success ai error ai human ai success ai"


def test_a_failed_call_leaves_no_receipt(build, echo: EchoSpecialist, store: MediaStore) -> None:
    agent, _ = build([DRAW])
    hungry(echo, 2)
    agent.invoke(says("draw"))
    assert store.folder is not None
    assert list(store.folder.glob("links/*/*")) == []


class Forgetful(ScriptedPlanner):
    """A scripted planner that keeps something to be quicker, as ours does."""

    forgotten: int = 0

    def forget(self) -> None:
        self.forgotten += 1


def planned(store: MediaStore, echo: EchoSpecialist, *replies: Any, own: bool) -> tuple[Any, Forgetful]:
    """Build our agent, or LangChain's, over a forgetful planner."""
    planner = Forgetful(replies=list(replies))
    tools = make_tools(Toolbox(store, Residents({n: lambda: echo for n in ("gligen", "gligen_inpaint", "seem")})))
    return (make_agent if own else make_langchain_agent)(planner, tools, store, InMemorySaver()), planner


@pytest.mark.parametrize("own", [True, False])
def test_a_planner_without_memory_ends_the_turn_in_words_and_the_next_goes_on(
    store: MediaStore, echo: EchoSpecialist, config: Any, own: bool
) -> None:
    agent, planner = planned(store, echo, [DRAW], out_of_memory, own=own)
    out = agent.invoke(says("draw"), config)
    assert kinds(out) == "human ai success ai"
    assert error_of(out["messages"][-1])["type"] == "MemoryExhausted"
    assert out["messages"][-1].text.startswith("I could not do that: the planner ran out of memory (512.00 MiB more")
    assert planner.forgotten == (2 if own else 1)
    planner.replies = ["It is there."]
    out = agent.invoke(says("well?"), config)
    assert kinds(out) == "human ai success ai human ai"
    assert out["messages"][-1].text == "It is there."


async def test_a_planner_without_memory_is_as_well_treated_when_awaited(store, echo, config: Any) -> None:
    for own in (True, False):
        agent, _ = planned(store, echo, out_of_memory, own=own)
        out = await agent.ainvoke(says("draw"), config)
        assert error_of(out["messages"][-1])["type"] == "MemoryExhausted"


async def test_an_awaited_call_without_memory_ends_the_turn_as_well(store, echo: EchoSpecialist, config: Any) -> None:
    for own in (True, False):
        hungry(echo, 2)
        agent, _ = planned(store, echo, [DRAW], "Here.", own=own)
        out = await agent.ainvoke(says("draw"), config)
        assert kinds(out) == "human ai error ai"
        assert error_of(out["messages"][-1])["type"] == "MemoryExhausted"


def test_a_planner_that_was_silent_is_asked_once_more(store: MediaStore, echo: EchoSpecialist) -> None:
    agent, planner = planned(store, echo, out_of_memory, "Hello.", own=True)
    config: Any = {"configurable": {"thread_id": "t"}}
    assert [m.text for m in agent.invoke(says("hi"), config)["messages"]] == ["hi", "Hello."]
    assert planner.forgotten == 1


def test_a_planner_that_has_spoken_is_not_asked_again(store: MediaStore, echo: EchoSpecialist, config: Any) -> None:
    class Breathless(Forgetful):
        def _chunks(self, parts: Any) -> Any:
            yield from super()._chunks(["Well, "])[:1]
            out_of_memory(None)

    planner = Breathless(replies=["Well, ", "Hello."])
    agent = make_agent(planner, make_tools(Toolbox(store, Residents({}))), store, InMemorySaver())
    parts = list(agent.stream(says("hi"), config, stream_mode="messages"))
    assert len(planner.seen) == 1
    assert [part[0].text for part in parts][0] == "Well, "
    assert kinds(agent.get_state(config).values) == "human ai"  # nothing of what was half said


def live() -> tuple[int, int]:
    """Return how many big tensors, and how many objects, live."""
    gc.collect()
    objects = gc.get_objects()
    return sum(type(o) is torch.Tensor and o.numel() >= ELEMENTS for o in objects), len(objects)


@pytest.fixture
def only_what_is_new() -> Iterator[None]:
    """Keep the collector off all that other tests and libraries have made: each lack of memory runs it in full."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("only_what_is_new")
@pytest.mark.parametrize("planner_lacks", [False, True])
def test_fifty_turns_without_memory_leave_nothing_behind(
    build: Callable[..., Any], echo: EchoSpecialist, planner_lacks: bool
) -> None:
    hungry(echo, 1000)
    agent, planner = build(*([out_of_memory] if planner_lacks else [[DRAW]]))

    def fail() -> None:
        out = agent.invoke(says("draw"))
        assert error_of(out["messages"][-1])["type"] == "MemoryExhausted"
        planner.seen.clear()

    for _ in range(3):
        fail()  # what is made once and kept is made now
    tensors, objects = live()
    for _ in range(50):
        fail()
    after = live()
    assert after[0] == tensors == 0
    assert after[1] - objects < 50  # less than one a turn


@pytest.mark.usefixtures("only_what_is_new")
@pytest.mark.parametrize("closes", [False, True])
def test_turns_that_were_stopped_leave_nothing_behind(build, echo: EchoSpecialist, config: Any, closes: bool) -> None:
    """Stopped at a step of the specialist's, or left by whoever read the stream."""
    agent, planner = build([DRAW])
    ended: list[str] = []

    def work(request: Any, progress: Any) -> Any:
        held = torch.zeros(ELEMENTS)
        try:
            for step in range(1000):
                progress(step, 1000)
                agent.stop("talk")
                time.sleep(0.001)
        finally:
            ended.append("in order")
        return held

    echo.run = work  # type: ignore[method-assign]

    def stopped() -> None:
        parts = agent.stream(says("draw"), config, stream_mode="custom" if closes else "values")
        if closes:
            next(parts)
            parts.close()
            return
        *_, out = parts
        assert error_of(out["messages"][-1])["type"] == "Cancelled"

    for _ in range(3):
        stopped()
    threads = threading.active_count()
    for _ in range(10):
        stopped()
    planner.seen.clear()
    assert live()[0] == 0
    assert threading.active_count() <= threads
    assert ended == ["in order"] * 13
