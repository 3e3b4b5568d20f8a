import pytest
import torch

from vitron_agent.errors import InputError
from vitron_agent.fitting import budget_for, fitted_for
from vitron_agent.locations import Device
from vitron_agent.memory import fitted, in_bits, least, needed, parse_memory, plan_memory, with_compiled_step
from vitron_agent.parts import Part, Profile
from vitron_agent.profiles import VITRON_7B


def part(name: str, size: float, work: float = 0) -> Part:
    return Part(name, "x", (), "x", size, "x", work)


PROFILE = Profile(
    "toy", "x", None, (part("planner", 100, 20), part("draw", 50, 30), part("find", 10, 5)), 64, (part("film", 80, 60),)
)


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("24GiB", 24 * 1024),
        ("1024MiB", 1024),
        ("8000MB", 8e9 / 2**20),
        ("24GB", 24e9 / 2**20),
        (" 1.5 gib ", 1536),
        ("2TiB", 2**21),
    ],
)
def test_amounts_are_read_with_their_units(text: str, mib: float) -> None:
    assert parse_memory(text) == pytest.approx(mib)


@pytest.mark.parametrize(
    "text", ["24", "GB", "", "0GB", "-1GB", "24 bananas", "1e9GB", "24G B", "inf GB", "٢GB", "9" * 99 + "GB"]
)
def test_what_is_no_amount_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match="is no amount: give a number and a unit, as 24GB"):
        parse_memory(text)


def names(parts: tuple[Part, ...]) -> list[str]:
    return [each.name for each in parts]


def test_who_fits_no_other_way_runs_the_slower_one() -> None:
    film = Part("film", "x", (), "x", 80, "x", 60, frugal_work=25)
    profile = Profile("toy", "x", None, (part("planner", 100, 20), part("draw", 50, 30)), 64, (film,))
    works = {
        (budget, with_planner): [p.work for p in (*found.parts, *found.extras)]
        for budget, with_planner in ((260, True), (259, True), (140, False), (139, False), (10, True))
        for found in [fitted(profile, budget, with_planner=with_planner)]
    }
    plain, frugal = [20, 30, 60], [20, 30, 25]
    assert works == {
        (260, True): plain,
        (259, True): frugal,
        (140, False): plain,
        (139, False): frugal,
        (10, True): frugal,  # others have no other way
    }
    assert (film.is_frugal, film.frugal.is_frugal, part("draw", 50).is_frugal) == (False, True, False)


def test_a_planner_in_fewer_bits_leaves_room_for_others() -> None:
    planner = Part("planner", "x", (), "x", 100, "x", 20, quantisable=80)
    profile = Profile("toy", "x", None, (planner, part("draw", 50, 30)), 64)
    assert [p.size for p in in_bits(profile, 8).parts] == pytest.approx([100 - 80 * (1 - 0.5005), 50])
    assert [p.size for p in in_bits(profile, 4).parts] == pytest.approx([100 - 80 * (1 - 0.258), 50])
    assert names(plan_memory(profile, 150).stay) == ["planner"]
    assert names(plan_memory(in_bits(profile, 4), 150).stay) == ["planner", "draw"]
    with pytest.raises(InputError, match="planner_bits is 5: give 4 or 8"):
        in_bits(profile, 5)


def test_what_a_planner_keeps_counts_whoever_works() -> None:
    planner = Part("planner", "x", (), "x", 100, "x", 20, kept=40, kept_compiled=15)
    profile = Profile("toy", "x", None, (planner, part("draw", 50, 30)), 64)
    assert needed(*profile.parts) == 240
    assert needed(*with_compiled_step(profile).parts) == 255
    assert names(plan_memory(profile, 159).too_large) == ["planner"]
    assert [names(plan_memory(profile, budget).stay) for budget in (239, 240)] == [["planner"], ["planner", "draw"]]
    assert names(plan_memory(with_compiled_step(profile), 240).too_large) == ["draw"]


def test_all_stays_where_there_is_room_for_all() -> None:
    plan = plan_memory(PROFILE, 320)
    assert (names(plan.stay), plan.turns, plan.too_large) == (["planner", "draw", "find", "film"], (), ())
    assert needed(*plan.stay) == 320  # 240 of weights, and what the planner and one other need at work


def test_just_below_that_one_part_takes_turns() -> None:
    plan = plan_memory(PROFILE, 319)
    assert (names(plan.stay), names(plan.turns)) == (["planner", "draw", "find"], ["film"])
    assert needed(*plan.stay) == 210  # without the film's: when it is called, others leave


def test_a_large_part_does_not_keep_smaller_ones_out() -> None:
    plan = plan_memory(PROFILE, 260)
    assert (names(plan.stay), names(plan.turns)) == (["planner", "draw", "find"], ["film"])
    plan = plan_memory(PROFILE, 205)
    assert (names(plan.stay), names(plan.turns)) == (["planner", "draw"], ["find"])


def test_what_does_not_fit_even_alone_is_said() -> None:
    """The planner never leaves: who does not fit beside it does not fit."""
    plan = plan_memory(PROFILE, 140)
    assert (names(plan.stay), names(plan.turns), names(plan.too_large)) == (["planner", "find"], [], ["draw", "film"])
    assert least(PROFILE, plan.too_large) == 260
    plan = plan_memory(PROFILE, 110)  # another planner is needed, and then all of it is theirs
    assert (names(plan.stay), names(plan.too_large)) == (["draw", "find"], ["planner", "film"])


@pytest.mark.parametrize("memory", ["20GB", "24GB", "32GB", "48GB"])
def test_a_plan_is_what_the_running_agent_keeps_to(memory: str) -> None:
    device = Device("cuda", torch.bfloat16)
    profile = fitted_for(VITRON_7B, device, memory, with_planner=True)
    budget = budget_for(profile, device, memory, with_planner=True)
    plan = plan_memory(profile, parse_memory(memory))
    specialists = [part.name for part in plan.stay if part.name != "planner"]
    assert all(budget.fits(specialists, [name]) for name in specialists)
    assert [part.name for part in plan.too_large] == [part for part in budget.weights if budget.lack(part)]


def test_nothing_may_fit() -> None:
    plan = plan_memory(PROFILE, 1)
    assert (plan.stay, plan.turns, len(plan.too_large)) == ((), (), 4)
    assert needed() == 0
