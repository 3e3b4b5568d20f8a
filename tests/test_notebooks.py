"""The notebooks run from top to bottom, show pictures, and are kept without outputs."""

import base64
import os
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from vitron_agent.media import decode_png
from vitron_agent.profiles import TINY

nbformat = pytest.importorskip("nbformat", reason="needs the extra 'notebooks'")
nbclient = pytest.importorskip("nbclient", reason="needs the extra 'notebooks'")
local_provisioner = pytest.importorskip("jupyter_client.provisioning.local_provisioner")
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


def launch(command: list[str], env: dict[str, str], cwd: str, **_: Any) -> warm.Program:
    """Start a kernel, alone in its group of processes; it would end by itself if it were no child of this process."""
    _, *started = command
    env = {name: value for name, value in env.items() if name != "JPY_PARENT_PID"}
    return warm.start(*started, env=env, cwd=cwd, start_new_session=True)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a kernel works in; it finds this checkout, and nothing of the user's."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("VITRON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(local_provisioner, "launch_kernel", launch)
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def execute(notebook: Any, work: Path, **options: Any) -> None:
    """Run all cells in a fresh kernel; `notebook` holds the outputs then."""
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(work)}}, **options).execute()


@each
@pytest.mark.skipif(
    any(TINY.missing(part) for part in TINY.parts if part.name != "mappers"), reason="the tiny weights are not there"
)
def test_it_runs_and_shows_pictures(path: Path, work: Path) -> None:
    notebook = read(path)
    execute(notebook, work)
    shown = [decode_png(data) for data in pictures(notebook)]
    assert shown
    assert all(len(picture.flatten(1).unique(dim=1)[0]) > 1 for picture in shown)  # none is blank


CELLS = [
    """
    import os, signal, time
    from langgraph.checkpoint.memory import InMemorySaver
    from vitron_agent.build import build_agent
    from vitron_agent.graphs import user_turn
    from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call

    done = []

    class Slow(EchoSpecialist):
        def run(self, request, progress):
            for step in range(1000):
                progress(step + 1, 1000)
                done.append(step)
                if step == 10:
                    os.kill(os.getpid(), signal.SIGINT)  # what the notebook's stop button does
                time.sleep(0.01)

    planner = ScriptedPlanner(replies=[[call("generate_image", command="a star")], "Yes?"])
    agent = build_agent(checkpointer=InMemorySaver(), planner=planner, specialists={"gligen": Slow})
    talk = {"configurable": {"thread_id": "talk"}}
    """,
    """
    agent.invoke({"messages": [user_turn("draw a star")]}, talk)
    """,
    """
    assert len(done) < 1000, "the work went on"
    state = agent.invoke({"messages": [user_turn("still there?")]}, talk)
    print(*(getattr(m, "status", m.type) for m in state["messages"]))
    """,
]


def test_the_stop_button_ends_a_turn_and_the_conversation_goes_on(work: Path) -> None:
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(source)) for source in CELLS]
    cells[1].metadata["tags"] = ["raises-exception"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    execute(notebook, work)
    assert [output.ename for output in cells[1].outputs if output.output_type == "error"] == ["KeyboardInterrupt"]
    assert cells[2].outputs[0].text == "human ai error human ai\n"
