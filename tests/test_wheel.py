"""The wheel beside an application that has its own `tools` and `graphs`: both are imported, and both work."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

APPLICATION = """
import graphs
import tools
from vitron_agent.build import build_agent
from vitron_agent.graphs import user_turn
from vitron_agent.media import MediaStore
from vitron_agent.testing import EchoSpecialist, ScriptedPlanner, call
import vitron_agent, vitron_agent.graphs, vitron_agent.tools

planner = ScriptedPlanner(replies=[[call("generate_image", command="a star")], "Done."])
agent = build_agent(store=MediaStore("memory://wheel"), planner=planner, specialists={"gligen": EchoSpecialist})
print(agent.invoke({"messages": [user_turn("draw a star")]})["media"][0]["origin"])
print(tools.OWNER, graphs.OWNER)
print(vitron_agent.__file__, vitron_agent.tools.__file__, vitron_agent.graphs.__file__)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip installs it, without its requirements."""
    folder = tmp_path_factory.mktemp("installed")
    left = shutil.ignore_patterns(".*", "build", "dist", "out", "runs", "tests", "__pycache__", "*.egg-info")
    source = shutil.copytree(ROOT, folder / "source", ignore=left)  # so that no build folder is left in the checkout
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, *build], check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "lib"), str(wheel)], check=True, timeout=120)
    return folder / "lib"


def test_the_wheel_brings_no_top_level_tools_or_graphs(installed: Path) -> None:
    folders = {path.name for path in installed.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
    assert folders - {"bin"} == {"vitron_agent"}
    assert (installed / "vitron_agent" / "weights" / "tiny").is_dir()


def test_it_works_beside_an_application_of_the_same_names(installed: Path, tmp_path: Path) -> None:
    for name in ("tools", "graphs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWNER = 'application'\n")
    (tmp_path / "app.py").write_text(APPLICATION)
    environment = {"PYTHONPATH": str(installed), "PATH": "", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    origin, owners, files = done.stdout.splitlines()
    assert (origin, owners) == ("generate_image", "application application")
    assert all(path.startswith(str(installed)) for path in files.split())
