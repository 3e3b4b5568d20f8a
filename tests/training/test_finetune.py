"""A planner of published layout learns release-format samples by one function: resumable, also in several processes."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from tests import warm
from tests.training.finetune_run import config, task, write_all, write_samples
from tests.training.launch import ROOT, run_together
from vitron_agent.errors import CheckpointError, InputError, StorageError
from vitron_agent.planner.full_size import load_base, load_full_size
from vitron_agent.training import checkpoint
from vitron_agent.training.finetune import finetune, shuffled
from vitron_agent.training.release_data import load_turns, read_release
from vitron_agent.training.release_loss import ReadConversation, read_conversation

SCRIPT = ROOT / "tests/training/finetune_run.py"
TOLERANCE = 1e-5
"""How far the loss of a run that was killed, or shared by two processes, may be from that of one that was not."""
STEPS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("finetune"))


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """The adapter of a run that was never stopped."""
    out = folder / "whole"
    finetune(task(folder), config(out, folder / "runs", STEPS))
    return out


@pytest.fixture(autouse=True)
def _other_precisions() -> Iterator[None]:
    """Let the next test choose a precision of its own: accelerate keeps one for the whole process."""
    yield
    AcceleratorState._reset_state(True)


@torch.no_grad()
def loss_of(folder: Path, lora: Path | None) -> float:
    """Mean loss of the samples with an adapter, or without one."""
    planner_folder = folder / "planner"
    link = planner_folder / "lora"
    link.unlink(missing_ok=True)
    if lora is not None:
        link.symlink_to(lora)
    planner = (load_full_size if lora else load_base)(planner_folder, "cpu", torch.float32)
    samples = read_release([folder / "media" / "data.json"], folder / "media")
    read = [read_conversation(planner.model, planner.processor, load_turns(sample)) for sample in samples]
    losses = [conversation.words_loss(planner.model) for conversation in read]
    return float(torch.stack(losses).mean())


def steps_saved(path: Path) -> int:
    try:
        with safe_open(path, framework="pt") as file:
            return int(json.loads(file.metadata()["counters"])["step"])
    except (OSError, SafetensorError):
        return 0


def started(folder: Path, out: Path, run: Path) -> warm.Program:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = (SCRIPT, folder, out, run, str(STEPS))
    return warm.start(*command, env=environment, stderr=subprocess.DEVNULL)


def test_the_loss_falls_and_the_adapter_is_read_back(folder: Path, whole: Path) -> None:
    assert {path.name for path in whole.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "non_lora_trainables.safetensors",
    }
    assert loss_of(folder, whole) < 0.92 * loss_of(folder, None)


def test_bfloat16_learns_as_well(folder: Path, tmp_path: Path) -> None:
    finetune(task(folder, precision="bf16"), config(tmp_path / "out", tmp_path / "run", STEPS))
    assert loss_of(folder, tmp_path / "out") < 0.92 * loss_of(folder, None)


def test_a_killed_run_goes_on_to_the_same_loss(folder: Path, whole: Path, tmp_path: Path) -> None:
    out, run = tmp_path / "out", tmp_path / "run"
    with started(folder, out, run) as process:
        while steps_saved(run / "checkpoint.safetensors") < 2 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert 2 <= steps_saved(run / "checkpoint.safetensors") < STEPS
    finetune(task(folder), config(out, run, STEPS, resume=True))
    assert steps_saved(run / "checkpoint.safetensors") == STEPS
    assert loss_of(folder, out) == pytest.approx(loss_of(folder, whole), abs=TOLERANCE)


def test_two_processes_take_the_steps_that_one_takes(folder: Path, whole: Path, tmp_path: Path) -> None:
    run_together(str(SCRIPT), str(folder), str(tmp_path / "out"), str(tmp_path / "run"), str(STEPS))
    assert loss_of(folder, tmp_path / "out") == pytest.approx(loss_of(folder, whole), abs=TOLERANCE)
    ours, theirs = (load_file(lora / "adapter_model.safetensors") for lora in (tmp_path / "out", whole))
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 1e-3


def test_alignment_moves_the_projector_alone_and_grounding_goes_on_from_it(folder: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen.json"
    samples = json.loads((folder / "media" / "data.json").read_text())
    seen.write_text(json.dumps(samples[:2]))
    first = task(folder, stage="1.1", data=[seen], batch=2, epochs=2.0)
    finetune(first, config(tmp_path / "a", tmp_path / "run", None))
    assert steps_saved(tmp_path / "run" / "checkpoint.safetensors") == 2
    adapter = load_file(tmp_path / "a" / "adapter_model.safetensors")
    assert all(bool((value == 0).all()) for name, value in adapter.items() if ".lora_B." in name)
    assert abs(loss_of(folder, tmp_path / "a") - loss_of(folder, None)) > 1e-4
    then = task(folder, stage="2", start=tmp_path / "a", lr=1e-9)
    finetune(then, config(tmp_path / "b", tmp_path / "run2", 1))
    assert loss_of(folder, tmp_path / "b") == pytest.approx(loss_of(folder, tmp_path / "a"), abs=TOLERANCE)
    with pytest.raises(InputError, match=r"stage 1\.1 learns from pictures and videos only: take data\.json, sample 2"):
        finetune(task(folder, stage="1.1"), config(tmp_path / "c", tmp_path / "run3", 1))


def test_synergy_teaches_a_discriminator_beside_the_adapter(folder: Path, whole: Path, tmp_path: Path) -> None:
    out, run = tmp_path / "out", tmp_path / "run"
    finetune(task(folder, stage="3", start=whole, lr=1e-3), config(out, run, 2))
    assert steps_saved(run / "checkpoint.safetensors") == 2
    learned, before = (load_file(lora / "adapter_model.safetensors") for lora in (out, whole))
    assert learned.keys() == before.keys()
    assert any(not torch.equal(learned[name], before[name]) for name in learned)
    assert loss_of(folder, out) < 1.02 * loss_of(folder, whole)


def test_synergy_of_one_module_is_refused(folder: Path, whole: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps(json.loads((folder / "media" / "data.json").read_text())[:1]))
    with pytest.raises(InputError, match="stage 3 learns what modules share, the data call B: add samples that call"):
        finetune(task(folder, stage="3", start=whole, data=[alone]), config(tmp_path / "out", tmp_path / "run", 1))


def test_a_checkpoint_of_another_rank_is_refused_and_stays(folder: Path, tmp_path: Path) -> None:
    finetune(task(folder, batch=1), config(tmp_path / "out", tmp_path / "run", 1))
    kept = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="damaged or of another architecture .*size mismatch"):
        finetune(task(folder, batch=1, rank=8), config(tmp_path / "out", tmp_path / "run", 2, resume=True))
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == kept


def test_a_loss_that_is_no_number_and_a_full_disk_keep_the_last_checkpoint(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, run = tmp_path / "out", tmp_path / "run"
    finetune(task(folder, batch=1), config(out, run, 1))
    kept = (run / "checkpoint.safetensors").read_bytes()
    with monkeypatch.context() as patch:
        sound = ReadConversation.words_loss
        patch.setattr(ReadConversation, "words_loss", lambda *parts: sound(*parts) * float("nan"))
        with pytest.raises(CheckpointError, match=r"the loss is nan at step 1: .*last good checkpoint is kept"):
            finetune(task(folder, batch=1), config(out, run, 9, resume=True))
    assert (run / "checkpoint.safetensors").read_bytes() == kept

    def full(tensors: Any, path: Path, metadata: Any = None) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(StorageError, match=r"at step 2 .*No space left.*last good checkpoint is kept"):
        finetune(task(folder, batch=1), config(out, run, 9, resume=True))
    assert (run / "checkpoint.safetensors").read_bytes() == kept


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batch": 0}, "0 conversations cannot be shared by 1 processes"),
        ({"data": []}, "holds no sample"),
        ({"start": Path("nowhere")}, r"adapter_model\.safetensors is missing"),
        ({"weights": Path("nowhere")}, "is missing"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    change: dict[str, Any], said: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises((InputError, CheckpointError), match=said):
        finetune(task(folder, **change), config(tmp_path / "out", tmp_path / "run", 1))
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_stages_adapter_is_not_written_over(folder: Path, whole: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    with pytest.raises(InputError, match=r"holds adapter_config\.json of an earlier run: start from it, or"):
        finetune(task(folder, stage="2"), config(whole, tmp_path / "run", 1))
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


def test_a_conversation_that_is_too_long_is_named(folder: Path, tmp_path: Path) -> None:
    data = write_samples(tmp_path / "media")
    samples = json.loads(data.read_text())[2:]
    samples[0]["conversations"][0]["value"] = "word " * 4000
    data.write_text(json.dumps(samples))
    with pytest.raises(InputError, match=r"data\.json, sample 0: the conversation has \d+ tokens"):
        finetune(task(folder, data=[data], media=data.parent), config(tmp_path / "out", tmp_path / "run", 1))


def test_a_picture_that_turns_out_bad_loses_no_step(folder: Path, tmp_path: Path) -> None:
    data = write_samples(tmp_path / "media")
    (good := data.parent / "a.png").write_bytes(good.read_bytes()[:40])
    files = {"data": [data], "media": data.parent, "batch": 1, "epochs": 2.0}
    with pytest.raises(InputError, match=r"a\.png.* damaged"):
        finetune(task(folder, **files), replace(config(tmp_path / "out", tmp_path / "run", None), export_minutes=99.0))
    reached = steps_saved(tmp_path / "run" / "checkpoint.safetensors")
    assert reached == [shuffled(3, 0, 0)[place] for place in range(3)].index(0)
    write_samples(tmp_path / "media")
    finetune(task(folder, **files), config(tmp_path / "out", tmp_path / "run", None, resume=True))
    assert steps_saved(tmp_path / "run" / "checkpoint.safetensors") == 6


def test_every_epoch_reads_everything_in_an_order_of_its_own() -> None:
    first, second = shuffled(9, 0, 3), shuffled(9, 1, 3)
    assert sorted(first) == sorted(second) == list(range(9))
    assert first != second
    assert first == shuffled(9, 0, 3)
    assert first != shuffled(9, 0, random.Random(0).randint(4, 9))
