"""The notebooks run from top to bottom, show pictures, and are kept without outputs."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from vitron_agent.media import decode_png
from vitron_agent.profiles import TINY

nbformat = pytest.importorskip("nbformat", reason="needs the extra 'notebooks'")
nbclient = pytest.importorskip("nbclient", reason="needs the extra 'notebooks'")
pytest.importorskip("ipykernel", reason="needs the extra 'notebooks'")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def pictures(notebook: Any) -> list[bytes]:
    """The PNGs that a notebook's cells show."""
    shown = [output.data for cell in code_cells(notebook) for output in cell.outputs if "data" in output]
    return [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 4


@each
def test_it_is_kept_without_outputs(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert [cell.id for cell in code_cells(notebook) if cell.outputs or cell.execution_count is not None] == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert set(notebook.metadata.language_info) == {"name"}  # no version of whoever ran it last


@each
@pytest.mark.skipif(
    any(TINY.missing(part) for part in TINY.parts if part.name != "mappers"), reason="the tiny weights are not there"
)
def test_it_runs_and_shows_pictures(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("VITRON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    work = tmp_path / "work"
    work.mkdir()
    notebook = read(path)
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(work)}}).execute()
    shown = [decode_png(data) for data in pictures(notebook)]
    assert shown
    assert all(len(picture.flatten(1).unique(dim=1)[0]) > 1 for picture in shown)  # none is blank
