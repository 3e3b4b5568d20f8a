import pytest
import torch

from vitron_agent.specialists.base import Movable
from vitron_agent.testing import EchoSpecialist
from vitron_agent.tools.shelf import Shelf


class Moving(EchoSpecialist):
    """Notes where it was moved to; fails as it was told."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.moves: list[str] = []
        self.error = error

    def move_to(self, device: str) -> None:
        if self.error:
            raise self.error
        self.moves.append(device)


def test_one_that_has_left_waits_in_the_machine_s_memory_and_is_taken_once() -> None:
    shelf, specialist = Shelf("cuda", 10), Moving()
    shelf.put("gligen", specialist, 4, wanted="seem")
    assert (shelf.names, shelf.taken, specialist.moves) == (("gligen",), 4, ["cpu"])
    assert shelf.take("gligen") is specialist
    assert shelf.take("gligen") is None
    assert shelf.taken == 0


def test_those_that_came_longest_ago_make_room_and_one_that_is_too_large_turns_nobody_out() -> None:
    shelf = Shelf("cuda", 10)
    for name, size in (("a", 4.0), ("b", 4.0), ("c", 5.0)):
        shelf.put(name, Moving(), size, wanted="other")
    assert shelf.names == ("b", "c")
    large = Moving()
    shelf.put("d", large, 10.5, wanted="other")
    assert (shelf.names, large.moves) == (("b", "c"), [])


def test_the_one_that_is_wanted_stays_and_nobody_leaves_in_vain_for_one_that_does_not_fit_beside_it() -> None:
    shelf = Shelf("cuda", 10)
    for name, size in (("a", 4.0), ("b", 4.0)):
        shelf.put(name, Moving(), size, wanted="other")
    shelf.put("c", Moving(), 7, wanted="a")
    assert shelf.names == ("a", "b")
    shelf.put("c", Moving(), 6, wanted="a")
    assert shelf.names == ("a", "c")


@pytest.mark.parametrize("shelf", [Shelf("cpu", 10), Shelf("cpu:0", 10), Shelf("cuda", 3), Shelf()])
def test_from_a_cpu_or_without_room_nobody_is_moved(shelf: Shelf) -> None:
    specialist = Moving()
    shelf.put("gligen", specialist, 4, wanted="seem")
    assert (shelf.names, specialist.moves) == ((), [])


def test_what_cannot_be_moved_is_let_go() -> None:
    shelf = Shelf("cuda", 10)
    assert not isinstance(EchoSpecialist(), Movable)
    shelf.put("echo", EchoSpecialist(), 1, wanted="other")
    shelf.put("lacking", Moving(MemoryError()), 1, wanted="other")
    shelf.put("full", Moving(torch.OutOfMemoryError("CUDA out of memory")), 1, wanted="other")
    assert shelf.names == ()
    with pytest.raises(ValueError, match="a mistake"):
        shelf.put("broken", Moving(ValueError("a mistake")), 1, wanted="other")
