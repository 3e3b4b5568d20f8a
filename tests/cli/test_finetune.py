import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState

from tests.training.finetune_run import write_all
from vitron_agent.cli.finetune import Precision, Stage
from vitron_agent.training import finetune as recipe
from vitron_agent.training.finetune import MAPPERS, PRECISIONS
from vitron_agent.training.lora import STAGES


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield write_all(tmp_path / "weights")
    AcceleratorState._reset_state(True)


def given(folder: Path) -> list[str]:
    media = str(folder / "media")
    return ["--data", f"{media}/data.json", "--media", media, "--weights", str(folder)]


def test_the_choices_are_those_of_the_recipe() -> None:
    assert {stage.value for stage in Stage} == {*STAGES, MAPPERS}
    assert {precision.value for precision in Precision} == PRECISIONS.keys()


def test_one_command_trains_and_leaves_an_adapter_beside_the_weights(run: Any, folder: Path) -> None:
    command = ["finetune", "1.2", *given(folder), "--batch", "2", "--rank", "2", "--precision", "no", "--cpu"]
    result = run(*command)
    assert (result.exit_code, result.stdout) == (0, "")
    assert (folder / "planner" / "lora" / "adapter_model.safetensors").is_file()
    log = Path("runs/finetune-1.2/log.txt")
    assert not log.exists()  # two steps: the first line comes with the tenth
    result = run(*command, "--epochs", "15", "--resume")
    assert result.exit_code == 0, result.stderr
    assert "step 20 loss" in log.read_text()
    assert "step 2 " not in log.read_text()


def test_everything_is_handed_over(run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(recipe, "finetune", lambda *parts: seen.extend(parts))
    more = ["--start", "earlier", "--out", "o", "--run", "r", "--lr", "0.001", "--seed", "4", "--epochs", "2"]
    assert run("finetune", "2", *given(folder), *more).exit_code == 0
    task, config = seen
    assert (task.stage, task.weights, task.start) == ("2", folder / "planner", Path("earlier"))
    assert (task.lr, task.epochs, task.batch, task.rank, task.precision) == (0.001, 2.0, 16, 128, "bf16")
    assert (config.out, config.run, config.seed, config.steps, config.device) == (Path("o"), Path("r"), 4, None, "auto")


def test_a_mapper_is_written_where_the_weights_are_read_from(
    run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(recipe, "finetune", lambda *parts: seen.extend(parts))
    assert run("finetune", "1.3", *given(folder)).exit_code == 0
    assert (seen[0].stage, seen[1].out, seen[1].run) == ("1.3", folder / "mappers", Path("runs/finetune-1.3"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--data": "none.json"}, "none.json' cannot be read"),
        ({"--media": "nowhere"}, "'nowhere' is no folder"),
        ({"--weights": "nowhere"}, "weights of planner are incomplete"),
        ({"--start": "nowhere"}, "adapter_model.safetensors is missing"),
    ],
)
def test_what_is_missing_is_said_in_one_line(run: Any, folder: Path, change: dict[str, str], said: str) -> None:
    arguments = [*given(folder), "--cpu", "--precision", "no", *(text for pair in change.items() for text in pair)]
    if "--data" in change:
        arguments = arguments[2:]
    result = run("finetune", "1.2", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr.splitlines()[-1]
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert not (folder / "planner" / "lora").exists()


def test_a_missing_library_names_the_extra(run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    for name in ("finetune", "lora"):
        monkeypatch.delitem(sys.modules, f"vitron_agent.training.{name}")
    result = run("finetune", "1.2", *given(folder))
    assert result.exit_code == 2
    assert "peft is not installed: pip install 'vitron-agent[training]'" in result.stderr
