"""The random parts of full size work: made thin, in half precision, by the same code, so that no GPU meets mistakes."""

from typing import Any

import pytest
import torch

from tests.full_size_random import narrowed, random_planner, random_specialists
from vitron_agent.planner.processor import UserTurn
from vitron_agent.planner.reply import Settings
from vitron_agent.profiles import VITRON_7B
from vitron_agent.specialists.base import SpecialistRequest
from vitron_agent.testing import paint

pytestmark = pytest.mark.filterwarnings("ignore:There are modules in .* that should be kept in float32")
PLACE = torch.zeros(64, 64, dtype=torch.bool)
PLACE[8:40, 8:40] = True


@pytest.fixture(autouse=True)
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    narrowed(monkeypatch)


def test_a_reply_is_as_long_as_it_may_be() -> None:
    planner = random_planner("cpu")
    assert {weight.dtype for weight in planner.model.parameters()} == {torch.bfloat16}
    assert planner.reply([UserTurn("hello", (paint("a picture"),))], settings=Settings(12)).new_tokens == 12


@pytest.mark.parametrize("name", sorted(random_specialists("cpu")))
def test_every_specialist_works_on_random_weights_in_half_precision(name: str) -> None:
    specialist: Any = random_specialists("cpu")[name]()
    picture = None if name in ("gligen", "zeroscope") else paint("a picture", 0, 64, 64)
    mask = None if picture is None else PLACE
    result = specialist.run(SpecialistRequest("a red circle", image=picture, mask=mask, steps=2))
    assert any(made is not None for made in (result.image, result.video, result.mask))


def test_there_is_one_for_every_part_of_the_profile() -> None:
    parts = {part.name for part in (*VITRON_7B.parts, *VITRON_7B.extras)}
    assert set(random_specialists("cpu")) == parts - {"planner"}
