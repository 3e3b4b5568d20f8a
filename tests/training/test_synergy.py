"""Stage 3: signals learn through specialists, the discriminator's gradient is turned round, a killed run goes on."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from tests import warm
from tests.training.synergy_run import WIDTH, small_planner, trainer
from vitron_agent.errors import CheckpointError
from vitron_agent.planner.model import PlannerModel
from vitron_agent.planner.processor import Processor
from vitron_agent.profiles import TINY
from vitron_agent.shapes.tasks_like import LIKE_TASKS
from vitron_agent.training import synergy
from vitron_agent.training.loop import TrainingConfig
from vitron_agent.training.planner_batch import collate
from vitron_agent.training.synergy import Trainer, train
from vitron_agent.training.synergy_data import MIX, MODULES, planned_object, sample_example
from vitron_agent.training.synergy_parts import (
    Discriminator,
    SignalRows,
    linear_probe,
    reversal_strength,
    reverse_gradient,
)

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5
"""How far the loss of a run that was killed and resumed may be from that of one that never stopped."""


def examples_of(run: Trainer, count: int = 12) -> list:
    rng = random.Random("examples")
    return [sample_example(rng, run.stage.processor) for _ in range(count)]


@torch.no_grad()
def loss_of(run: Trainer) -> float:
    return float(sum(run.stage.losses(examples_of(run), torch.Generator().manual_seed(0), 0.0).values()))


def steps_saved(path: Path) -> int:
    try:
        with safe_open(path, framework="pt") as file:
            return int(json.loads(file.metadata()["counters"])["step"])
    except (OSError, SafetensorError):
        return 0


def test_a_killed_run_goes_on_to_the_same_loss(tmp_path: Path) -> None:
    steps, whole = 12, trainer(tmp_path / "a", tmp_path / "whole", 12)
    begin = loss_of(whole)
    whole.train()
    run = tmp_path / "killed"
    command = (ROOT / "tests/training/synergy_run.py", tmp_path / "b", run, str(steps))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with warm.start(*command, env=environment, stderr=subprocess.DEVNULL) as process:
        while steps_saved(run / "checkpoint.safetensors") < 2 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    resumed = trainer(tmp_path / "b", run, steps, resume=True)
    assert 2 <= resumed.run.step < steps
    resumed.train()
    assert resumed.run.step == whole.run.step == steps
    assert loss_of(resumed) == pytest.approx(loss_of(whole), abs=TOLERANCE)
    assert loss_of(whole) < begin - 0.05  # and there was something to be learned
    assert set(json.loads((run / "probe.json").read_text())) == {"before", "after"}


def test_a_loss_that_is_no_number_names_its_specialist_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    run = trainer(tmp_path / "out", tmp_path / "run", 9, spoiled=3)
    with pytest.raises(CheckpointError, match=r"at step \d \(in shade\): .*last good checkpoint is kept"):
        run.train()
    saved = load_file(tmp_path / "run" / "checkpoint.safetensors")
    assert all(value.isfinite().all() for value in saved.values() if value.is_floating_point())
    mended = trainer(tmp_path / "out", tmp_path / "run", 6, resume=True)
    assert mended.run.step == run.run.step >= 3
    mended.train()


def test_only_signal_tokens_learn_and_words_stay_what_they_were(tmp_path: Path) -> None:
    before, _ = small_planner()
    run = trainer(tmp_path / "out", tmp_path / "run", 2)
    run.train()
    after = PlannerModel.load(tmp_path / "out" / "planner")
    table = "llava.model.language_model.embed_tokens.weight"
    for name, value in after.state_dict().items():
        same = (value - before.state_dict()[name].half().float()).abs().amax(-1) == 0
        if name in (table, "llava.lm_head.weight"):
            assert set((~same).nonzero().flatten().tolist()) <= set(run.stage.rows.ids)
            assert not bool(same.all())
        else:
            assert bool(same.all()), name


def test_with_a_rate_of_its_own_the_language_model_learns_beside_its_words(tmp_path: Path) -> None:
    before, _ = small_planner()
    run = trainer(tmp_path / "out", tmp_path / "run", 1, options={"planner_lr": "0.001"})
    parts = run.stage.losses(examples_of(run, 4), torch.Generator(), 0.0, words=run.learns_words)
    assert set(parts) == {"shade", "discriminator", "words"}
    run.train()
    name = "layers.0.mlp.up_proj.weight"
    assert not torch.equal(run.stage.model.language_model.state_dict()[name], before.language_model.state_dict()[name])


def test_the_gradient_is_reversed_for_the_signals_and_not_for_the_discriminator() -> None:
    torch.manual_seed(0)
    judge, shared, labels = Discriminator(WIDTH, 3, 16), torch.randn(6, 4, WIDTH), torch.tensor([0, 1, 2, 0, 1, 2])

    def gradients(strength: float | None) -> tuple[torch.Tensor, torch.Tensor]:
        given = shared.clone().requires_grad_()
        judge.zero_grad()
        seen = given if strength is None else reverse_gradient(given, strength)
        F.cross_entropy(judge(seen), labels).backward()
        assert given.grad is not None
        assert judge.head.weight.grad is not None
        return given.grad, judge.head.weight.grad.clone()

    plain, told = gradients(None)
    turned, as_told = gradients(0.5)
    assert torch.allclose(turned, -0.5 * plain)
    assert torch.allclose(as_told, told)
    assert torch.equal(gradients(0.0)[0], torch.zeros_like(plain))


def test_the_reversal_grows_from_nothing() -> None:
    strengths = [reversal_strength(done, 0.3) for done in (0.0, 0.2, 0.5, 1.0)]
    assert strengths[0] == 0.0
    assert strengths == sorted(strengths)
    assert strengths[-1] == pytest.approx(0.3, abs=1e-3)


def test_rows_stand_where_signal_tokens_are_and_nowhere_else() -> None:
    model, vocabulary = small_planner()
    rows = SignalRows(model, vocabulary)
    with torch.no_grad():
        rows.rows.fill_(7.0)
    ids = torch.tensor([[5, rows.ids[0], 6, rows.ids[-1]]])
    put = rows.put(ids, torch.zeros(1, 4, WIDTH))
    assert put[0, :, 0].tolist() == [0.0, 7.0, 0.0, 7.0]


def test_a_probe_finds_what_can_be_told_and_no_more() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = [i % 3 for i in range(120)]
    noise = torch.randn(120, 8, generator=generator)
    marked = noise + 4 * F.one_hot(torch.tensor(labels), 8)
    assert linear_probe(marked, labels) > 0.95
    assert linear_probe(noise, labels) < 0.6
    with pytest.raises(ValueError, match="2 rows are too few"):
        linear_probe(noise[:2], [0, 1])


@pytest.mark.parametrize("task", MIX)
def test_every_task_gives_a_conversation_that_ends_with_its_call(task: str) -> None:
    model, vocabulary = small_planner()
    run_ids = {module: vocabulary.signals(module) for module in MODULES}
    processor = Processor(vocabulary, model.image_tokens, folds_case=True, video_tokens=model.video_tokens)
    example = sample_example(random.Random(task), processor, task=task)
    run = run_ids[example.call.invocation.module]
    assert example.written.ids[-len(run) - 1 : -1] == run
    assert sum(token == run[0] for token in example.written.ids) == 1
    assert ("measure" in example.call.facts) == (task in LIKE_TASKS)


def test_an_editor_learns_sizes_from_the_box_that_words_give() -> None:
    model, vocabulary = small_planner()
    processor = Processor(vocabulary, model.image_tokens, folds_case=True, video_tokens=model.video_tokens)
    call = sample_example(random.Random(0), processor, task="size").call
    wanted = call.facts["wanted"]
    assert planned_object(call, wanted).r in (0.11, 0.18)
    assert planned_object(call, wanted).r != wanted.r
    other = sample_example(random.Random(0), processor, task="shade").call
    assert planned_object(other, other.facts["wanted"]) == other.facts["wanted"]


def test_the_real_specialists_teach_the_signals_and_the_profile_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert TINY.folder is not None
    for part in TINY.folder.iterdir():
        if part.name == "planner":
            shutil.copytree(part, tmp_path / part.name)
        elif part.name != "mappers":
            (tmp_path / part.name).symlink_to(part)
    runs: list[Trainer] = []
    monkeypatch.setattr(synergy, "Trainer", lambda *parts: runs.append(Trainer(*parts)) or runs[0])
    train(TrainingConfig(tmp_path, tmp_path / "run", steps=1, options={"batch": "6", "probe": "10"}))
    names = {"gligen.safetensors", "gligen_inpaint.safetensors", "seem.safetensors"}
    assert {path.name for path in (tmp_path / "mappers").iterdir()} == names
    stage, processor = runs[0].stage, runs[0].stage.processor
    examples = [sample_example(random.Random(i), processor, task=task) for i, task in enumerate(("draw", "shade"))]
    signals = stage.signals(collate([e.written for e in examples], processor, None))[0]
    for name in ("gligen", "gligen_inpaint"):
        stage.rows.zero_grad()
        stage.task_loss(stage.tasks[name], examples, signals, torch.Generator().manual_seed(0)).backward(
            retain_graph=True
        )
        assert stage.rows.rows.grad is not None
        assert float(stage.rows.rows.grad.abs().sum()) > 0, name
    assert "after: vs" in (tmp_path / "run" / "log.txt").read_text()
