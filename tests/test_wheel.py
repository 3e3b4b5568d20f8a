"""The wheel in an empty environment, beside an application that has its own `tools` and `graphs`: both work."""

import shutil
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

APPLICATION = """
import graphs
import tools
from vitron_agent.build import build_agent
from vitron_agent.graphs import user_turn
from vitron_agent.media import MediaStore
import vitron_agent, vitron_agent.graphs, vitron_agent.tools

agent = build_agent(store=MediaStore("memory://wheel"))
print(agent.invoke({"messages": [user_turn("draw a red circle")]})["media"][0]["origin"])
print(tools.OWNER, graphs.OWNER)
print(vitron_agent.__file__, vitron_agent.tools.__file__, vitron_agent.graphs.__file__)
"""


def run(*command: str | Path) -> None:
    subprocess.run([sys.executable, "-m", *map(str, command)], check=True, timeout=180)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel in it, and a path to where the requirements are, behind its own."""
    folder = tmp_path_factory.mktemp("installed")
    left = shutil.ignore_patterns(".*", "build", "dist", "out", "runs", "tests", "__pycache__", "*.egg-info")
    source = shutil.copytree(ROOT, folder / "source", ignore=left)  # so that no build folder is left in the checkout
    pip = ("pip", "--quiet", "--disable-pip-version-check", "--no-input")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    shutil.rmtree(source)
    (wheel,) = folder.glob("*.whl")
    run("venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel)
    # A path alone: what stands in that folder's own .pth files, such as an editable installation of ours, stays out.
    (packages(folder / "venv") / "requirements.pth").write_text("\n".join(site.getsitepackages()))
    return folder / "venv"


def packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)}))


def test_the_wheel_brings_no_top_level_tools_or_graphs(environment: Path) -> None:
    installed = packages(environment)
    folders = {path.name for path in installed.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
    assert folders == {"vitron_agent"}
    assert (installed / "vitron_agent" / "weights" / "tiny").is_dir()
    assert (environment / "bin" / "vitron-agent").is_file()


def test_it_works_beside_an_application_of_the_same_names(environment: Path, tmp_path: Path) -> None:
    for name in ("tools", "graphs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWNER = 'application'\n")
    (tmp_path / "app.py").write_text(APPLICATION)
    around = {"PATH": "", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [str(environment / "bin" / "python"), "app.py"]
    done = subprocess.run(command, cwd=tmp_path, env=around, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    origin, owners, files = done.stdout.splitlines()
    assert (origin, owners) == ("generate_image", "application application")
    assert all(path.startswith(str(packages(environment))) for path in files.split())
