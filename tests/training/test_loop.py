"""The shared training loop: schedule, average, checkpoint, export."""

import random
from pathlib import Path

import pytest
import torch
from torch import nn

from vitron_agent.training import RECIPES, load_recipe
from vitron_agent.training.loop import (
    Ema,
    Run,
    TrainingConfig,
    config_from_arguments,
    half_precision,
    replace_folder_files,
    step_generator,
    warm_cosine,
)
from vitron_agent.training.muon import MuonAdamW, orthogonalised


def _fit(config: TrainingConfig, until: int) -> tuple[nn.Module, Run]:
    """Fit a line with both kinds of parameter groups until step `until`, then save."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optimiser = MuonAdamW([{"params": [model.weight], "lr": 0.02, "muon": True}, {"params": [model.bias], "lr": 0.01}])
    run = Run(config, {"line": model}, optimiser, {"line": Ema(model, 0.9)})
    while run.step < until:
        x = torch.randn(8, 4, generator=step_generator(config.seed, run.step))
        run.advance((model(x) - x[:, :3]).square().mean(), 8)
        run.log(1)
    run.save()
    return model, run


def test_a_resumed_run_equals_one_that_was_never_stopped(tmp_path: Path) -> None:
    straight, run = _fit(TrainingConfig(tmp_path, tmp_path / "a", steps=6), 6)
    _fit(TrainingConfig(tmp_path, tmp_path / "b", steps=6), 3)
    again, resumed = _fit(TrainingConfig(tmp_path, tmp_path / "b", steps=6, resume=True), 6)
    assert torch.equal(straight.weight, again.weight)
    assert torch.equal(straight.bias, again.bias)
    for name, average in run.emas["line"].shadow.items():
        assert torch.equal(average, resumed.emas["line"].shadow[name])
    assert (resumed.step, resumed.samples, resumed.done) == (6, 48, True)
    assert "samples/s" in (tmp_path / "b" / "log.txt").read_text()


def test_losses_one_after_the_other_make_the_step_of_their_sum(tmp_path: Path) -> None:
    x, weights = torch.randn(4, 4), []
    for name in ("together", "apart"):
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        run = Run(TrainingConfig(tmp_path, tmp_path / name, steps=1), {}, torch.optim.SGD(model.parameters(), 0.1), {})
        each = (model(row).square().sum() for row in x)
        run.advance(each if name == "apart" else model(x).square().sum(), 4, factor=1.0)
        assert run.step == 1
        weights.append(model.weight.detach())
    assert torch.allclose(*weights, atol=1e-6)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    model, _ = _fit(TrainingConfig(tmp_path, tmp_path / "run", steps=200), 200)
    x = torch.randn(64, 4)
    assert (model(x) - x[:, :3]).square().mean() < 0.2


def test_average_swaps_in_and_out() -> None:
    model = nn.Linear(2, 2)
    ema = Ema(model, 0.5)
    start = model.weight.detach().clone()
    nn.init.ones_(model.weight)
    ema.update()
    with ema.averaged():
        assert torch.allclose(model.weight, start.lerp(torch.ones(2, 2), 1 - min(0.5, 2 / 11)))
    assert torch.equal(model.weight, torch.ones(2, 2))


def test_live_weights_return_from_a_block_that_fails() -> None:
    model = nn.Linear(2, 2)
    ema = Ema(model)
    average = ema.shadow["weight"].clone()
    nn.init.ones_(model.weight)
    with pytest.raises(OSError, match="full"), ema.averaged():
        raise OSError("full")
    assert torch.equal(model.weight, torch.ones(2, 2))
    assert torch.equal(ema.shadow["weight"], average)


def test_rate_warms_up_and_decays() -> None:
    rates = [warm_cosine(i / 100) for i in range(101)]
    assert rates[0] < 0.05
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[100] == pytest.approx(0.02)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_orthogonalised_matrices_have_equal_singular_values() -> None:
    for shape in ((2, 8, 20), (2, 20, 8)):
        values = torch.linalg.svdvals(orthogonalised(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert values.min() > 0.5
        assert values.max() < 1.4


def test_files_replace_a_folder_s_files_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "old.txt").write_text("old")
    (tmp_path / "part" / "kept.txt").write_text("kept")
    replace_folder_files(tmp_path / "part", lambda folder: [(folder / "old.txt").write_text("new")])
    assert sorted(p.name for p in tmp_path.rglob("*.txt")) == ["kept.txt", "old.txt"]
    assert (tmp_path / "part" / "old.txt").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["part"]


def test_half_precision_leaves_integers_alone() -> None:
    half = half_precision({"a": torch.ones(2), "b": torch.ones(2, dtype=torch.int64)})
    assert (half["a"].dtype, half["b"].dtype) == (torch.float16, torch.int64)


def test_arguments_and_options() -> None:
    config = config_from_arguments("gligen", Path("w"), ["--minutes", "3", "--resume", "--set", "batch=8"])
    assert (config.run, config.minutes, config.resume) == (Path("runs/gligen"), 3.0, True)
    assert config.option("batch", 16) == 8
    assert config.option("lr", 0.5) == 0.5


def test_steps_are_seeded_each_on_its_own() -> None:
    first = torch.rand(3, generator=step_generator(0, 5))
    assert torch.equal(first, torch.rand(3, generator=step_generator(0, 5)))
    assert not torch.equal(first, torch.rand(3, generator=step_generator(0, 6)))
    assert not torch.equal(first, torch.rand(3, generator=step_generator(random.randint(1, 9), 5)))


def test_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match="gligen"):
        load_recipe("nonsense")
    assert all(module.startswith("vitron_agent.training.") for module in RECIPES.values())
