"""What signals are determined by: known or read anew, the same; other words, pictures or weights, another."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch

from vitron_agent.build import build_agent, build_planner
from vitron_agent.evaluation.cases import scene_object
from vitron_agent.evaluation.drive import picture_of
from vitron_agent.graphs import user_turn
from vitron_agent.invocation import Module
from vitron_agent.media import MediaStore
from vitron_agent.planner import PlannerModel, UserTurn, VitronPlanner
from vitron_agent.planner.identity import origin_digest, weights_digest
from vitron_agent.planner.processor import Turn
from vitron_agent.planner.reply import Settings
from vitron_agent.profiles import TINY
from vitron_agent.shapes.scene import Scene
from vitron_agent.testing import EchoSpecialist

SCENE = Scene("gray", (scene_object("circle", "red", 0.4, 0.5, 0.2),))


def changed(place: Callable[[PlannerModel], torch.Tensor], model: PlannerModel) -> PlannerModel:
    """The model with the least change to one weight."""
    other = deepcopy(model)
    with torch.no_grad():
        weight = place(other).view(-1)
        weight[-1:] = torch.nextafter(weight[-1:], weight[-1:] + 1)
    return other


def test_weights_have_one_digest_wherever_they_are(model: PlannerModel) -> None:
    assert weights_digest(model) == weights_digest(deepcopy(model))
    assert len(weights_digest(model)) == 64


@pytest.mark.parametrize(
    "place",
    [
        lambda model: model.language_model.get_input_embeddings().weight,
        lambda model: next(model.llava.model.multi_modal_projector.parameters()),
        lambda model: next(iter(model.extra_state().values())),
    ],
)
def test_the_last_bit_of_any_weight_counts(model: PlannerModel, place: Callable[[PlannerModel], torch.Tensor]) -> None:
    assert weights_digest(changed(place, model)) != weights_digest(model)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32, torch.int64])
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (70_000, 2)])
def test_weights_of_all_types_and_shapes_have_a_digest(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    holder = torch.nn.Module()
    holder.register_buffer("weight", torch.zeros(shape, dtype=dtype))
    before = weights_digest(holder)
    holder.weight.view(-1)[-1] = 1
    assert weights_digest(holder) != before


def origins(planner: VitronPlanner, *conversations: list[Turn]) -> list[str | None]:
    """Of the first call's signals in each conversation; "-" where none was made."""
    replies = [planner.reply(turns, Module, Settings(max_new_tokens=60)) for turns in conversations]
    return [reply.signals[0].origin if reply.signals else "-" for reply in replies]


@pytest.fixture(scope="module")
def trained() -> VitronPlanner:
    assert TINY.folder is not None
    return VitronPlanner.from_pretrained(TINY.folder / "planner")


def test_known_or_read_anew_the_origin_is_the_same(trained: VitronPlanner) -> None:
    talk: list[Turn] = [UserTurn("draw a red circle")]
    trained.forget()
    (cold,), (warm,) = origins(trained, talk), origins(trained, talk)
    assert cold == warm
    assert cold not in (None, "-")


def test_other_words_pictures_and_weights_have_another_origin(trained: VitronPlanner) -> None:
    def cut(words: str, brighter: int = 0) -> list[Turn]:
        return [UserTurn(words, (picture_of(SCENE) + brighter,))]

    words = "segment the red circle"
    found = origins(trained, cut(words), cut(words, 1), cut(f"please {words}"))
    other = VitronPlanner(
        changed(lambda m: m.language_model.get_input_embeddings().weight, trained.model), trained.vocabulary
    )
    found += origins(other, cut(words))
    assert len({*found}) == 4
    assert "-" not in found
    assert origin_digest("1", (1, (2, "a"))) != origin_digest("1", (1, 2, "a"))


def test_a_call_that_is_repeated_is_not_computed_again_though_signals_differ(tmp_path: Path) -> None:
    """Where the conversation is known its signals are rounded otherwise; the receipt is found all the same."""
    store, echo = MediaStore(tmp_path), EchoSpecialist()
    agent = build_agent(store=store, planner=build_planner(store=store), specialists={"gligen": lambda: echo})
    handles = set()
    for _ in range(2):
        said = agent.invoke({"messages": [user_turn("draw a red circle on a navy background")]})["messages"]
        said = agent.invoke({"messages": [*said, user_turn("now draw a large blue star")]})["messages"]
        handles |= {m.artifact["signals"] for m in said if m.type == "tool"}
    assert len(echo.requests) == 2
    assert len(handles) > 2  # or the test shows nothing
