"""What is installed is what stands in the tree; pins, weights and text keep their promises."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WEIGHTS = ROOT / "vitron_agent" / "weights"
MIB = 2**20

# The library's own places: everything else at the top level is not installed.
FOLDERS = {"vitron_agent": "vitron_agent", "vitron_agent.tools": "tools", "vitron_agent.graphs": "graphs"}


MODULES = sorted(
    ".".join([package, *path.relative_to(ROOT / folder).with_suffix("").parts]).removesuffix(".__init__")
    for package, folder in FOLDERS.items()
    for path in (ROOT / folder).rglob("*.py")
)


def pins() -> dict[str, str]:
    """Canonical name -> exact version of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def requirements() -> list[Requirement]:
    """What pyproject.toml asks for, extras included."""
    project = PROJECT["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return [Requirement(line) for line in lines]


def packages_in_tree() -> list[str]:
    """Every folder with an __init__.py, under the name it is installed as."""
    found = []
    for package, folder in FOLDERS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            below = init.parent.relative_to(ROOT / folder).parts
            found.append(".".join([package, *below]))
    return sorted(found)


def test_the_packages_list_is_the_tree() -> None:
    assert PROJECT["tool"]["setuptools"]["packages"] == packages_in_tree()


def test_every_source_file_is_in_a_package() -> None:
    files = [path for folder in FOLDERS.values() for path in (ROOT / folder).rglob("*.py")]
    assert [str(path.relative_to(ROOT)) for path in files if not (path.parent / "__init__.py").is_file()] == []


def test_the_folders_are_mapped() -> None:
    assert PROJECT["tool"]["setuptools"]["package-dir"] == FOLDERS


def test_every_data_file_is_installed() -> None:
    """Whatever lies beside the code and is no Python file; py.typed above all."""
    installed: set[Path] = set()
    for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items():
        top = max((name for name in FOLDERS if package.startswith(name)), key=len)
        folder = ROOT.joinpath(FOLDERS[top], *package.removeprefix(top).split(".")[1:])
        installed.update(path for pattern in patterns for path in folder.glob(pattern))
    everything = {path for folder in FOLDERS.values() for path in (ROOT / folder).rglob("*") if path.is_file()}
    data = {path for path in everything if path.suffix not in {".py", ".pyc"}}
    assert ROOT / "vitron_agent" / "py.typed" in data
    assert data - installed == set()


def test_the_console_script_exists() -> None:
    module, _, function = PROJECT["project"]["scripts"]["vitron-agent"].partition(":")
    code = f"import {module} as m; assert callable(m.{function})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_constraints_are_exact_and_name_no_place() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in entries if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []
    assert entries == sorted(entries, key=str.lower)


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_every_pin_lies_in_its_range(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_everything_needed_is_pinned() -> None:
    """Walk the installed requirements from ours down: a package without a pin is one that nobody tested."""
    waiting, seen = requirements(), set()
    gpu = {Requirement(line).name for line in PROJECT["project"]["optional-dependencies"]["gpu"]}
    while waiting:
        name = canonicalize_name(waiting.pop().name)
        if name not in seen:
            seen.add(name)
            if name in gpu:
                continue  # not installed here, so nobody knows what stands below
            below = [Requirement(line) for line in metadata.requires(name) or []]
            waiting += [item for item in below if item.marker is None or item.marker.evaluate({"extra": ""})]
    # A CUDA build of torch brings its own exactly pinned libraries; they are torch's business.
    assert {name for name in seen - pins().keys() if not name.startswith(("nvidia-", "cuda-", "triton"))} == set()


def test_weights_are_small_and_hold_no_code() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    plain = {".safetensors", ".json", ".txt"}
    assert [path.name for path in files if path.suffix not in plain and path.name != "SHA256SUMS"] == []
    assert [path.name for path in files if path.stat().st_size > 16 * MIB] == []
    assert 0 < sum(path.stat().st_size for path in files) <= 60 * MIB


def text_files() -> list[Path]:
    """Everything a person reads here."""
    folders = [*FOLDERS.values(), "tests", "docs", "notebooks", ".ci"]
    found = [*ROOT.iterdir(), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    endings = {"", ".py", ".md", ".toml", ".txt", ".json", ".in", ".cfg", ".yaml", ".yml", ".ipynb"}
    own = {Path(__file__), ROOT / "LICENSE"}
    return [path for path in found if path.is_file() and path.suffix in endings and path not in own]


def places_named_in(text: str) -> list[str]:
    """Folders of one machine, and hosts of package registries."""
    machine = r"(?<![\w./~-])/(?:home|root|work|opt|Users|mnt|srv)/\w[\w.-]*"
    registry = r"\b(?:pypi|pythonhosted|npmjs)[.](?:org|com)"
    return re.findall(f"{machine}|{registry}", text)


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = {
        str(path.relative_to(ROOT)): places
        for path in text_files()
        if (places := places_named_in(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_a_named_place_is_seen() -> None:
    assert places_named_in("see /home/me/file and https://www.npmjs.com/x") == ["/home/me", "npmjs.com"]
    assert places_named_in("weights/root/x, docs/work/y, ~/.cache, file:///home") == []


def test_importing_the_package_is_cheap() -> None:
    """No torch, no LangChain, no Pillow: a program that only looks at the version pays nothing."""
    code = "import sys, vitron_agent; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "PIL", "av", "pydantic", "transformers", "diffusers", "langchain_core", "langgraph"}
    assert heavy & set(done.stdout.split()) == set()


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_imported(module: str) -> None:
    """Also those that only a command or a recipe reaches; a warning is an error here."""
    importlib.import_module(module)
