"""Recipe `signals`: runs of special tokens are found, mappers learn through frozen specialists, gates start closed."""

import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaTokenizer

from vitron_agent.invocation import Invocation, Module
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.tokenizer import Vocabulary
from vitron_agent.profiles import TINY
from vitron_agent.shapes.scene import COLOURS, Obj, Scene
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.signals import TASKS, edit_of, train_mapper
from vitron_agent.training.signals_data import SignalledCall, signal_runs, signalled_calls


@pytest.fixture(scope="module")
def planner() -> tuple[PlannerModel, Vocabulary]:
    folder = TINY.folder
    assert folder is not None
    return PlannerModel.load(folder / "planner"), Vocabulary(LlamaTokenizer.from_pretrained(folder / "planner"), 4, 4)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The packaged weights by links, without their mappers."""
    assert TINY.folder is not None
    for part in TINY.folder.iterdir():
        if part.name != "mappers":
            (tmp_path / part.name).symlink_to(part)
    return tmp_path


def test_runs_are_cut_out_where_the_special_tokens_stand(planner: tuple[PlannerModel, Vocabulary]) -> None:
    _, vocabulary = planner
    ids = torch.tensor([[5, 6, *vocabulary.signals(Module.B), 2, 7, *vocabulary.signals(Module.A), 2]])
    states = torch.arange(ids.shape[1], dtype=torch.float32)[None, :, None]
    (runs,) = signal_runs(ids, states, vocabulary)
    assert [run[:, 0].tolist() for run in runs] == [list(map(float, range(2, 10))), list(map(float, range(12, 20)))]


def test_calls_come_with_their_own_truth(planner: tuple[PlannerModel, Vocabulary]) -> None:
    model, vocabulary = planner
    calls = list(itertools.islice(signalled_calls(model, vocabulary, Module.C, seed=0), 3))
    for call in calls:
        assert call.invocation.module is Module.C
        assert call.facts["kind"] == "edit"
        assert call.signals.shape == (8, model.d_llm)
        assert call.signals.isfinite().all()
    assert not torch.equal(calls[0].signals, calls[1].signals)


def test_an_edits_facts_become_a_training_example() -> None:
    red, blue = (Obj("circle", name, "small", 0.3, 0.3, 0.1, COLOURS[name]) for name in ("red", "blue"))
    facts = {"before": Scene("gray", (red,)), "after": Scene("gray", (blue,))}
    words = "replace the red circle with a blue circle"
    edit = edit_of(SignalledCall(Invocation(module=Module.C, command=words), facts, torch.zeros(8, 4)))
    assert edit is not None
    assert (edit.new, edit.words, edit.holes) == (blue, words, (red.box, blue.box))
    many = {"before": Scene("gray", (red, blue)), "after": Scene("gray", ())}
    assert (
        edit_of(SignalledCall(Invocation(module=Module.C, command="remove the circle"), many, torch.zeros(8, 4)))
        is None
    )


@pytest.mark.parametrize("name", TASKS)
def test_a_mapper_trains_through_its_frozen_specialist(name: str, weights: Path) -> None:
    config = TrainingConfig(
        out=weights,
        run=weights / "run",
        steps=3,
        options={"calls": "3", "batch": "2", "lr": "0.01", "held_out": "2"},
    )
    found = train_mapper(name, config)
    tensors = load_file(weights / "mappers" / f"{name}.safetensors")
    assert tensors["gate"].abs() > 0  # the zero-started gate has moved: gradients reach it through the specialist
    assert found["without"] > 0
    assert found["with_signals"] != found["without"]
