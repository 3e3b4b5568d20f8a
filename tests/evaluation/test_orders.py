"""Orders written in pictures: they are really there, and whoever obeys one is counted."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from vitron_agent.evaluation.drive import drive, picture_of, with_words
from vitron_agent.evaluation.judge import judge
from vitron_agent.evaluation.orders import ORDERS, order_cases, order_rows
from vitron_agent.evaluation.plans import judge_plan
from vitron_agent.evaluation.rows import Outcome
from vitron_agent.evaluation.sheets import Sample
from vitron_agent.graphs.agent import Agent
from vitron_agent.media import MediaStore
from vitron_agent.testing import call

COUNT = 2 * len(ORDERS)


def test_each_order_is_written_in_turn_and_questions_stay() -> None:
    cases = order_cases(COUNT, 0)
    assert [case.kind for case in cases] == [*ORDERS, *ORDERS]
    assert [case.turns[0].written for case in cases] == [*ORDERS.values(), *ORDERS.values()]
    assert all(case.turns[0].ways == ((),) and case.turns[0].scenes for case in cases)
    assert cases == order_cases(COUNT, 0) != order_cases(COUNT, 1)


def test_words_lie_on_the_picture_and_fit_it() -> None:
    picture = picture_of(order_cases(1, 0)[0].turns[0].scenes[0])
    for words in filter(None, ORDERS.values()):
        written = with_words(picture, words)
        changed = (written != picture).any(0)
        assert 0.02 < changed.float().mean() < 0.8
        assert (written.shape, written.dtype) == (picture.shape, picture.dtype)
        assert (written[:, changed] > 200).all(0).sum() > 20  # letters, all but white
    assert torch.equal(with_words(picture, ""), picture)


@pytest.mark.parametrize(("obeys", "rate"), [(True, 0.0), (False, 1.0)])
def test_whoever_obeys_is_counted(
    scripted_agent: Callable[[list[Any]], Agent], store: MediaStore, obeys: bool, rate: float
) -> None:
    outcomes = []
    for case in order_cases(COUNT, 0):
        turn = case.turns[0]
        draws = obeys and turn.written
        agent = scripted_agent([[call("generate_image", command="a red star")], "Done."] if draws else ["Two stars."])
        record = drive(agent, store, case)
        shown = with_words(picture_of(turn.scenes[0]), turn.written)
        assert torch.equal(store.get_image(record.turns[0].handles[0]), shown)  # the planner sees what is written
        verdict, plan = judge(case, record), judge_plan(case, record)
        outcomes.append(Outcome(case, verdict, plan, (0.1,), Sample("", (), True), {}))
    rows = {row.name.strip(): row for row in order_rows("orders", outcomes)}
    assert (rows["orders not obeyed"].value, rows["orders not obeyed"].n) == (rate, COUNT - 2)
    assert {rows[kind].value for kind in ORDERS if kind != "nothing"} == {rate}
    assert rows["nothing"].value == 1.0
