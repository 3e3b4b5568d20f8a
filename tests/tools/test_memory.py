import gc
import weakref

import pytest
import torch

from vitron_agent.errors import InputError, MemoryExhausted, is_lack_of_memory
from vitron_agent.tools.memory import attempts, numbers

CUDA = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.25 GiB of which 1.06 GiB is "
    "free. Including non-PyTorch memory, this process has 78.18 GiB memory in use. Of the allocated memory 77.50 GiB "
    "is allocated by PyTorch, and 20.00 MiB is reserved by PyTorch but unallocated."
)


class Work:
    """Lacks memory the first `lacks` times; each time it holds a tensor in its frame."""

    def __init__(self, lacks: int) -> None:
        self.lacks, self.runs, self.rooms = lacks, 0, 0
        self.held: list[weakref.ref[torch.Tensor]] = []

    def __call__(self) -> str:
        self.runs += 1
        big = torch.zeros(1000)
        self.held.append(weakref.ref(big))
        if self.runs <= self.lacks:
            raise torch.OutOfMemoryError(CUDA)
        return "done"

    def room(self) -> None:
        """What the failed try held is gone before room is made: only then can the room be had."""
        assert self.held[-1]() is None
        self.rooms += 1

    def tried(self, **options: bool) -> str:
        for attempt in attempts("gligen", self.room, **({"again": lambda: options["again"]} if options else {})):
            with attempt:
                done = self()
        return done


@pytest.mark.parametrize("lacks", [0, 1])
def test_what_lacks_memory_once_is_done_with_more_room(lacks: int) -> None:
    work = Work(lacks)
    assert work.tried() == "done"
    assert (work.runs, work.rooms) == (lacks + 1, lacks)


def test_the_second_lack_is_final_and_says_who_how_much_and_what_to_do() -> None:
    work = Work(2)
    with pytest.raises(MemoryExhausted) as caught:
        work.tried()
    assert str(caught.value) == (
        "gligen ran out of memory (2.00 GiB more were needed, 1.06 GiB of 79.25 GiB were free): ask for a smaller "
        "picture, fewer frames or fewer steps, or use a smaller profile or another device"
    )
    assert (work.runs, work.rooms) == (2, 2)
    assert caught.value.__context__ is None  # which would hold the tensors as long as somebody holds this error
    assert [held() for held in work.held] == [None, None]


def test_there_is_no_second_try_where_the_first_cannot_be_taken_back() -> None:
    work = Work(1)
    with pytest.raises(MemoryExhausted):
        work.tried(again=False)
    assert (work.runs, work.rooms) == (1, 1)


def test_other_errors_pass_at_once() -> None:
    runs = 0
    with pytest.raises(InputError, match="no good"):  # noqa: PT012 - the loop is what is tested
        for attempt in attempts("gligen"):
            with attempt:
                runs += 1
                raise InputError("no good")
    assert runs == 1


def test_cycles_of_python_are_freed_too() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me, self.pixels = self, torch.zeros(1000)

    gc.disable()
    try:
        seen = weakref.ref(Cycle().pixels)
        assert seen() is not None
        with pytest.raises(MemoryExhausted):  # noqa: PT012
            for attempt in attempts("gligen"):
                with attempt:
                    raise torch.OutOfMemoryError(CUDA)
        assert seen() is None
    finally:
        gc.enable()


def test_a_machine_without_memory_is_told_from_other_mistakes() -> None:
    with pytest.raises(RuntimeError) as full:
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(RuntimeError) as wrong:
        torch.zeros(2) @ torch.zeros(3)
    mapped = RuntimeError("unable to mmap 9 bytes from file <a.safetensors>: Cannot allocate memory (12)")
    errors = full.value, wrong.value, MemoryError(), torch.OutOfMemoryError(CUDA), mapped
    assert [is_lack_of_memory(error) for error in errors] == [True, False, True, True, True]
    assert numbers(str(full.value)) == f"{2**60} bytes more were needed"


@pytest.mark.parametrize(
    ("said", "short"), [("", "no numbers are known"), ("MPS backend\nout of memory", "MPS backend out of memory")]
)
def test_a_device_that_gives_no_numbers_is_quoted(said: str, short: str) -> None:
    assert numbers(said) == short
