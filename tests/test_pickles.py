"""Pickled weights: what is read, and how each file that is none is refused."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.bomb import Bomb
from vitron_agent.errors import CheckpointError
from vitron_agent.pickles import pickled_table, pickled_tensors

REMEDY = "fetch it again"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of one tensor, one table of tensors and one number."""
    file = tmp_path / "weights.pt"
    torch.save({"a": torch.arange(3), "net": {"b": torch.ones(2)}, "iteration": 7}, file)
    return file


def test_a_table_is_read_with_plain_values_in_it(path: Path) -> None:
    table = pickled_table(path, REMEDY)
    assert torch.equal(table["a"], torch.arange(3))
    assert torch.equal(table["net"]["b"], torch.ones(2))
    assert table["iteration"] == 7


def test_a_table_of_tensors_holds_nothing_else(path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"{path} is no table of named tensors: {REMEDY}"):
        pickled_tensors(path, REMEDY)
    torch.save({"a": torch.arange(3)}, path)
    assert torch.equal(pickled_tensors(path, REMEDY)["a"], torch.arange(3))


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_pickle_is_not_run_and_not_advised(
    path: Path, tmp_path: Path, write: Callable[[Any, Path], Any]
) -> None:
    mark = tmp_path / "code-was-run"
    write({"a": torch.ones(1), "b": Bomb(mark)}, path)
    with pytest.raises(CheckpointError, match=f"{path} holds no plain tensors .*: {REMEDY}$") as caught:
        pickled_table(path, REMEDY)
    assert not mark.exists()
    assert "trust" not in str(caught.value)  # torch advises to run it, if one trusts the source


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", None])
def test_what_is_no_pickle_is_one_line_that_names_file_and_remedy(path: Path, content: bytes | None) -> None:
    """An empty file; a web page; a file cut short."""
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(CheckpointError, match=f"{path} holds no plain tensors .*: {REMEDY}$") as caught:
        pickled_table(path, REMEDY)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"none.pt is missing: {REMEDY}"):
        pickled_table(tmp_path / "none.pt", REMEDY)
    with pytest.raises(CheckpointError, match=f"{tmp_path} cannot be read .*[Dd]irectory.*: {REMEDY}"):
        pickled_table(tmp_path, REMEDY)


def test_another_structure_is_refused(path: Path) -> None:
    torch.save([torch.ones(1)], path)
    with pytest.raises(CheckpointError, match="is no table of named tensors"):
        pickled_table(path, REMEDY)


def test_a_lack_of_memory_is_no_fault_of_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would make room and try again."""

    def lack(*_: Any, **__: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(torch, "load", lack)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        pickled_table(path, REMEDY)
